"""How fast a dataset becomes a JSON Lines file, and what 100,000 items cost.

Runrelay delivers a whole run, from the accepted event to the receipt; its peers copy the same rows from the same
server, without a place to go on from and without counting. A second Runrelay leaves out `fsync`, as the peers do; a
third one takes every item apart and drops its hidden fields.
"""

import shutil
from functools import partial

from benchmarks import copying
from benchmarks.comparison import Comparison, in_turns
from benchmarks.copying import QUANTITIES, copy
from benchmarks.measure import running
from benchmarks.pages import ITEM_BYTES

#: Seconds the slow platform takes before each answer.
DELAY = 0.1

OURS = {
    "Runrelay": copying.RUNRELAY,
    "Runrelay, fsync off": copying.UNSYNCED,
    "Runrelay, clean: true": copying.CLEAN,
}
OFFICIAL = {"official client": copying.OFFICIAL}


def peers() -> dict[str, copying.Copier]:
    curl = {"curl -o file": copying.CURL} if shutil.which("curl") else {}
    return {**curl, "socket copy": copying.SOCKET, **OFFICIAL}


async def compare(repetitions: int, rows: int) -> Comparison:
    """Raises Failed if a file does not hold every row."""
    title = f"A dataset of {rows:,} items of {ITEM_BYTES} bytes → a JSON Lines file"
    return await _compared(title, OURS, peers(), repetitions, rows)


async def compare_slow(repetitions: int, rows: int) -> Comparison:
    """The same from a platform that is far away."""
    title = f"{rows:,} items, {DELAY * 1000:.0f} ms before each answer"
    return await _compared(title, {"Runrelay": copying.RUNRELAY}, OFFICIAL, repetitions, rows, delay=DELAY)


async def _compared(
    title: str,
    ours: dict[str, copying.Copier],
    others: dict[str, copying.Copier],
    repetitions: int,
    rows: int,
    delay: float = 0.0,
) -> Comparison:
    async with running("benchmarks.pages", str(rows), str(delay)) as pages:
        url = await pages.line()
        copies = {name: partial(copy, copier, url, rows) for name, copier in {**ours, **others}.items()}
        return Comparison(title, QUANTITIES, tuple(others), await in_turns(copies, repetitions))
