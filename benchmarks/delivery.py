"""A worker with everything on, and one run for it to deliver: `python -m … URL FILE [--no-fsync] [--clean]`.

What is measured goes from the accepted event to the finished delivery: the wake-ups through arq, the run fetched and
planned, leases, slices, one checkpoint in Valkey and one fsync of the file per page, the receipt.
"""

import argparse
import asyncio
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
routes: [{{name: all, read: {{dataset: default, clean: {clean}}}, to: [{{sink: out, path: "{name}"}}]}}]
"""
EVENT = Event(id="0" * 64, source="apify", run_id=RUN_ID, kind="ACTOR.RUN.SUCCEEDED")
#: seconds between two looks at the delivery
POLL = 0.01


async def main(url: str, target: Path, *, fsync: bool, clean: bool) -> None:
    settings, table = load_settings(spool_dir=target.parent), _table(url, target, fsync=fsync, clean=clean)
    logs.configure(settings.log_level, "json", table.secrets)
    ready = asyncio.Event()
    worker = asyncio.create_task(work(settings, table, host="127.0.0.1", port=0, ready=lambda _: ready.set()))
    await ready.wait()
    async with RunQueue.connect(settings) as queue, my_turn():
        await queue.accept([EVENT])
        await _delivered(Ledger(queue.redis, queue.keys))
    await worker  # the signal that ends this process reaches it


def _table(url: str, target: Path, **switches: bool) -> routes.RouteTable:
    path = target.with_name("runrelay.yaml")
    written = {name: str(on).lower() for name, on in switches.items()}
    path.write_text(ROUTES.format(url=url, folder=target.parent, name=target.name, **written))
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
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("url")
    wanted.add_argument("file", type=Path)
    wanted.add_argument("--no-fsync", action="store_true")
    wanted.add_argument("--clean", action="store_true")
    asked = wanted.parse_args()
    asyncio.run(main(asked.url, asked.file, fsync=not asked.no_fsync, clean=asked.clean))
