"""What ittybit's webhooks mean. Payloads have the shapes of its webhook pages, those of older years included."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from config.contracts.errors import Refused
from config.contracts.event import Event, Ignored, Test, event_id
from config.contracts.kinds import Kind
from config.sources.ittybit import Config, connect
from config.sources.ittybit.door import parse
from config.sources.ittybit.statuses import UNDER_WAY
from tests.ittybit.standin import Standin

PLACE = Standin("token")
#: `docs/webhooks`, its only sample.
TASK = {
    "id": "evt_1",
    "object": "event",
    "kind": "task.succeeded",
    "data": {"id": "task_1", "object": "task", "kind": "video", "status": "succeeded", "outputs": []},
    "created_at": 1735689886,
}
#: `guides/set-up-webhook-notifications`.
JOB = {"id": "task_1", "status": "succeeded", "kind": "video", "input": "https://example.com/in.mov"}
#: The older `docs/webhooks`.
OLD_TASK = {
    "id": "tsk_1",
    "status": "completed",
    "kind": "video",
    "created": "2025-08-01T12:00:00Z",
    "project_id": "prj_1",
    "automation_id": "auto_1",
    "results": {"passed": [], "failed": []},
}
OLD = (
    "this is the ittybit API of before 2025-09-15: add an endpoint with the topics run.succeeded and run.failed under "
    "/webhooks/endpoints of the present one instead"
)


def raw(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def read(body: object) -> Event | Ignored:
    return parse("videos", raw(body))


def announced(body: object) -> tuple[str, str]:
    event = read(body)
    assert isinstance(event, Event)
    return event.run_id, event.kind


def refusal(body: object) -> tuple[Kind, str]:
    with pytest.raises(Refused) as caught:
        read(body)
    return caught.value.kind, caught.value.message


def test_an_event_of_a_run_gives_the_run() -> None:
    body = PLACE.event("run_1", event_id="evt_1")
    ident = event_id("videos", "evt_1", b"")
    assert read(body) == Event(id=ident, source="videos", run_id="run_1", kind="run.succeeded", body=body)


@pytest.mark.parametrize("kind", ["run.succeeded", "run.failed", "run.cancelled", "run.something"])
def test_every_end_of_a_run_is_taken_also_one_that_nobody_knows(kind: str) -> None:
    assert announced(PLACE.event("run_1", kind)) == ("run_1", kind)


@pytest.mark.parametrize("kind", [None, "something", "with blank"])
def test_an_event_that_is_about_a_run_is_taken_whatever_it_is_called(kind: object) -> None:
    kept = kind if kind == "something" else ""
    assert announced({"object": "event", "kind": kind, "data": {"id": "r", "object": "run"}}) == ("r", kept)


@pytest.mark.parametrize(
    "kind",
    [
        *("run.created", "run.updated", "automation.created", "endpoint.verified"),
        *(f"task.{what}" for what in ("created", "updated", "succeeded", "failed")),
    ],
)
def test_what_ends_no_run_is_ignored(kind: str) -> None:
    assert read({**TASK, "kind": kind}) == Ignored(kind)


def test_an_event_sent_again_collapses_and_without_an_id_its_bytes_tell() -> None:
    def ident(**changed: Any) -> str:
        event = read({**json.loads(PLACE.event("run_1")), **changed})
        assert isinstance(event, Event)
        return event.id

    assert ident(created_at=1) == ident(created_at=2)
    assert ident(id="evt_2") != ident(id="evt_3")
    for none in (None, "", "two words", "x" * 129, "é", 7):
        assert ident(id=none, created_at=1) != ident(id=none, created_at=2)


def test_a_job_gives_itself_and_is_known_by_its_bytes() -> None:
    body = PLACE.job_body("job_1", "failed", output={"url": "https://example.com/out.mp4"})
    ident = event_id("videos", None, body)
    assert read(body) == Event(id=ident, source="videos", run_id="job_1", kind="failed", body=body)


@pytest.mark.parametrize("job", ["task_1", "job_1", "anything-else"])
def test_the_id_of_a_job_may_be_of_any_make(job: str) -> None:
    assert announced({**JOB, "id": job}) == (job, "succeeded")


@pytest.mark.parametrize("status", sorted(UNDER_WAY))
def test_a_job_that_goes_on_is_ignored(status: str) -> None:
    assert read({**JOB, "status": status}) == Ignored(status)


def test_a_job_in_a_state_nobody_knows_is_looked_at() -> None:
    assert announced({**JOB, "status": "paused"}) == ("task_1", "paused")


@pytest.mark.parametrize(
    "body",
    [
        OLD_TASK,
        {**JOB, "results": None},
        {**JOB, "project_id": "prj_1"},
        {**JOB, "automation_id": None},
        {**JOB, "created": "2025-08-01T12:00:00.000Z"},
        {"meta": {"request_id": "req_1"}, "data": OLD_TASK, "error": None, "links": {}},
        {"id": "evt_1", "kind": "task.completed", "data": OLD_TASK},
        {"kind": "media.created", "data": {"id": "med_1", "kind": "video"}},
        {"id": "med_1", "kind": "media.created"},
    ],
)
def test_what_apis_of_before_sent_is_refused_with_the_cure(body: object) -> None:
    assert refusal(body) == (Kind.EVENT_INVALID, OLD)


@pytest.mark.parametrize("created", [1735689600, None, "", "run"])
def test_a_creation_that_is_no_date_is_not_of_before(created: object) -> None:
    assert announced({**JOB, "created": created}) == ("task_1", "succeeded")


@pytest.mark.parametrize("body", [{}, {"challenge": "abc"}, {"type": "ping"}, {"id": "we_1"}, {"status": "active"}])
def test_an_object_of_another_kind_is_ignored(body: object) -> None:
    """Endpoints have a `verified_at`: something may try them."""
    assert read(body) == Ignored("")


@pytest.mark.parametrize(
    "run_id", [None, "", 7, ["r"], {"id": "r"}, "../me", "a/b", "a b", "r\n", "ä", "\u0661", "x" * 65, "r\u0000"]
)
def test_a_run_id_of_any_other_form_is_refused(run_id: object) -> None:
    why = "no id of a run or a job (1-64 letters, digits, _ and -) at "
    event = {"object": "event", "kind": "run.failed", "data": {"id": run_id}}
    assert refusal(event) == (Kind.EVENT_INVALID, f"{why}data.id")
    assert refusal({**JOB, "id": run_id}) == (Kind.EVENT_INVALID, f"{why}id")


@pytest.mark.parametrize("data", [None, [], "run_1", {}])
def test_an_event_of_a_run_without_one_is_refused(data: object) -> None:
    assert refusal({"object": "event", "kind": "run.failed", "data": data})[0] is Kind.EVENT_INVALID


@pytest.mark.parametrize(
    "body", [b"", b"run", b'{"id": "r"', b'{"n": NaN}', b'\xef\xbb\xbf{}', b'{"t": "\xff"}', b"[" * 100_000],
    ids=lambda body: repr(body[:24]),
)  # fmt: skip
def test_what_is_not_json_in_utf_8_is_refused(body: bytes) -> None:
    assert refusal(body) == (Kind.REQUEST_INVALID, "the body is not JSON in UTF-8")


@pytest.mark.parametrize("body", [None, True, 1, "text", [], [JOB]])
def test_what_is_no_object_is_refused(body: object) -> None:
    assert refusal(body) == (Kind.EVENT_INVALID, "the body is not a JSON object")


WORDS = st.sampled_from(["event", "run", "run.failed", "task.completed", "succeeded", "processing", "2025-08-01", "r1"])
NAMES = st.sampled_from(["id", "object", "kind", "data", "status", "created", "results", "meta", "links"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | NAMES, inner),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.binary() | JSON.map(raw))
@example(b'{"id": "r1", "status": "done", "n": ' + b"9" * 5000 + b"}")
@example(b'{"kind": [], "object": {}, "data": {"object": []}}')
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    try:
        read(body)
    except Refused as refused:
        assert refused.kind in {Kind.REQUEST_INVALID, Kind.EVENT_INVALID}  # noqa: PT017  # most are not refused


def test_a_source_without_a_webhook_section_lets_nobody_in() -> None:
    source = connect("videos", Config.model_validate({"token": "t", "reconcile": {}}))
    with pytest.raises(Refused):
        source.authenticate("anything", {})


def test_a_source_of_which_nothing_is_ever_heard_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="nothing is ever heard of it: add `webhook`, or `reconcile`"):
        Config.model_validate({"token": "t"})


def test_the_door_is_as_the_webhook_section_says() -> None:
    webhook = {"secrets": ["hush"], "allow_ips": ["10.0.0.0/8"], "capture": {"keep": 3}}
    source = connect("videos", Config.model_validate({"token": "t", "webhook": webhook}))
    source.admit("10.1.2.3")
    source.authenticate("hush", {})
    source.verify({}, b"{}")
    assert source.capture is not None
    assert source.capture.keep == 3
    assert not isinstance(source.parse({}, PLACE.event("run_1")), Ignored | Test)
    with pytest.raises(Refused, match="address_forbidden"):
        source.admit("203.0.113.9")
    with pytest.raises(Refused, match="token_invalid"):
        source.authenticate("wrong", {})
