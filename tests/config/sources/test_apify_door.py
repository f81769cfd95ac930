"""What Apify's webhooks mean. Payloads have the shapes of its webhook documentation."""

import json
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.contracts.errors import Refused
from config.contracts.event import Event, Ignored, Test, event_id
from config.contracts.kinds import Kind
from config.sources.apify import Config, connect
from config.sources.apify.door import parse

PATHS = ("eventData.actorRunId", "resource.id", "runId")
DISPATCH = {"x-apify-webhook-dispatch-id": "dispatch1"}
RUN = "uPBN9qaKd2iLs5naZ"


def default_payload(kind: str = "ACTOR.RUN.SUCCEEDED") -> dict[str, Any]:
    return {
        "userId": "abf6vtB2nvQZ4nJzo",
        "createdAt": "2026-01-09T15:59:56.408Z",
        "eventType": kind,
        "eventData": {"actorId": "fW4MyDhgwtMLrB987", "actorRunId": RUN, "actorTaskId": None},
        "resource": {"id": RUN, "status": "SUCCEEDED", "finishedAt": "2026-01-09T15:59:56.408Z"},
    }


def read(body: object, headers: dict[str, str] | None = None) -> Event | Ignored | Test:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse("apify", PATHS, headers or {}, raw)


def refusal(body: object) -> Kind:
    with pytest.raises(Refused) as caught:
        read(body)
    return caught.value.kind


def test_the_default_payload_gives_the_run() -> None:
    body = json.dumps(default_payload()).encode()
    assert read(body, DISPATCH) == Event(
        id=event_id("apify", "dispatch1", b""),
        source="apify",
        run_id=RUN,
        kind="ACTOR.RUN.SUCCEEDED",
        body=body,
        via="webhook",
    )


@pytest.mark.parametrize("kind", [f"ACTOR.RUN.{end}" for end in ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")])
def test_every_end_of_a_run_is_taken(kind: str) -> None:
    event = read(default_payload(kind))
    assert isinstance(event, Event)
    assert (event.kind, event.run_id) == (kind, RUN)


@pytest.mark.parametrize(
    "kind",
    [
        "ACTOR.RUN.CREATED",
        "ACTOR.RUN.RESURRECTED",
        *(f"ACTOR.BUILD.{what}" for what in ("CREATED", "SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT")),
    ],
)
def test_kinds_that_never_end_a_run_are_ignored(kind: str) -> None:
    assert read({"eventType": kind, "eventData": {"actorBuildId": "b"}}) == Ignored(kind)


@pytest.mark.parametrize(
    "body",
    [
        {"eventType": "TEST"},
        {**default_payload("TEST"), "resource": {"joke": "why"}},
        {"eventType": "TEST", "eventData": None},
    ],
)
def test_the_test_button_is_recognised_with_any_content(body: object) -> None:
    assert read(body) == Test()


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("ACTOR.RUN.PAUSED", "ACTOR.RUN.PAUSED"),
        ("SOMETHING", "SOMETHING"),
        ("test", "test"),
        (None, ""),
        (7, ""),
        ("with space", ""),
        ("new\nline", ""),
        ("ACTOR.RUN.CREATED\n", ""),
        ("x" * 65, ""),
    ],
)
def test_kinds_nobody_knows_are_taken_for_the_planner_to_decide(kind: object, kept: str) -> None:
    event = read({**default_payload(), "eventType": kind})
    assert isinstance(event, Event)
    assert (event.kind, event.run_id) == (kept, RUN)


@pytest.mark.parametrize(
    "body",
    [
        {"runId": RUN},
        {"resource": {"id": RUN}},
        {"eventData": {"actorRunId": RUN}},
        {"eventData": None, "resource": {"id": RUN}},
        {"eventData": {"actorRunId": ""}, "resource": {"id": "no good"}, "runId": RUN},
        {"eventData": [], "resource": "text", "runId": RUN},
        {"eventData": {"actorRunId": RUN}, "resource": {"id": "another"}, "runId": "third"},
    ],
)
def test_templates_of_ones_own_are_taken_and_the_first_path_wins(body: object) -> None:
    event = read(body)
    assert isinstance(event, Event)
    assert event.run_id == RUN


def test_the_paths_are_the_operators() -> None:
    webhook = {"secrets": ("s",), "run_id": ("deep.er.id",)}
    source = connect("main", Config.model_validate({"token": "t", "webhook": webhook}))
    event = source.parse({}, b'{"deep": {"er": {"id": "r1"}}, "runId": "r2"}')
    assert isinstance(event, Event)
    assert (event.source, event.run_id) == ("main", "r1")
    with pytest.raises(Refused, match=r"deep\.er\.id"):
        source.parse({}, b'{"runId": "r2"}')


def test_the_platforms_own_payload_is_understood_whatever_the_paths_are() -> None:
    """Runs that we start ourselves report with it."""
    webhook = {"secrets": ("s",), "run_id": ("deep.er.id",)}
    source = connect("main", Config.model_validate({"token": "t", "webhook": webhook}))
    event = source.parse({}, b'{"eventData": {"actorRunId": "r1"}, "resource": {"id": "r1"}}')
    assert isinstance(event, Event)
    assert event.run_id == "r1"


@pytest.mark.parametrize(
    ("path", "body", "run_id"),
    [
        ("runs.1.id", {"runs": [{"id": "r0"}, {"id": "r1"}]}, "r1"),
        ("0.id", {"0": {"id": "r1"}}, "r1"),
        ("runs.0", {"runs": ["r1"]}, "r1"),
        ("runs.0.0", {"runs": [["r1"]]}, "r1"),
        ("runs.2.id", {"runs": [{"id": "r0"}]}, None),
        ("runs.first", {"runs": ["r1"]}, None),
        ("runs.0.id", {"runs": "r1"}, None),
        ("runs", {"runs": ["r1"]}, None),
    ],
)
def test_a_number_in_a_path_is_a_place_in_a_list_or_a_key(path: str, body: object, run_id: str | None) -> None:
    webhook = {"secrets": ("s",), "run_id": (path,)}
    source = connect("main", Config.model_validate({"token": "t", "webhook": webhook}))
    raw = json.dumps(body).encode()
    if run_id is None:
        with pytest.raises(Refused):
            source.parse({}, raw)
    else:
        assert cast(Event, source.parse({}, raw)).run_id == run_id


def test_the_dispatch_names_the_event_and_a_resend_collapses() -> None:
    one, other = read({"runId": RUN, "n": 1}, DISPATCH), read({"runId": RUN, "n": 2}, DISPATCH)
    assert isinstance(one, Event)
    assert isinstance(other, Event)
    assert one.id == other.id


@pytest.mark.parametrize("dispatch", ["", "two words", "x" * 129, "é", "tab\t"])
def test_a_dispatch_that_is_none_leaves_the_body_to_name_the_event(dispatch: str) -> None:
    body = b'{"runId": "r1"}'
    event = read(body, {"x-apify-webhook-dispatch-id": dispatch})
    assert isinstance(event, Event)
    assert event.id == event_id("apify", None, body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"run",
        b'{"runId": "r1"',
        b'{"runId": "r1"} {}',
        b'{"runId": "r1", "n": NaN}',
        b'{"runId": "r1", "n": Infinity}',
        b'{"runId": "r1", "n": 1e999}',
        b"{'runId': 'r1'}",
        b'\xef\xbb\xbf{"runId": "r1"}',
        '{"runId": "r1"}'.encode("utf-16"),
        '{"runId": "r1"}'.encode("utf-16-le"),
        b'{"runId": "r1", "t": "\xff"}',
        b'{"runId": "r1", "t": "\xed\xa0\x80"}',
        b'{"runId": "r1", "t": "\x00"}',
        b'{"runId": "r1", "t": "\\ud800"}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_not_json_in_utf_8_is_refused(body: bytes) -> None:
    assert refusal(body) is Kind.REQUEST_INVALID


@pytest.mark.parametrize("body", [None, True, 1, 1.5, "text", [], [{"runId": RUN}]])
def test_what_is_no_object_is_refused(body: object) -> None:
    assert refusal(body) is Kind.EVENT_INVALID


@pytest.mark.parametrize(
    "run_id", [None, "", 7, ["r"], {"id": "r"}, "../me", "a/b", "a b", "r\n", "ä", "\u0661", "x" * 65, "r\u0000"]
)
def test_a_run_id_of_any_other_form_is_refused(run_id: object) -> None:
    assert refusal({"runId": run_id}) is Kind.EVENT_INVALID


def test_a_body_without_a_run_id_is_told_what_to_do_and_nothing_of_it_is_repeated() -> None:
    with pytest.raises(Refused) as caught:
        read({"eventType": "ACTOR.RUN.SUCCEEDED", "password": "hunter2"})
    assert "eventData.actorRunId or resource.id or runId" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_numbers_of_any_size_do_not_matter() -> None:
    event = read(b'{"runId": "r1", "n": ' + b"9" * 400 + b"}")
    assert isinstance(event, Event)


def test_of_two_keys_of_one_name_the_last_counts() -> None:
    event = read(b'{"runId": "r1", "runId": "r2"}')
    assert isinstance(event, Event)
    assert event.run_id == "r2"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.sampled_from(["eventType", "eventData", "resource", "runId", "id"]), inner)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()), st.dictionaries(st.text(), st.text()))
@example(b'{"eventData": {"actorRunId": {"actorRunId": 1}}}', {})
@example(b'{"runId": "r1", "n": ' + b"9" * 5000 + b"}", {})
def test_whatever_comes_is_read_or_refused(body: bytes, headers: dict[str, str]) -> None:
    try:
        read(body, headers)
    except Refused as refused:
        assert refused.kind in {Kind.REQUEST_INVALID, Kind.EVENT_INVALID}  # noqa: PT017  # most bodies are not refused


@pytest.mark.parametrize(
    ("allowed", "address", "may"),
    [
        ("any", "203.0.113.9", True),
        ("apify", "3.215.64.207", True),
        ("apify", "::ffff:52.203.255.236", True),
        ("apify", "203.0.113.9", False),
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "3.215.64.207", False),
    ],
)
def test_addresses_are_let_in_as_the_file_says(allowed: object, address: str, may: bool) -> None:
    source = connect("a", Config.model_validate({"token": "t", "webhook": {"secrets": ["s"], "allow_ips": allowed}}))
    source.authenticate("s", {})
    try:
        source.admit(address)
    except Refused as refused:
        assert (may, refused.kind) == (False, Kind.ADDRESS_FORBIDDEN)  # noqa: PT017  # some may
    else:
        assert may


def test_a_network_that_is_none_is_a_mistake_in_the_file() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        Config.model_validate({"token": "t", "webhook": {"secrets": [], "allow_ips": ["10.0.0.1/8"]}})


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "0xa9fea9fe", "[fe80::1]", "metadata.google.internal", "[fd00:ec2::254]"]
)
def test_an_api_underneath_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="never asked"):
        Config.model_validate({"token": "t", "api_url": f"http://{host}/"})


def test_a_source_without_a_webhook_section_lets_nobody_in() -> None:
    source = connect("a", Config.model_validate({"token": "t"}))
    with pytest.raises(Refused):
        source.authenticate("anything", {})
