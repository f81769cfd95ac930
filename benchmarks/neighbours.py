"""What small runs notice of a large delivery in the same worker: alone, and beside one of five million items."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.comparison import Comparison, Sample, in_turns
from benchmarks.measure import running
from benchmarks.runs import ITEMS, MOST_SECONDS
from console.embedded import embedded_valkey

QUANTITIES = {"p50": "p50 ms", "p95": "p95 ms"}
LARGE = 5_000_000
ALONE, BESIDE = "alone", f"beside {LARGE:,} items"


async def compare(repetitions: int, number: int) -> Comparison:
    """Raises Failed if one does not arrive, or if the large delivery was over too soon."""
    async with running("benchmarks.pages", str(ITEMS)) as small, running("benchmarks.pages", str(LARGE)) as large:
        urls = await small.line(), await large.line()
        contenders = {
            ALONE: partial(deliver, urls, number, []),
            BESIDE: partial(deliver, urls, number, ["--large"]),
        }
        samples = await in_turns(contenders, repetitions)
    return Comparison(f"{number:,} runs of {ITEMS} items, one after the other", QUANTITIES, (ALONE,), samples)


async def deliver(urls: Sequence[str], number: int, args: Sequence[str]) -> Sample:
    with TemporaryDirectory() as folder, embedded_valkey() as redis:
        more = {"REDIS_URL": redis}
        async with running("benchmarks.busy_worker", *urls, Path(folder), str(number), *args, environ=more) as child:
            await child.line()
            await child.go()
            _, p50, p95 = (await child.line(MOST_SECONDS)).split()
    return {"p50": float(p50), "p95": float(p95)}
