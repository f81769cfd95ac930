"""The night shift, with everything real: what is held, a target that is dead for a while, and who is told."""

import asyncio
import json
from collections.abc import Awaitable
from functools import partial
from pathlib import Path
from typing import Any, cast

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from console.cli.main import main
from tests.end_to_end.far_side import FarSide, far_side
from tests.end_to_end.installation import Installation, eventually, installation
from workers.ledger.records import DeliveryRecord

RUNS = 30
LANE = "target:all/crm"


def both(side: FarSide) -> str:
    return f"""\
sinks:
  crm: {{type: http, url: "{side.url}", retry: {{backoff: [0s, 1h]}}}}
  disk: {{type: file, base: "{{folder}}/results"}}
routes: [{{name: all, to: [{{sink: crm}}, {{sink: disk, path: "{{{{ run.id }}}}.jsonl"}}]}}]
alerts: {{to: [{{sink: disk}}], kinds: [failing, paused]}}
"""


async def said(place: Installation, *words: str) -> int:
    """A command, as somebody in the folder of the file says it."""
    config = str(place.table.file)
    return await asyncio.to_thread(main, [*words, "--config", config])


async def delivery_to(place: Installation, run: str, target: str) -> DeliveryRecord | None:
    _, deliveries = await place.ledger.of_run("apify", run)
    return next((one for one in deliveries if one.delivery.target == target), None)


async def delivered(place: Installation, runs: list[str], target: str) -> None:
    """Wait until all of them have come to that target."""

    async def all_there() -> bool | None:
        ones = [await delivery_to(place, run, target) for run in runs]
        return all(one and one.state is DeliveryState.DELIVERED for one in ones) or None

    await eventually(all_there)


async def test_a_held_target_waits_while_the_other_one_delivers(
    settings: Settings, tmp_path: Path, actors: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    async with far_side() as side, installation(settings, tmp_path, both(side), actors) as place:
        assert await said(place, "pause", "target", "crm") == 0
        run = (await place.start("local~pusher", {"items": 3}))["id"]
        await delivered(place, [run], "disk")
        held = await delivery_to(place, run, "crm")
        assert held
        assert (held.state, held.attempt, side.requests) == (DeliveryState.WAITING, 0, [])
        assert await said(place, "resume", "target", "crm") == 0
        await delivered(place, [run], "crm")
    assert [item["n"] for item in side.items] == [0, 1, 2]


async def test_a_run_without_rows_says_nothing_of_a_dead_target(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    async with far_side() as side, installation(settings, tmp_path, both(side), actors) as place:
        now = str(await place.ledger.now())
        circuit = {"opened": now, "probe_at": now}
        await cast("Awaitable[int]", place.ledger.redis.hset(place.ledger.keys.circuit(LANE), mapping=circuit))
        await cast("Awaitable[int]", place.ledger.redis.sadd(place.ledger.keys.open, LANE))
        run = (await place.start("local~pusher", {"items": 0}))["id"]
        await delivered(place, [run], "crm")
        assert (await is_open(place), side.requests) == (True, [])
        run = (await place.start("local~pusher", {"items": 1}))["id"]
        await delivered(place, [run], "crm")
        assert (await is_open(place), len(side.requests)) == (False, 1)


async def test_a_dead_target_is_asked_seldom_delays_nobody_and_gets_everything_once(
    settings: Settings, tmp_path: Path, actors: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("workers.care.alarms.ASK", 0.1)
    monkeypatch.setattr("workers.care.alarms.EVERY", 0.1)
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    async with far_side() as side, installation(settings, tmp_path, both(side), actors) as place:
        side.always = 503
        runs = [(await place.start("local~pusher", {"items": 2}))["id"] for _ in range(RUNS)]
        await delivered(place, runs, "disk")
        await eventually(partial(nobody_at_work, place, runs))
        assert await is_open(place)
        before = len(side.requests)
        # As many as had a place may have been on their way when the fifth of them opened the circuit.
        assert before <= 5 + settings.places
        for _ in range(3):
            asked = len(side.requests)
            await probe(place)
            await eventually(partial(grew, side, asked))
        await asyncio.sleep(1.0)
        assert len(side.requests) == before + 3
        assert side.items == []
        # Those that tried for all have paid for none of it.
        await eventually(partial(nobody_at_work, place, runs))
        assert sum([one.attempt for run in runs if (one := await delivery_to(place, run, "crm"))]) == before
        alert = await eventually(partial(told, tmp_path))
        side.always = 200
        await probe(place)
        await delivered(place, runs, "crm")
        attempts = [one.attempt for run in runs if (one := await delivery_to(place, run, "crm"))]
    assert sorted(item["n"] for item in side.items) == [0] * RUNS + [1] * RUNS
    assert len(side.taken) == RUNS
    assert len(side.requests) == before + 3 + RUNS
    assert max(attempts) <= 1
    assert (alert["kind"], alert["about"][0]["route"], alert["about"][0]["target"]) == ("failing", "all", "crm")


async def nobody_at_work(place: Installation, runs: list[str]) -> bool | None:
    ones = [await delivery_to(place, run, "crm") for run in runs]
    return all(one and one.state is DeliveryState.WAITING for one in ones) or None


async def is_open(place: Installation) -> bool:
    return await cast("Awaitable[bool]", place.ledger.redis.sismember(place.ledger.keys.open, LANE))


async def probe(place: Installation) -> None:
    """The time of the next try has come."""
    circuit = place.ledger.keys.circuit(LANE)
    assert await is_open(place)
    await cast("Awaitable[int]", place.ledger.redis.hset(circuit, "probe_at", "0"))


async def grew(side: FarSide, before: int) -> bool | None:
    return len(side.requests) > before or None


async def told(folder: Path) -> dict[str, Any] | None:
    """The first alert."""
    found = sorted((folder / "results/alerts").glob("*-failing-*.json"))
    return dict(json.loads(found[0].read_text())) if found else None
