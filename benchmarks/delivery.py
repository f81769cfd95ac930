"""A worker with everything on, and one run for it to deliver: `python -m … URL FILE FSYNC`.

What is measured goes from the accepted event to the finished delivery: the wake-ups through arq, the run fetched and
planned, leases, slices, one checkpoint in Valkey and one fsync of the file per batch, the receipt.
"""

import asyncio
import sys
from pathlib import Path

from benchmarks.measure import Failed
from benchmarks.pages import RUN_ID
from benchmarks.turn import my_turn
from config import logs, routes
from config.contracts.delivery import DeliveryState
from config.contracts.event import Event
from config.queue import RunQueue
from config.settings import load_settings
from workers.ledger.ledger import Ledger
from workers.worker import work

ROUTES = """
version: 1
sources: {{apify: {{token: a-token, api_url: "{url}"}}}}
sinks: {{out: {{type: file, base: "{folder}", fsync: {fsync}}}}}
routes: [{{name: all, to: [{{sink: out, path: "{name}"}}]}}]
"""
EVENT = Event(id="0" * 64, source="apify", run_id=RUN_ID, kind="ACTOR.RUN.SUCCEEDED")
#: seconds between two looks at the delivery
POLL = 0.01


async def main(url: str, target: Path, fsync: str) -> None:
    settings, table = load_settings(spool_dir=target.parent), _table(url, target, fsync)
    logs.configure(settings.log_level, "json", table.secrets)
    ready = asyncio.Event()
    worker = asyncio.create_task(work(settings, table, host="127.0.0.1", port=0, ready=lambda _: ready.set()))
    await ready.wait()
    async with RunQueue.connect(settings) as queue, my_turn():
        await queue.accept([EVENT])
        await _delivered(Ledger(queue.redis, queue.keys))
    await worker  # the signal that ends this process reaches it


def _table(url: str, target: Path, fsync: str) -> routes.RouteTable:
    path = target.with_name("runrelay.yaml")
    path.write_text(ROUTES.format(url=url, folder=target.parent, name=target.name, fsync=fsync))
    return routes.load(path)


async def _delivered(ledger: Ledger) -> None:
    while True:
        for record in await ledger.newest_deliveries(1):
            if record.state is DeliveryState.DELIVERED:
                return
            if record.state.final:
                raise Failed(f"{record.state}: {record.reason} {record.detail}")
        await asyncio.sleep(POLL)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
