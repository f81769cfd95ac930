"""A target that is told of changes only: real runs on the emulator, real workers, some of which are killed."""

import asyncio
import signal
from pathlib import Path
from typing import Any

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from tests.end_to_end.far_side import FarSide, far_side
from tests.end_to_end.installation import Installation, installation
from tests.end_to_end.killing import starter
from workers.ledger.records import DeliveryRecord

ROUTES = """\
defaults: {{batch: {{items: 2}}}}
sinks: {{crm: {{type: http, url: "{url}"}}}}
routes:
  - name: prices
    when: {{status: SUCCEEDED}}
    to: [{{sink: crm, omit: [seen], only: {{change: [new, changed, removed], key: [url]}}}}]
"""
Told = list[tuple[str, str]]


def prices(**each: int) -> list[dict[str, Any]]:
    return [{"url": url, "price": price, "seen": f"{url}{price}"} for url, price in each.items()]


def heard(side: FarSide, since: int = 0) -> Told:
    return [(item["_change"], item["url"]) for item in side.items[since:]]


def has(side: FarSide) -> dict[str, int]:
    """What somebody has who does what they are told."""
    found: dict[str, int] = {}
    for item in side.items:
        if item["_change"] == "removed":
            del found[item["url"]]
        else:
            found[item["url"]] = item["price"]
    return found


async def run_of(place: Installation, **each: int) -> str:
    """A run that has left these prices, in this order."""
    run = await place.start("local~pusher", {"rows": prices(**each)}, waitForFinish=30)
    return str(run["id"])


async def ended(place: Installation, run: str) -> DeliveryRecord:
    _, (one,) = await place.finished(run)
    return one


async def overdue(place: Installation) -> None:
    """Whatever is under way is looked at at once, and not when its lease must have run out."""
    redis, keys = place.ledger.redis, place.ledger.keys
    for member in await redis.zrange(keys.due, 0, -1):
        await redis.zadd(keys.due, {member: 1}, xx=True)
        await redis.delete(keys.lease(member.decode().partition(":")[2]))


async def test_each_run_tells_what_differs_and_runs_that_wait_go_in_the_order_in_which_they_finished(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    async with (
        far_side() as side,
        installation(settings, tmp_path, ROUTES.format(url=side.url), actors, quiet="10ms") as place,
    ):
        first = await ended(place, await run_of(place, a=1, b=1, c=1))
        assert heard(side) == [("new", "a"), ("new", "b"), ("new", "c")]
        assert all("seen" not in item for item in side.items), "it is compared as it is sent"
        await ended(place, await run_of(place, c=1, b=1, a=1))
        assert heard(side, 3) == []
        await place.ledger.pause("target:prices/crm")
        waiting = [await run_of(place, a=1, b=price, d=1) for price in (2, 3)]
        await asyncio.sleep(0.5)
        await place.ledger.resume("target:prices/crm")
        ends = [await ended(place, run) for run in waiting]
        assert heard(side, 3) == [("changed", "b"), ("new", "d"), ("removed", "c"), ("changed", "b")]
        rows = [one.checkpoint.receipts[0] for one in (first, *ends)]
        assert [(row.read, row.added, row.filtered, row.delivered) for row in rows] == [
            (3, 0, 0, 3),
            (3, 1, 1, 3),
            (3, 0, 2, 1),
        ]


#: What each run leaves, what is told of it, and a checkpoint before which a worker dies, counted from its start, if
#: it does: of the second run when the far side has a batch that the ledger does not know of, of the third one when that
#: is the last batch of what is gone.
RUNS: list[tuple[dict[str, int], Told, str]] = [
    ({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, [("new", url) for url in "abcde"], ""),
    (
        {"a": 2, "b": 1, "c": 2, "f": 1},
        [("changed", "a"), ("changed", "c"), ("new", "f"), ("removed", "d"), ("removed", "e")],
        "6",
    ),
    ({"f": 1}, [("removed", url) for url in "abc"], "7"),
]


async def test_workers_that_are_killed_leave_no_change_out_and_tell_none_twice(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    deaths = [death for *_, death in RUNS if death]
    async with (
        far_side() as side,
        installation(settings, tmp_path, ROUTES.format(url=side.url), actors, working=False, quiet="10ms") as place,
    ):
        start = starter(settings, tmp_path, 1000)
        worker = await start("crm", deaths.pop(0))
        try:
            for run, expected, death in RUNS:
                before = len(side.items)
                id = await run_of(place, **run)
                if death:
                    assert await asyncio.wait_for(worker.wait(), 30) == -signal.SIGKILL
                    await overdue(place)
                    worker = await start(*(("crm", deaths.pop(0)) if deaths else ()))
                one = await ended(place, id)
                assert (one.state, one.checkpoint.receipts[0].status) == (DeliveryState.DELIVERED, "balanced")
                assert sorted(heard(side, before)) == sorted(expected)
                assert has(side) == run
        finally:
            if worker.returncode is None:
                worker.kill()
            await worker.wait()
    assert len(side.requests) == len(side.taken) + 2, "two batches came again, each under its own key"
