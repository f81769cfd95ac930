"""A worker with everything on, and many small runs that wait for it: `python -m … URL FOLDER NUMBER`."""

import asyncio
import sys
from pathlib import Path

from benchmarks.measure import Failed
from benchmarks.turn import my_turn
from config import logs, routes
from config.contracts.delivery import DeliveryState
from config.contracts.event import Event, event_id
from config.queue import RunQueue
from config.settings import load_settings
from workers.ledger.ledger import Ledger
from workers.worker import work

ROUTES = """
version: 1
sources: {{apify: {{token: a-token, api_url: "{url}"}}}}
sinks: {{out: {{type: file, base: "{folder}"}}}}
routes: [{{name: all, to: [{{sink: out}}]}}]
"""
#: seconds between two looks at how many are through
POLL = 0.02


def events(number: int) -> list[Event]:
    names = [f"run{n:014d}" for n in range(number)]
    return [
        Event(id=event_id("apify", name, b""), source="apify", run_id=name, kind="ACTOR.RUN.SUCCEEDED")
        for name in names
    ]


async def main(url: str, folder: Path, number: int) -> None:
    settings, table = load_settings(spool_dir=folder), _table(url, folder)
    logs.configure(settings.log_level, "json", table.secrets)
    async with RunQueue.connect(settings) as queue:
        await queue.accept(events(number))
        ledger = Ledger(queue.redis, queue.keys)
        async with my_turn():
            worker = asyncio.create_task(work(settings, table, host="127.0.0.1", port=0))
            await _delivered(ledger, number)
        for record in await ledger.newest_deliveries(number):
            if record.state is not DeliveryState.DELIVERED:
                raise Failed(f"{record.state}: {record.reason} {record.detail}")
    await worker  # the signal that ends this process reaches it


def _table(url: str, folder: Path) -> routes.RouteTable:
    path = folder / "runrelay.yaml"
    path.write_text(ROUTES.format(url=url, folder=folder))
    return routes.load(path)


async def _delivered(ledger: Ledger, number: int) -> None:
    """Until nothing is open any more, and every run has led to a delivery."""
    while True:
        made = await ledger.redis.zcard(ledger.keys.deliveries)
        if made == number and not await ledger.open_records():
            return
        await asyncio.sleep(POLL)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
