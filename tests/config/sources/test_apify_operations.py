"""What can be asked of Apify about runs, webhooks and queues: paths, parameters and bodies as its pages have them."""

import json
from typing import Any
from urllib.parse import unquote

import pytest

from config.contracts.errors import Transient
from config.contracts.source import Unheard
from config.sources.apify import lasting, logs, runs, starting, storages
from config.sources.apify.lasting import Condition, LastingWebhook
from config.sources.apify.starting import RunOptions
from config.sources.apify.webhooks import decode, pointing_at
from tests.config.sources.platforms import Scripted

RUN = {"id": "r1", "status": "RUNNING"}


async def test_a_start_says_every_parameter_and_brings_any_input(platform: Scripted) -> None:
    platform.says("/actor-tasks/acme~nightly/runs", {"data": RUN}, status=201)
    options = RunOptions(
        timeout=60.0,
        memory=256,
        max_items=1000,
        max_total_charge_usd=1_234_567.25,
        restart_on_error=True,
        build="0.1.234",
        wait_for_finish=60.0,
        force_permission_level="FULL_PERMISSIONS",
    )
    hook = pointing_at("https://hooks.example.com/webhooks/apify", "s3cret")
    started = await starting.start(
        platform.api,
        "task:acme/nightly",
        options=options,
        body=b"a,b\n1,2\n",
        content_type="text/csv",
        webhooks=[hook],
    )
    assert (started, platform.bodies) == (RUN, [b"a,b\n1,2\n"])
    path, _, query = platform.asked[0].partition("?")
    assert path == "POST /v2/actor-tasks/acme~nightly/runs"
    *said, webhooks = query.split("&")
    assert said == [
        "timeout=60",
        "memory=256",
        "maxItems=1000",
        "maxTotalChargeUsd=1234567.25",
        "restartOnError=true",
        "build=0.1.234",
        "waitForFinish=60",
        "forcePermissionLevel=FULL_PERMISSIONS",
    ]
    assert decode(unquote(webhooks.removeprefix("webhooks="))) == [hook]


async def test_a_run_is_looked_at_and_waited_for_a_minute_at_most(platform: Scripted) -> None:
    platform.says("/actor-runs/r1", {"data": RUN})
    assert await runs.get(platform.api, "r1") == RUN
    await runs.get(platform.api, "r1", wait=999)
    platform.says("/actor-runs/../me", {"data": RUN})
    await runs.get(platform.api, "../me")
    assert platform.asked == [
        "GET /v2/actor-runs/r1",
        "GET /v2/actor-runs/r1?waitForFinish=60",
        "GET /v2/actor-runs/..%2Fme",
    ]


@pytest.mark.parametrize("fields", [{}, {"id": "r1"}, {"status": "READY"}, {"id": 1, "status": "READY"}])
async def test_what_is_no_run_is_trouble_that_may_pass(fields: dict[str, Any], platform: Scripted) -> None:
    platform.says("/actor-runs/r1", {"data": fields})
    with pytest.raises(Transient):
        await runs.get(platform.api, "r1")


async def test_the_last_run_may_be_of_a_status_and_an_origin(platform: Scripted) -> None:
    platform.says("/acts/acme~shop/runs/last", {"data": RUN})
    platform.says("/actor-tasks/t1/runs/last", {"data": RUN})
    assert await runs.last(platform.api, "acme/shop", status="SUCCEEDED", origin="API", wait=30) == RUN
    assert await runs.last(platform.api, "task:t1") == RUN
    assert platform.asked == [
        "GET /v2/acts/acme~shop/runs/last?status=SUCCEEDED&origin=API&waitForFinish=30",
        "GET /v2/actor-tasks/t1/runs/last",
    ]


async def test_a_list_is_read_to_its_end_and_what_moved_on_comes_once(platform: Scripted) -> None:
    pages = {0: ["r4", "r3"], 2: ["r3", "r2"], 4: ["r1"]}
    for offset in (0, 2, 4, 5):
        items = [{"id": one} for one in pages.get(offset, [])]
        platform.says(f"?offset={offset}", {"data": {"items": items}})
    found = runs.listed(
        platform.api,
        "acme/shop",
        status=("SUCCEEDED", "FAILED"),
        started_after="2026-01-01T00:00:00Z",
        started_before="2026-02-01T00:00:00Z",
        page=2,
    )
    assert [run["id"] async for run in found] == ["r4", "r3", "r2", "r1"]
    assert platform.asked[0] == (
        "GET /v2/acts/acme~shop/runs?status=SUCCEEDED,FAILED&startedAfter=2026-01-01T00:00:00Z"
        "&startedBefore=2026-02-01T00:00:00Z&desc=true&limit=2&offset=0"
    )
    assert len(platform.asked) == 4


@pytest.mark.parametrize(
    ("program", "path"),
    [(None, "/actor-runs"), ("acme/shop", "/acts/acme~shop/runs"), ("task:t1", "/actor-tasks/t1/runs")],
)
async def test_runs_of_everything_of_an_actor_or_of_a_task(program: str | None, path: str, platform: Scripted) -> None:
    platform.says(path, {"data": {"items": []}})
    assert [run async for run in runs.listed(platform.api, program, desc=False)] == []
    assert platform.asked == [f"GET /v2{path}?desc=false&limit=1000&offset=0"]


async def test_runs_are_changed_by_one_request_each(platform: Scripted) -> None:
    platform.says("/actor-runs/r1/abort", {"data": RUN})
    platform.says("/actor-runs/r1/resurrect", {"data": RUN})
    platform.says("/actor-runs/r1", b"", status=204)
    assert await runs.abort(platform.api, "r1") == RUN
    assert await runs.abort(platform.api, "r1", gracefully=True) == RUN
    assert await runs.resurrect(platform.api, "r1", RunOptions(timeout=5.0, restart_on_error=False)) == RUN
    await runs.delete(platform.api, "r1")
    assert platform.asked == [
        "POST /v2/actor-runs/r1/abort",
        "POST /v2/actor-runs/r1/abort?gracefully=true",
        "POST /v2/actor-runs/r1/resurrect?timeout=5&restartOnError=false",
        "DELETE /v2/actor-runs/r1",
    ]


async def test_a_log_comes_as_it_is_or_goes_on(platform: Scripted) -> None:
    platform.says("/actor-runs/r1/log", b"one\ntwo\n", kind="text/plain; charset=utf-8")
    assert b"".join([chunk async for chunk in logs.followed(platform.api, "r1")]) == b"one\ntwo\n"
    assert b"".join([chunk async for chunk in logs.followed(platform.api, "r1", stream=True)]) == b"one\ntwo\n"
    assert await logs.tail(platform.api, "r1", 1) == b"two\n"
    assert platform.asked == [
        "GET /v2/actor-runs/r1/log",
        "GET /v2/actor-runs/r1/log?stream=true",
        "GET /v2/actor-runs/r1/log",
    ]


async def test_a_storage_is_described_and_a_queue_shows_its_head(platform: Scripted) -> None:
    dataset = {"id": "d1", "itemCount": 7, "cleanItemCount": 5}
    platform.says("/datasets/d1", {"data": dataset})
    platform.says("/request-queues/q1/head", {"data": {"limit": 2, "items": [{"id": "a", "url": "https://a.example"}]}})
    assert await storages.info(platform.api, "datasets", "d1") == dataset
    assert await storages.queue_head(platform.api, "q1", limit=2) == [{"id": "a", "url": "https://a.example"}]
    assert platform.asked[-1] == "GET /v2/request-queues/q1/head?limit=2"


async def test_requests_of_a_queue_come_page_by_page_as_written(platform: Scripted) -> None:
    page = b'{"data": {"items": [{"id": "a",\n "n": 1.50}], "nextCursor": "c2"}}'
    platform.says("/request-queues/q1/requests", page)
    found = await platform.source.requests(platform.api, "q1", after=None)
    assert (found.lines, found.count, found.after) == (b'{"id":"a","n":1.50}\n', 1, "c2")
    await platform.source.requests(platform.api, "q1", after="c2")
    assert platform.asked[-1] == "GET /v2/request-queues/q1/requests?limit=1000&cursor=c2"
    platform.says("/request-queues/q1", {"data": {"totalRequestCount": 9}})
    assert (await platform.source.request_count(platform.api, "q1")).rows == 9


async def test_a_webhook_lives_from_its_making_to_its_removal(platform: Scripted) -> None:
    hook: dict[str, Any] = {"id": "w1"}
    platform.says("/webhooks", {"data": hook}, status=201)
    platform.says("/webhooks/w1", {"data": hook})
    platform.says("/webhooks/w1/test", {"data": {"id": "x1", "status": "ACTIVE"}}, status=201)
    platform.says("DELETE /webhooks/w1", b"", status=204)
    made = LastingWebhook(
        event_types=["ACTOR.RUN.FAILED"], request_url="https://a.example/", condition=Condition(actor_id="a1")
    )
    assert await lasting.create(platform.api, made) == hook
    assert await lasting.get(platform.api, "w1") == hook
    assert await lasting.update(platform.api, "w1", {"doNotRetry": False}) == hook
    assert (await lasting.test(platform.api, "w1"))["id"] == "x1"
    await lasting.delete(platform.api, "w1")
    assert platform.asked == [
        "POST /v2/webhooks",
        "GET /v2/webhooks/w1",
        "PUT /v2/webhooks/w1",
        "POST /v2/webhooks/w1/test",
        "DELETE /v2/webhooks/w1",
    ]
    assert [json.loads(body) for body in platform.bodies if body] == [
        {
            "eventTypes": ["ACTOR.RUN.FAILED"],
            "requestUrl": "https://a.example/",
            "condition": {"actorId": "a1"},
        },
        {"doNotRetry": False},
    ]


async def test_webhooks_and_dispatches_are_listed_wherever_they_hang(platform: Scripted) -> None:
    for path in ("/webhooks", "/acts/a1/webhooks", "/actor-tasks/t1/webhooks", "/webhooks/w1/dispatches"):
        platform.says(path, {"data": {"items": []}})
    platform.says("/webhook-dispatches", {"data": {"items": []}})
    platform.says("/webhook-dispatches/x1", {"data": {"id": "x1", "calls": []}})
    for found in (
        lasting.webhooks(platform.api),
        lasting.webhooks(platform.api, "a1"),
        lasting.webhooks(platform.api, "task:t1"),
        lasting.dispatches(platform.api),
        lasting.dispatches(platform.api, "w1"),
    ):
        assert [one async for one in found] == []
    assert await lasting.dispatch(platform.api, "x1") == {"id": "x1", "calls": []}
    assert [one.partition("?")[0] for one in platform.asked] == [
        "GET /v2/webhooks",
        "GET /v2/acts/a1/webhooks",
        "GET /v2/actor-tasks/t1/webhooks",
        "GET /v2/webhook-dispatches",
        "GET /v2/webhooks/w1/dispatches",
        "GET /v2/webhook-dispatches/x1",
    ]


def dispatch(hour: int, **changes: object) -> dict[str, object]:
    """As the list has it: the end of run `r<hour>`, which nobody took."""
    said = {"id": f"d{hour}", "webhookId": "w1", "status": "FAILED", "eventType": "ACTOR.RUN.TIMED_OUT"}
    data = {"actorId": "a1", "actorRunId": f"r{hour}", "actorTaskId": None}
    calls = [{"responseStatus": 500, "errorMessage": "x"}, {"responseStatus": 404, "errorMessage": "https://s3cret@a/"}]
    at = f"2026-11-22T{hour:02}:00:00.000Z"
    return {**said, "createdAt": at, "eventData": data, "calls": calls, **changes}


async def test_announcements_that_were_given_up_name_their_runs_and_what_they_met(platform: Scripted) -> None:
    never_sent: dict[str, object] = {"calls": [], "webhookId": None}
    nobody: dict[str, object] = {"calls": [{"responseStatus": None, "errorMessage": "https://s3cret@a/"}]}
    others: list[dict[str, object]] = [
        {"status": "ACTIVE"},
        {"status": "SUCCEEDED"},
        {"eventType": "TEST", "eventData": None},
        {"eventType": "ACTOR.RUN.CREATED"},
        {"eventType": "ACTOR.BUILD.FAILED", "eventData": {"actorBuildId": "b1"}},
    ]
    found = [dispatch(16), dispatch(15, **never_sent), dispatch(14, **nobody), *(dispatch(13, **one) for one in others)]
    platform.says("/webhook-dispatches", {"data": {"items": [*found, dispatch(12), dispatch(11)]}})
    unheard = [one async for one in platform.source.unheard(platform.api, since=1795348800.0)]
    assert unheard == [
        Unheard("d16", "r16", "the last call of webhook w1 was answered with HTTP 404"),
        Unheard("d15", "r15", "a webhook was never sent"),
        Unheard("d14", "r14", "webhook w1 reached nobody"),
        Unheard("d12", "r12", "the last call of webhook w1 was answered with HTTP 404"),
    ]
    assert platform.asked == ["GET /v2/webhook-dispatches?desc=true&limit=100&offset=0"]


async def test_a_long_list_of_them_is_not_followed_for_ever(
    platform: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lasting, "_MOST", 2)
    platform.says("/webhook-dispatches", {"data": {"items": [dispatch(hour) for hour in (16, 15, 14)]}})
    assert [one.run_id async for one in platform.source.unheard(platform.api, since=0.0)] == ["r16", "r15"]


async def test_a_list_of_another_shape_is_trouble_that_may_pass(platform: Scripted) -> None:
    platform.says("/actor-runs", {"data": {"items": ["r1"]}})
    with pytest.raises(Transient):
        await anext(runs.listed(platform.api))
