"""What kills every process that works on it becomes a dead letter, and its neighbours are delivered."""

import asyncio
from pathlib import Path

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from tests.end_to_end.deadly import DIED
from tests.end_to_end.installation import Installation, installation
from tests.end_to_end.killing import starter
from workers.ledger.records import DeliveryRecord

ROUTES = """
sinks:
  disk: {type: file, base: "{folder}/results"}
  grave: {type: tests.end_to_end.deadly, base: "{folder}/grave"}
routes: [{name: all, to: [{sink: disk}, {sink: grave}]}]
"""
LEASE = 2000
#: Two in company, five alone.
DEATHS = 7


async def test_what_kills_its_process_again_and_again_is_poison(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    async with installation(settings, tmp_path, ROUTES, actors, working=False) as place:
        run = (await place.start("local~pusher", {"items": 3}))["id"]
        start, deaths = starter(settings, tmp_path, LEASE), 0
        worker = await start()
        try:
            while not (ends := await ended(place, run)):
                if worker.returncode is None:
                    await asyncio.sleep(0.05)
                    continue
                assert worker.returncode == DIED
                deaths += 1
                await time_passes(place)
                worker = await start()
        finally:
            if worker.returncode is None:
                worker.kill()
            await worker.wait()
    found = {one.delivery.target: (one.state, one.reason) for one in ends}
    assert found == {"disk": (DeliveryState.DELIVERED, ""), "grave": (DeliveryState.DEAD, "poison")}
    assert deaths == DEATHS


async def ended(place: Installation, run: str) -> list[DeliveryRecord]:
    _, deliveries = await place.ledger.of_run("apify", run)
    return deliveries if len(deliveries) == 2 and all(one.state.final for one in deliveries) else []


async def time_passes(place: Installation) -> None:
    """Every lease runs out, and everything is overdue."""
    ledger = place.ledger
    leases = [key async for key in ledger.redis.scan_iter(ledger.keys.lease("*"))]
    if leases:
        await ledger.redis.delete(*leases)
    members = await ledger.redis.zrange(ledger.keys.due, 0, -1)
    if members:
        await ledger.redis.zadd(ledger.keys.due, dict.fromkeys(members, 1), xx=True)
