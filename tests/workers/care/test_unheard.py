"""Announcements that the platform has given up lead to their runs, too."""

import base64
import json
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from config.contracts.api import Api
from config.contracts.event import digest
from config.contracts.run import Run
from config.sources.apify import ApifySource
from emulator.scenarios import Answer, Fault, Lose
from tests.workers.care.conftest import OFTEN, Place

#: The platform lists no run, as if all had begun before anybody looks back.
NOTHING = Fault("GET /v2/actor-runs", Answer(200, b'{"data": {"items": []}}'), times=100)
HIDDEN = b'{"error": {"type": "insufficient-permissions", "message": "not for this token"}}'


async def announced(place: Place, below: str, end: str = "SUCCEEDED") -> str:
    """The id of a run that has ended and whose webhook led to this path of the platform itself, once."""
    url = place.platform.source.manners.base_url.removesuffix("/v2") + below
    hook = {"eventTypes": [f"ACTOR.RUN.{end}"], "requestUrl": url, "doNotRetry": True}
    webhooks = base64.b64encode(json.dumps([hook]).encode()).decode()
    answer = await place.platform.api.send(
        "POST", "/acts/local~writer/runs", {"webhooks": webhooks, "waitForFinish": 60}
    )
    run: dict[str, Any] = json.loads(answer.body)["data"]
    while (await dispatches(place))[0]["status"] == "ACTIVE":
        pass
    return str(run["id"])


async def dispatches(place: Place) -> list[dict[str, Any]]:
    """The newest first."""
    answer = await place.platform.api.get("/webhook-dispatches", {"desc": "true"})
    found: list[dict[str, Any]] = json.loads(answer.body)["data"]["items"]
    return found


async def test_a_run_that_no_list_of_runs_has_is_found_by_its_dispatch(place: Place) -> None:
    await place.reconciler.begin()
    run = await announced(place, "/nowhere")
    (dispatch,) = await dispatches(place)
    place.platform.scenario.add(NOTHING)
    with capture_logs() as logs:
        assert await place.turn() == [run]
        assert await place.turn() == [run]
    (event,) = await place.ledger.newest_events(10)
    assert (event.id, event.via) == (digest("apify", run, await place.life(run)), "reconcile")
    (line,) = logs
    webhook = dispatch["webhookId"]
    assert (
        line["hint"] == f"webhooks are evidently broken: the last call of webhook {webhook} was answered with HTTP 404"
    )
    assert line["missed"] == 1


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that were asked for one by one."""
    ids: list[str] = []
    honest = ApifySource.run

    async def counted(self: ApifySource, api: Api, run_id: str, /) -> Run:
        ids.append(run_id)
        return await honest(self, api, run_id)

    monkeypatch.setattr(ApifySource, "run", counted)
    return ids


async def test_a_listed_run_is_taken_once_and_its_dispatch_says_why(place: Place, fetched: list[str]) -> None:
    await place.reconciler.begin()
    place.platform.scenario.add(Fault("WEBHOOK ACTOR.RUN.*", Lose()))
    run = await announced(place, "/nowhere")
    with capture_logs() as logs:
        assert await place.turn() == [run]
    assert [line["hint"].rpartition(" ")[0] for line in logs] == [
        f"webhooks are evidently broken: webhook {(await dispatches(place))[0]['webhookId']} was never"
    ]
    assert fetched == []


async def test_a_dispatch_that_was_taken_leads_nowhere(place: Place) -> None:
    await place.reconciler.begin()
    await announced(place, "/v2/acts/local~writer/runs")  # starts another one, which answers 201
    place.platform.scenario.add(NOTHING)
    assert (await dispatches(place))[0]["status"] == "SUCCEEDED"
    assert await place.turn() == []


async def test_nothing_older_than_the_first_start_is_found(place: Place, redis: Redis) -> None:
    await announced(place, "/nowhere")
    place.platform.scenario.add(NOTHING)
    await place.reconciler.begin()
    assert await place.turn() == []


async def test_a_run_is_fetched_once_and_one_that_is_gone_is_forgotten(place: Place, fetched: list[str]) -> None:
    await place.reconciler.begin()
    run, gone = await announced(place, "/nowhere"), await announced(place, "/nowhere")
    await place.platform.api.send("DELETE", f"/actor-runs/{gone}")
    place.platform.scenario.add(NOTHING)
    for _ in range(3):
        assert await place.turn() == [run]
    assert sorted(fetched) == sorted([run, gone])


async def test_a_token_that_may_not_know_costs_one_line_an_hour(place: Place) -> None:
    await place.reconciler.begin()
    run = await place.platform.finished_run({})
    refusals = Fault("GET /v2/webhook-dispatches", Answer(403, HIDDEN), times=2)
    place.platform.scenario.add(refusals)
    with capture_logs() as logs:
        assert await place.turn() == [run]
        await place.reconciler.look(OFTEN)
    assert [line["event"] for line in logs] == ["reconciler.dispatches_hidden", "reconciler.webhooks_missing"]
    assert refusals.times == 1
