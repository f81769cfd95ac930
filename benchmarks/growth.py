"""How much memory a delivery needs, by the size of its dataset."""

from collections.abc import Sequence

from benchmarks.comparison import Comparison, Sample
from benchmarks.copying import QUANTITIES, RUNRELAY, copy
from benchmarks.measure import running
from benchmarks.pages import ITEM_BYTES


async def compare(sizes: Sequence[int]) -> Comparison:
    """One delivery of each size; the smallest is what the others are held against."""
    samples: dict[str, list[Sample]] = {}
    for rows in sizes:
        async with running("benchmarks.pages", str(rows)) as pages:
            samples[f"{rows:,} items"] = [await copy(RUNRELAY, await pages.line(), rows)]
    smallest = next(iter(samples))
    return Comparison(f"Runrelay's memory, items of {ITEM_BYTES} bytes", QUANTITIES, (smallest,), samples)
