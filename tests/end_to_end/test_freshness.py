"""A route that must deliver every six hours, with everything real: a run that is held does not count, one that is
delivered does, and somebody is told once, although each worker is killed before it looks."""

import json
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, cast

from config.settings import Settings
from tests.end_to_end.installation import Installation, eventually, installation
from tests.end_to_end.killing import starter

ROUTES = """
sinks: {disk: {type: file, base: "{folder}/results"}}
routes:
  - name: all
    freshness: {every: 6h}
    expect: {items: {min: 2}, else: [{sink: disk, name: held, send: run, path: "held.json"}]}
    to: [{sink: disk, path: "{{ run.id }}.jsonl"}]
alerts: {to: [{sink: disk}], kinds: [quarantined, stale], at_most: 100/1h}
"""
HOURS = 3600_000


async def test_a_stale_route_is_told_once_and_that_it_is_over(settings: Settings, tmp_path: Path, actors: Path) -> None:
    async with installation(settings, tmp_path, ROUTES, actors, working=False) as place:
        start = starter(settings, tmp_path, 2000)
        first = await place.ledger.now() - 7 * HOURS
        await cast("Awaitable[int]", place.ledger.redis.hset(place.ledger.keys.fresh, "all|since", str(first)))

        await look_away(place)
        worker = await start()
        try:
            run = (await place.start("local~pusher", {"items": 1}))["id"]
            await ended(place, run, {"expect": "delivered", "disk": "quarantined", "held": "delivered"})
            assert not await noted(place)
            await killed(worker)
            worker = await looking(place, start)
            (held, begun) = await eventually(lambda: told(tmp_path, 2))

            await look_away(place)
            run = (await place.start("local~pusher", {"items": 3}))["id"]
            await ended(place, run, {"expect": "delivered", "disk": "delivered"})
            await killed(worker)
            worker = await looking(place, start)
            (*_, over) = await eventually(lambda: told(tmp_path, 3))
            await killed(worker)
        finally:
            if worker.returncode is None:
                worker.kill()
            await worker.wait()
    found = [(one["kind"], one["count"]) for one in (held, begun, over)]
    assert found == [("quarantined", 1), ("stale", 1), ("stale", 0)]
    assert begun["text"].splitlines()[1].endswith(": every 6h is wanted, no delivery since that is wanted")
    assert over["over"] == ["route all is stale"]


async def look_away(place: Installation) -> None:
    """No worker has its turn at alerts."""
    await place.ledger.redis.set(place.ledger.keys.alarmed, 1)


async def looking(place: Installation, start: Any) -> Process:
    """A worker whose turn it is."""
    await place.ledger.redis.delete(place.ledger.keys.alarmed)
    worker: Process = await start()
    return worker


async def killed(worker: Process) -> None:
    worker.kill()
    assert await worker.wait() == -signal.SIGKILL


async def noted(place: Installation) -> bool:
    """Whether the route counts as having delivered."""
    return await cast("Awaitable[bool]", place.ledger.redis.hexists(place.ledger.keys.fresh, "all"))


async def ended(place: Installation, run: str, states: dict[str, str]) -> None:
    async def there() -> bool | None:
        _, deliveries = await place.ledger.of_run("apify", run)
        return {one.delivery.target: one.state.value for one in deliveries} == states or None

    await eventually(there)


async def told(folder: Path, number: int) -> list[dict[str, Any]] | None:
    """The alerts, oldest first, once there are so many."""
    found = [json.loads(each.read_text()) for each in (folder / "results/alerts").glob("*.json")]
    return sorted(found, key=lambda one: (one["at"], one["kind"])) if len(found) >= number else None
