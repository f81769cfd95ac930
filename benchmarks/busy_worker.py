"""A worker, and small runs that come one after the other: `python -m … SMALL-URL LARGE-URL FOLDER NUMBER [--large]`.

With `--large` it is delivering a large dataset all the while. Says how many ms the small ones took, from the accepted
event to the finished delivery, by Redis' clock: median and 95th percentile.
"""

import argparse
import asyncio
from pathlib import Path
from statistics import quantiles

from benchmarks.measure import Failed
from benchmarks.small_runs import events
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
sources:
  apify: {{token: a-token, api_url: "{small}"}}
  large: {{type: apify, token: a-token, api_url: "{large}"}}
sinks: {{out: {{type: file, base: "{folder}"}}}}
routes:
  - {{name: small, when: {{source: apify}}, to: [{{sink: out}}]}}
  - {{name: large, when: {{source: large}}, to: [{{sink: out}}]}}
"""
LARGE = Event(id="1" * 64, source="large", run_id="LaRgE0RuN00000000", kind="ACTOR.RUN.SUCCEEDED")
#: seconds between two small runs, and between two looks
PACE, POLL = 0.05, 0.02


async def main(asked: argparse.Namespace) -> None:
    settings, table = load_settings(spool_dir=asked.folder), _table(asked)
    logs.configure(settings.log_level, "json", table.secrets)
    ready = asyncio.Event()
    worker = asyncio.create_task(work(settings, table, host="127.0.0.1", port=0, ready=lambda _: ready.set()))
    await ready.wait()
    told = ""
    async with RunQueue.connect(settings) as queue, my_turn(lambda: told):
        ledger = Ledger(queue.redis, queue.keys)
        if asked.large:
            await queue.accept([LARGE])
            await _under_way(ledger)
        taken = events(asked.number)
        for event in taken:
            await queue.accept([event])
            await asyncio.sleep(PACE)
        told = " ".join(f"{ms:.1f}" for ms in await _times(ledger, taken, large=asked.large))
    await worker  # the signal that ends this process reaches it


def _table(asked: argparse.Namespace) -> routes.RouteTable:
    path = asked.folder / "runrelay.yaml"
    path.write_text(ROUTES.format(small=asked.small_url, large=asked.large_url, folder=asked.folder))
    return routes.load(path)


async def _under_way(ledger: Ledger) -> None:
    while True:
        _, deliveries = await ledger.of_run(LARGE.source, LARGE.run_id)
        if deliveries and deliveries[0].checkpoint.offset:
            return
        await asyncio.sleep(POLL)


async def _times(ledger: Ledger, taken: list[Event], *, large: bool) -> tuple[float, float]:
    """Median and 95th percentile. Raises Failed unless all arrived, and while the large one went on."""
    times = [await _time(ledger, event) for event in taken]
    _, deliveries = await ledger.of_run(LARGE.source, LARGE.run_id)
    if large and deliveries[0].state.final:
        raise Failed("the large delivery was over before the small ones: let it be larger")
    cuts = quantiles(times, n=20)
    return cuts[9], cuts[18]


async def _time(ledger: Ledger, event: Event) -> float:
    while True:
        (record,), deliveries = await ledger.of_run(event.source, event.run_id)
        if deliveries and deliveries[0].state is DeliveryState.DELIVERED:
            return deliveries[0].ended - record.at
        if record.state.final and deliveries and deliveries[0].state.final:
            raise Failed(f"{deliveries[0].state}: {deliveries[0].reason} {deliveries[0].detail}")
        await asyncio.sleep(POLL)


if __name__ == "__main__":
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("small_url")
    wanted.add_argument("large_url")
    wanted.add_argument("folder", type=Path)
    wanted.add_argument("number", type=int)
    wanted.add_argument("--large", action="store_true")
    asyncio.run(main(wanted.parse_args()))
