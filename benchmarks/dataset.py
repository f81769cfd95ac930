"""How fast a dataset becomes a JSON Lines file, and what 100,000 items cost.

Runrelay delivers a whole run, from the accepted event to the receipt; its peers copy the same rows from the same
server, without a place to go on from and without counting. A second Runrelay leaves out `fsync`, as the peers do.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.comparison import Comparison, Sample, in_turns
from benchmarks.measure import Failed, cpu_seconds, peak_mb, redis_pid, running
from benchmarks.pages import ITEM_BYTES
from console.embedded import embedded_valkey

RUNRELAY, UNSYNCED, SOCKET, OFFICIAL = "Runrelay", "Runrelay, fsync off", "socket copy", "official client"
#: seconds one copy may take
MOST_SECONDS = 300.0


@dataclass(frozen=True)
class Copier:
    """A contender.

    Attributes:
        args: after the URL and the file.
        exact: whether it keeps the bytes of the items; if not, only the lines are counted.
        queue: whether it needs Valkey, whose CPU then counts too.
    """

    module: str
    args: Sequence[str] = ()
    exact: bool = True
    queue: bool = False


COPIERS = {
    RUNRELAY: Copier("benchmarks.delivery", ["true"], queue=True),
    UNSYNCED: Copier("benchmarks.delivery", ["false"], queue=True),
    SOCKET: Copier("benchmarks.peers.socket_copy"),
    OFFICIAL: Copier("benchmarks.peers.official_client", exact=False),
}


async def compare(repetitions: int, rows: int) -> Comparison:
    """Raises Failed if a file does not hold every row."""
    async with running("benchmarks.pages", str(rows)) as pages:
        url = await pages.line()
        copies = {name: partial(copy, copier, url, rows) for name, copier in COPIERS.items()}
        samples = await in_turns(copies, repetitions)
    return Comparison(
        title=f"A dataset of {rows:,} items of {ITEM_BYTES} bytes → a JSON Lines file",
        quantities={"rate": "items/s", "cpu": "CPU s per 100 k", "rss": "peak MB"},
        peers=(SOCKET, OFFICIAL),
        samples=samples,
    )


async def copy(copier: Copier, url: str, rows: int) -> Sample:
    with TemporaryDirectory() as folder, embedded_valkey() as redis:
        target = Path(folder) / "items.jsonl"
        environ = {"REDIS_URL": redis}
        async with running(copier.module, url, target, *copier.args, environ=environ) as child:
            await child.line()
            pids = [child.pid, *([redis_pid(redis)] if copier.queue else [])]
            before, began = cpu_seconds(*pids), time.perf_counter()
            await child.go()
            await child.line(MOST_SECONDS)
            took, used = time.perf_counter() - began, cpu_seconds(*pids) - before
            peak = peak_mb(child.pid)
        check_rows(target, rows, exact=copier.exact)
    return {"rate": rows / took, "cpu": used / rows * 1e5, "rss": peak}


def check_rows(path: Path, rows: int, *, exact: bool) -> None:
    with path.open("rb") as file:
        found = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    size = path.stat().st_size
    if found != rows or (exact and size != rows * (ITEM_BYTES + 1)):
        raise Failed(f"{path.name} holds {found} rows and {size} bytes, not {rows} rows")
