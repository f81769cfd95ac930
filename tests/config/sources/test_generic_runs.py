"""Runs of a platform that the file describes: asked for, or as their event tells them."""

import json
from typing import Any

import pytest

from config.contracts.errors import NotFound, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.sources.generic.verdict import verdict
from tests.config.sources.generic_place import DATE_SECONDS, NOW, TOKEN, Generic, source

NEVER_SAID = "1970-01-01T00:00:00.000Z"
RUN: dict[str, Any] = {
    "fetch": "/jobs/{id}",
    "at": "data",
    "status": ["conclusion", "status"],
    "succeeded": ["success", 10],
    "failed": ["failure", "cancelled"],
    "finished": ["ended_at", "updated_at"],
    "program": "workflow.path",
    "cost": "usage.usd",
}
JOB: dict[str, Any] = {
    "id": 7,
    "status": "completed",
    "conclusion": "success",
    "ended_at": "2026-01-30T07:38:32Z",
    "workflow": {"path": "build.yml"},
    "usage": {"usd": "0.25"},
}
NOBODY: Any = None


async def fetched(made: Generic, run: dict[str, Any] | None = None, **changes: Any) -> Run:
    made.says("/jobs/r1", {"data": {**JOB, **changes}})
    platform, api = made.source({"run": RUN if run is None else run})
    return await platform.run(api, "r1")


async def trouble(made: Generic, run: dict[str, Any] | None = None, **changes: Any) -> tuple[type, str, str]:
    with pytest.raises(WorkError) as caught:
        await fetched(made, run, **changes)
    return type(caught.value), str(caught.value.reason), caught.value.detail


async def test_a_finished_run_is_told_in_our_words(made: Generic) -> None:
    assert await fetched(made) == Run(
        id="r1",
        source="made",
        status="success",
        terminal=True,
        succeeded=True,
        life="2026-01-30T07:38:32Z",
        finished=1769758712.0,
        account="",
        cost=0.25,
        actor_id="build.yml",
        actor="build.yml",
        datasets={"default": "r1"},
        fields=JOB,
    )
    assert (made.asked, made.tokens) == (["/v1/jobs/r1"], [f"Bearer {TOKEN}"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"conclusion": "cancelled"}, ("cancelled", True, False)),
        ({"conclusion": 10}, ("10", True, True)),
        ({"conclusion": None, "status": "in_progress"}, ("in_progress", False, False)),
        ({"conclusion": None, "status": None}, ("unknown", False, False)),
        ({"conclusion": "never_heard_of"}, ("never_heard_of", False, False)),
    ],
)
async def test_a_word_says_how_it_stands(made: Generic, changes: dict[str, Any], told: tuple[str, bool, bool]) -> None:
    run = await fetched(made, **changes)
    assert (run.status, run.terminal, run.succeeded) == told
    assert bool(run.life) is bool(run.finished) is run.terminal


async def test_without_words_every_run_has_ended(made: Generic) -> None:
    run = await fetched(made, {"fetch": "/jobs/{id}", "at": "data", "status": "status"})
    assert (run.status, run.terminal, run.succeeded) == ("completed", True, True)
    assert (await fetched(made, {"fetch": "/jobs/{id}"})).status == "succeeded"


@pytest.mark.parametrize(
    ("written", "life", "finished"),
    [
        (1769758712, "2026-01-30T07:38:32.000Z", 1769758712.0),
        ("1769758712", "2026-01-30T07:38:32.000Z", 1769758712.0),
        (1769758712500, "2026-01-30T07:38:32.500Z", 1769758712.5),
        (None, NEVER_SAID, DATE_SECONDS),
    ],
)
async def test_an_end_is_a_moment_however_it_is_written(
    made: Generic, written: object, life: str, finished: float
) -> None:
    run = await fetched(made, ended_at=written)
    assert (run.life, run.finished) == (life, finished)
    assert await fetched(made, ended_at=written) == run


@pytest.mark.parametrize("usd", [None, "much", [1], True, "nan", 10**400])
async def test_a_cost_that_is_none_is_unknown(usd: object) -> None:
    run = await source({"run": {"cost": "usd"}}).run(NOBODY, "r1", json.dumps({"usd": usd}).encode())
    assert run.cost is None


async def test_what_is_left_out_is_not_kept(made: Generic) -> None:
    made.says("/jobs/r1", {"id": 1, "logs": "l" * 2_000_000, "data": [{"n": 1}], "files": ["x"]})
    run: dict[str, Any] = {"fetch": "/jobs/{id}", "omit": "logs"}
    platform, api = made.source({"run": run, "items": {"fetch": "/jobs/{id}", "at": "data"}, "files": {"at": "files"}})
    told = await platform.run(api, "r1")
    assert (told.fields, told.stores) == ({"id": 1, "files": ["x"]}, {"default": "r1"})


async def test_a_list_that_is_asked_for_stays_out_of_the_run_unless_something_is_read_there(made: Generic) -> None:
    made.says("/jobs/r1", {"data": {"state": "done", "rows": [1]}})
    items = {"fetch": "/jobs/{id}", "at": "data.rows"}
    for status, kept in (("data.state", {"data": {"state": "done", "rows": [1]}}), ("state", {})):
        platform, api = made.source({"run": {"fetch": "/jobs/{id}", "status": status}, "items": items})
        assert (await platform.run(api, "r1")).fields == kept


async def test_a_run_too_large_to_be_kept_says_what_to_leave_out(made: Generic) -> None:
    assert await trouble(made, logs="l" * 1_100_000) == (
        Permanent,
        "source_refused",
        "the run is larger than 1 MiB: name its large fields in `run.omit`, and read them with `items.fetch`",
    )


async def test_an_answer_is_read_only_so_far(made: Generic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.sources.generic.source.PAGE", 50)
    assert await trouble(made) == (Permanent, "source_refused", "what `run.fetch` answers has more than 64 MiB")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"<html>", "the platform's answer is not JSON"),
        (b'{"data": [1]}', "the platform's answer has no JSON object at `data` for the run"),
        (b'{"dat": {}}', "the platform's answer has no JSON object at `data` for the run"),
        (b'{"data": {"id"', "the platform's answer is not JSON"),
        (
            b'{"data": {"status": "success", "ended_at": null, "updated_at": "soon"}}',
            "the platform's answer has something at `updated_at`, where `run.finished` looks, that is no moment",
        ),
    ],
)
async def test_an_answer_of_another_shape_is_trouble_that_may_pass(made: Generic, body: bytes, detail: str) -> None:
    made.says("/jobs/r1", body)
    platform, api = made.source({"run": RUN})
    with pytest.raises(Transient) as caught:
        await platform.run(api, "r1")
    assert caught.value.detail == detail


async def test_an_id_cannot_leave_its_place(made: Generic) -> None:
    platform, api = made.source({"run": {"fetch": "/jobs/{id}?expand=all&of={id}"}})
    for run_id in ("..", "a/b?c=d#e", "ü"):
        with pytest.raises(NotFound):
            await platform.run(api, run_id)
    assert made.asked == [
        "/v1/jobs/%2E%2E?expand=all&of=..",
        "/v1/jobs/a%2Fb%3Fc%3Dd%23e?expand=all&of=a/b?c%3Dd%23e",
        "/v1/jobs/%C3%BC?expand=all&of=%C3%BC",
    ]


# as the event tells it


async def test_an_event_that_is_believed_is_the_run() -> None:
    options: dict[str, Any] = {
        "event": {"kind": "type"},
        "run": {"at": "data", "succeeded": "done", "failed": "broken", "finished": "at"},
        "items": {"at": "rows"},
    }
    said = b'{"type": "done", "data": {"at": 1769758712, "rows": [1]}}'
    run = await source(options).run(NOBODY, "r1", said)
    assert (run.status, run.succeeded, run.life, run.finished) == ("done", True, "2026-01-30T07:38:32.000Z", 1769758712)
    assert run.fields == {"at": 1769758712, "rows": [1]}


async def test_an_event_that_does_not_say_when_has_one_end() -> None:
    run = await source({}).run(NOBODY, "r1", b'{"id": "r1"}')
    assert (run.status, run.terminal, run.life, run.finished) == ("succeeded", True, NEVER_SAID, NOW)


async def test_without_its_event_such_a_run_is_not_known() -> None:
    with pytest.raises(NotFound) as caught:
        await source({}).run(NOBODY, "r1")
    assert caught.value.detail == "only its webhook tells of the run, and that is not there: set `run.fetch`"


NO_MOMENT = "the event has something at `at`, where `run.finished` looks, that is no moment"


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (b'{"data": 1}', "the event has no object at `data`, where `run.at` has the run"),
        (b'{"data": {"at": "later"}}', NO_MOMENT),
        (b'{"data": {"at": true}}', NO_MOMENT),
        (b'{"data": {"at": 999999999999999}}', NO_MOMENT),
        (b'{"data": {"at": -1}}', NO_MOMENT),
    ],
)
async def test_an_event_of_another_shape_would_only_come_again(said: bytes, detail: str) -> None:
    with pytest.raises(Permanent) as caught:
        await source({"run": {"at": "data", "finished": "at"}}).run(NOBODY, "r1", said)
    assert (caught.value.reason, caught.value.detail) == (Reason.SOURCE_REFUSED, detail)


# what the platform does not have


async def test_what_ran_is_known_by_its_name_and_an_account_by_none(made: Generic) -> None:
    platform, api = made.source({})
    assert await platform.actor_name(api, "build.yml") == "build.yml"
    assert await platform.account(api) == ""
    assert made.asked == []


async def test_whether_we_are_let_in_the_list_of_runs_tells_whatever_it_looks_like(made: Generic) -> None:
    paging = {"style": "page", "page": "p", "limit": "n", "size": 5}
    platform, api = made.source({"runs": {"fetch": "/jobs?all=1", "at": "elsewhere", "paging": paging}})
    made.says("/jobs", "no list at all")
    assert await platform.account(api) == ""
    assert (made.asked, made.tokens) == (["/v1/jobs?all=1&n=5&p=1"], [f"Bearer {TOKEN}"])


@pytest.mark.parametrize(
    ("status", "verdicts"),
    [(401, Unauthorized), (402, Unauthorized), (403, Unauthorized), (500, Transient), (404, None), (400, None)],
)
async def test_a_list_that_cannot_be_had_is_no_reason_to_refuse_events(
    made: Generic, status: int, verdicts: type[WorkError] | None
) -> None:
    platform, api = made.source({"runs": {"fetch": "/jobs"}})
    made.says("/jobs", {}, status)
    if verdicts is None:
        assert await platform.account(api) == ""
        return
    with pytest.raises(verdicts):
        await platform.account(api)


# refusals


@pytest.mark.parametrize("headers", [{"retry-after": "60"}, {"x-ratelimit-remaining": "0"}])
def test_a_403_that_only_asks_to_wait_is_worth_another_try(headers: dict[str, str]) -> None:
    assert type(verdict(403, headers, b"{}")) is Transient
    assert type(verdict(403, {"x-ratelimit-remaining": "4999"}, b"{}")) is Unauthorized


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, {"message": "who?"}, Unauthorized, "source_token_refused: HTTP 401: who?"),
        (402, {"error": {"message": "pay"}}, Unauthorized, "source_unpaid: HTTP 402: pay"),
        (403, {"error": "not for you"}, Unauthorized, "source_token_refused: HTTP 403: not for you"),
        (404, {"detail": "gone"}, NotFound, "data_expired: HTTP 404: gone"),
        (410, None, NotFound, "data_expired: HTTP 410"),
        (408, "text", Transient, "source_unavailable: HTTP 408"),
        (425, [], Transient, "source_unavailable: HTTP 425"),
        (429, {"message": {"no": "text"}}, Transient, "source_unavailable: HTTP 429"),
        (500, {"message": "two\nlines"}, Transient, "source_unavailable: HTTP 500: two lines"),
        (599, {}, Transient, "source_unavailable: HTTP 599"),
        (400, {"message": "x" * 400}, Permanent, "source_refused: HTTP 400: " + "x" * 300),
        (422, {"errors": [{"message": "m"}]}, Permanent, "source_refused: HTTP 422: m"),
        (
            400,
            {"message": "not ?token=abc, nor Bearer abc"},
            Permanent,
            "source_refused: HTTP 400: not ?token=*** nor ",
        ),
    ],
)
def test_a_status_decides_what_happens_next(status: int, body: object, kind: type, said: str) -> None:
    headers = {"retry-after": "7"} if kind is Transient else {}
    error = verdict(status, headers, json.dumps(body).encode())
    assert type(error) is kind
    assert str(error).startswith(said)
    assert "abc" not in str(error)
    assert getattr(error, "retry_after", 7.0) == 7.0


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_an_error_page_has_no_words_of_the_platforms(body: bytes) -> None:
    assert str(verdict(500, {}, body)) == "source_unavailable: HTTP 500"


async def test_a_platform_without_an_api_is_never_asked() -> None:
    assert source({}).manners.base_url == ""
