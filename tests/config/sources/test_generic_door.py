"""Webhooks of a platform that the file describes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.contracts.errors import Refused
from config.contracts.event import Event, Ignored, Test, event_id
from tests.config.sources.generic_place import source

SHAPE: dict[str, Any] = {
    "event": {
        "id": ["data.id", "header:X-Run", "runs.0.id"],
        "delivery": ["header:webhook-id", "event_id"],
        "kind": ["type", "header:x-event"],
        "ended": ["crawl.completed", "crawl.failed"],
        "tests": "ping",
    }
}
KEYS = st.sampled_from(["id", "data", "type", "runs", "status"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(KEYS, inside),
)


def parsed(body: object, options: dict[str, Any] | None = None, **headers: str) -> Event | Ignored | Test:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return source(SHAPE if options is None else options).parse(named, raw)


def refusal(body: object, options: dict[str, Any] | None = None, **headers: str) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        parsed(body, options, **headers)
    return str(caught.value.kind), caught.value.message


def test_an_event_says_which_run_has_ended_and_how() -> None:
    body = b'{"type": "crawl.failed", "data": {"id": "run-1"}, "event_id": "e1"}'
    assert parsed(body) == Event(
        id=event_id("made", "e1", b""), source="made", run_id="run-1", kind="crawl.failed", body=body
    )


@pytest.mark.parametrize(
    ("body", "headers", "run_id"),
    [
        ({"data": {"id": 17}}, {}, "17"),
        ({"data": {"id": None}, "runs": [{"id": "a:b~c._-"}]}, {}, "a:b~c._-"),
        ({"data": {"id": {"no": "id"}}}, {"x_run": "from-the-head"}, "from-the-head"),
        ({"data": [], "runs": [{"id": "r" * 128}]}, {}, "r" * 128),
    ],
)
def test_the_first_place_that_holds_an_id_wins(body: dict[str, Any], headers: dict[str, str], run_id: str) -> None:
    event = parsed({"type": "crawl.completed", **body}, None, **headers)
    assert isinstance(event, Event)
    assert event.run_id == run_id


def test_the_same_delivery_is_the_same_event_and_without_one_the_same_bytes_are() -> None:
    def ident(body: dict[str, Any], options: dict[str, Any] | None = None, **headers: str) -> str:
        event = parsed({"type": "crawl.completed", "data": {"id": 1}, **body}, options, **headers)
        assert isinstance(event, Event)
        return event.id

    assert ident({"n": 1}, webhook_id="w1") == ident({"n": 2}, webhook_id="w1")
    assert ident({"n": 1}, webhook_id="w1") != ident({"n": 1}, webhook_id="w2")
    plain: dict[str, Any] = {"event": {"id": "data.id"}}
    assert ident({"n": 1}, plain) == ident({"n": 1}, plain)
    assert ident({"n": 1}, plain) != ident({"n": 2}, plain)


def test_kinds_that_end_nothing_are_ignored_and_tests_are_tests() -> None:
    assert parsed({"type": "crawl.started", "data": {"id": 1}}) == Ignored("crawl.started")
    assert parsed({"type": "ping"}) == Test()
    assert parsed({}, x_event="ping") == Test()


def test_without_a_list_of_kinds_all_but_tests_have_ended() -> None:
    options: dict[str, Any] = {"event": {"kind": "type", "tests": ["ping"]}}
    assert isinstance(parsed({"id": "r1", "type": "whatever"}, options), Event)
    assert isinstance(parsed({"id": "r1"}, options), Event)
    assert parsed({"type": "ping"}, options) == Test()


def test_numbers_and_truth_values_are_words() -> None:
    options: dict[str, Any] = {"event": {"kind": "code", "ended": [10, True]}}
    assert isinstance(parsed({"id": 1, "code": 10}, options), Event)
    assert isinstance(parsed({"id": 1, "code": "true"}, options), Event)
    assert parsed({"id": 1, "code": 1}, options) == Ignored("1")


@pytest.mark.parametrize("word", ["running", "never-heard-of"])
def test_an_event_that_is_all_there_is_means_nothing_before_its_run_has_ended(word: str) -> None:
    options: dict[str, Any] = {"run": {"status": "status", "succeeded": "done", "failed": "broken"}}
    assert parsed({"id": "r1", "status": word}, options) == Ignored(word)
    assert isinstance(parsed({"id": "r1", "status": "broken"}, options), Event)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"id=r1", ("request_invalid", "the body is not JSON in UTF-8")),
        (b'{"id": "\xff"}', ("request_invalid", "the body is not JSON in UTF-8")),
        (b"[" * 100_000, ("request_invalid", "the body is not JSON in UTF-8")),
        (b"[1]", ("event_invalid", "the body is not a JSON object")),
        ({}, ("event_invalid", "nothing says what happened: no text at `type` or `header:x-event`")),
        (
            {"type": "crawl.failed", "data": {"id": "a/b"}},
            (
                "event_invalid",
                "no run id (1-128 letters, digits and `._:~-`) at `data.id` or `header:x-run` or `runs.0.id`; set "
                "event.id of this source to where the webhook has it",
            ),
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(body: object, said: tuple[str, str]) -> None:
    assert refusal(body) == said


@pytest.mark.parametrize("ident", ["", "r" * 129, "a b", "ü", "a\n", True, 1.5, 10**130, None, ["r1"], "../r1"])
def test_what_is_no_id_opens_nothing(ident: object) -> None:
    assert refusal({"type": "crawl.failed", "data": {"id": ident}})[0] == "event_invalid"


@given(st.binary() | JSON)
def test_no_body_breaks_the_door(body: object) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    for options in (SHAPE, {"run": {"at": "data", "status": "data.id", "failed": "x"}}):
        try:
            event = source(options).parse({"x-event": "crawl.failed"}, raw)
        except Refused:
            continue
        assert not isinstance(event, Event) or 1 <= len(event.run_id) <= 128
