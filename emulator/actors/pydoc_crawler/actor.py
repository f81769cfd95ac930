"""The run from start to end: read the input, crawl, push items in batches, store two records."""

import asyncio
import json
import os
import platform
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

from .chart import bar_chart
from .crawl import Item, crawl, crawl_index, module_names
from .crawl_input import CrawlInput, parse_input
from .failures import ActorFailed, PlatformFailed
from .platform_api import PlatformApi, platform_api, run_place
from .tally import Tally

BATCH = 20  # items in one push: small, so that progress can be watched


class Results:
    """Takes items one by one; pushes them in batches and tells how far the run is."""

    def __init__(self, api: PlatformApi, expected: int) -> None:
        self.tally = Tally()
        self._api = api
        self._expected = expected
        self._pushed = 0
        self._batch: list[Item] = []

    async def take(self, item: Item) -> None:
        """Counts one item, and pushes the batch once it is full."""
        self.tally.add(item)
        self._batch.append(item)
        if "error" in item:
            log(f"No page for {item['name']}: {item['error']}")
        if len(self._batch) >= BATCH:
            await self.push()

    async def push(self) -> None:
        """Pushes what is left of a batch."""
        batch, self._batch = self._batch, []  # before the await: other servers go on taking
        if not batch:
            return
        await self._api.push_items(batch)
        self._pushed += len(batch)
        progress = f"{self._pushed} of {self._expected} modules crawled"
        log(progress)
        await self._api.say(progress)


def log(line: str) -> None:
    """One line of the run's log."""
    print(line, flush=True)


async def run_actor(api: PlatformApi) -> None:
    """The whole run. Raises: ActorFailed."""
    wish = parse_input(await api.read_input())
    names = module_names(wish.max_modules)
    log(f"Crawling {len(names)} modules of Python {platform.python_version()}, {wish.concurrency} servers")
    with TemporaryDirectory(prefix="pydoc-crawler-") as empty:
        index = await crawl_index(Path(empty), wish.page_timeout)
        log(f"The index lists {len(index)} modules")
        results = await crawl_all(api, names, wish, Path(empty))
    await store_records(api, results.tally, len(index))
    done = f"Done: {results.tally.modules} modules, {results.tally.errors} without a page"
    log(done)
    await api.say(done, is_last=True)


async def crawl_all(api: PlatformApi, names: list[str], wish: CrawlInput, folder: Path) -> Results:
    """Crawls every name and pushes every item."""
    results = Results(api, len(names))
    await crawl(names, servers=wish.concurrency, folder=folder, page_timeout=wish.page_timeout, take=results.take)
    await results.push()
    return results


async def store_records(api: PlatformApi, tally: Tally, index_modules: int) -> None:
    """Stores `OUTPUT` (JSON) and `SUMMARY` (SVG)."""
    output = json.dumps(tally.summary(index_modules), indent=2).encode()
    await api.store_record("OUTPUT", output, "application/json; charset=utf-8")
    chart = bar_chart(
        "The biggest pages of Python's documentation",
        f"HTML written by pydoc, Python {platform.python_version()}",
        tally.biggest(),
        f"{tally.modules} modules · {tally.classes:,} classes · {tally.functions:,} functions · "
        f"{tally.html_bytes / 1_000_000:.1f} MB of HTML · {tally.errors} without a page",
    )
    await api.store_record("SUMMARY", chart.encode(), "image/svg+xml")


async def run_on_platform() -> None:
    """Runs where the environment says, and leaves the reason of a failure as the run's last message."""
    async with platform_api(run_place(os.environ)) as api:
        try:
            await run_actor(api)
        except PlatformFailed:
            raise
        except ActorFailed as failed:
            await api.say(f"Failed: {failed}", is_last=True)
            raise


async def run_until_stopped() -> int:
    """Exit code: 0 done, 1 failed, 143 when the platform asked to stop (SIGTERM)."""
    work = asyncio.create_task(run_on_platform())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log("Stopped by the platform")
        return 128 + signal.SIGTERM
    except ActorFailed as failed:
        log(f"Failed: {failed}")
        return 1
    return 0


def main() -> int:
    """Runs the Actor; gives its exit code."""
    return asyncio.run(run_until_stopped())
