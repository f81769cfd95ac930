"""A run that finishes starts the next Actor, whose run comes back through the door."""

import json
import shutil
from collections.abc import Awaitable
from pathlib import Path
from typing import cast

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from emulator.scenarios import Answer, Fault, Scenario, Truncate
from tests.end_to_end.installation import Installation, eventually, installation
from workers.ledger.records import DeliveryRecord

CHAIN = """\
sinks:
  next: {type: actor, source: apify}
  disk: {type: file, base: "{folder}/results"}
routes:
  - name: search
    when: {actor: local/pusher, status: SUCCEEDED}
    to: [{sink: next, actor: local/detail, batch: {items: 2}, input: {items: 1, row: {given: "{{ items }}"}}}]
  - name: detail
    when: {actor: local/detail, status: SUCCEEDED}
    to: [{sink: disk, path: "after-{{ event.runrelay.chain }}/{{ run.id }}.jsonl"}]
"""
CIRCLE = """\
sinks: {next: {type: actor, source: apify, max_chain: 2}}
routes:
  - {name: there, when: {actor: local/pusher}, to: [{sink: next, actor: local/detail, per: run, input: {}}]}
  - {name: back, when: {actor: local/detail}, to: [{sink: next, actor: local/pusher, per: run}]}
"""


def second_actor(actors: Path) -> None:
    shutil.copytree(actors / "pusher", actors / "detail")
    (actors / "detail" / "actor.yaml").write_text('name: detail\ncommand: ["{python}", "main.py"]\n')


async def test_an_actors_items_start_another_whose_results_arrive(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    second_actor(actors)
    async with installation(settings, tmp_path, CHAIN, actors) as place:
        run = await place.start("local~pusher", {"items": 5, "size": 1})
        _, (delivery,) = await place.finished(run["id"])
        started = (await place.api("GET", "/v2/acts/local~detail/runs"))["items"]
        for one in started:
            await place.finished(one["id"])
    assert delivery.state is DeliveryState.DELIVERED
    (row,) = delivery.checkpoint.receipts
    assert (row.delivered, row.out, row.status) == (5, 3, "balanced")
    arrived = sorted((tmp_path / "results" / "after-1").iterdir())
    assert [path.stem for path in arrived] == sorted(one["id"] for one in started)
    given = [json.loads(line)["given"] for path in arrived for line in path.read_text().splitlines()]
    assert sorted([item["n"] for item in batch] for batch in given) == [[0, 1], [2, 3], [4]]


async def test_answers_that_get_lost_start_nothing_twice(settings: Settings, tmp_path: Path, actors: Path) -> None:
    second_actor(actors)
    lossy = Scenario([Fault("POST /v2/acts/local~detail/runs", Truncate(0), times=2)])
    routes = CHAIN.replace("source: apify}", "source: apify, lag: 100ms}")
    async with installation(settings, tmp_path, routes, actors, scenario=lossy) as place:
        run = await place.start("local~pusher", {"items": 5, "size": 1})
        _, (delivery,) = await place.finished(run["id"])
        started = (await place.api("GET", "/v2/acts/local~detail/runs"))["items"]
    assert [fault.times for fault in lossy.faults] == [0]
    assert (delivery.state, len(started)) == (DeliveryState.DELIVERED, 3)


async def test_after_a_killed_worker_the_list_has_its_time(settings: Settings, tmp_path: Path, actors: Path) -> None:
    second_actor(actors)
    refused = Scenario([Fault("POST /v2/acts/local~detail/runs", Answer(503))])
    routes = CHAIN.replace("source: apify}", "source: apify, lag: 4s}")
    async with installation(settings, tmp_path, routes, actors, scenario=refused) as place:
        run = await place.start("local~pusher", {"items": 1})

        async def said(detail: str) -> DeliveryRecord | None:
            newest = await place.ledger.newest_deliveries(1)
            return next((one for one in newest if detail in one.detail), None)

        waiting = await eventually(lambda: said("HTTP 503"))
        await killed_at_work(place, waiting.delivery.id)
        await eventually(lambda: said("may not be listed yet"))
        assert (await place.api("GET", "/v2/acts/local~detail/runs"))["items"] == []
        _, (delivery,) = await place.finished(run["id"])
        started = (await place.api("GET", "/v2/acts/local~detail/runs"))["items"]
    assert (delivery.state, len(started)) == (DeliveryState.DELIVERED, 1)


async def killed_at_work(place: Installation, delivery_id: str) -> None:
    """As a worker leaves a record whose lease has run out."""
    redis, keys = place.ledger.redis, place.ledger.keys
    await cast("Awaitable[int]", redis.hset(keys.record("dl", delivery_id), "state", "running"))
    await redis.zadd(keys.due, {f"dl:{delivery_id}": 0}, xx=True)


async def test_actors_that_start_each_other_come_to_an_end(settings: Settings, tmp_path: Path, actors: Path) -> None:
    second_actor(actors)

    async with installation(settings, tmp_path, CIRCLE, actors) as place:

        async def dead() -> DeliveryRecord | None:
            newest = await place.ledger.newest_deliveries(10)
            return next((one for one in newest if one.state is DeliveryState.DEAD), None)

        await place.start("local~pusher", {})
        delivery = await eventually(dead)
        runs = (await place.api("GET", "/v2/actor-runs"))["items"]
    assert (delivery.delivery.route, delivery.reason) == ("there", "chain_too_long")
    assert delivery.detail == "it would be start 3 in a row, max_chain is 2: do Actors start each other?"
    assert [one["meta"].get("userAgent", "").rpartition(" ")[2] for one in runs][1:] == ["chain/1", "chain/2"]
