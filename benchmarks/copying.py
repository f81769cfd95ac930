"""A contender copies a dataset into a file, and is looked at while it does."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.comparison import Sample
from benchmarks.measure import Failed, cpu_seconds, peak_mb, redis_pid, running
from benchmarks.pages import ITEM_BYTES
from console.embedded import embedded_valkey

QUANTITIES = {"rate": "items/s", "cpu": "CPU s per 100 k", "rss": "peak MB"}
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


RUNRELAY = Copier("benchmarks.delivery", queue=True)
UNSYNCED = Copier("benchmarks.delivery", ["--no-fsync"], queue=True)
CLEAN = Copier("benchmarks.delivery", ["--clean"], exact=False, queue=True)
CURL = Copier("benchmarks.peers.curl")
SOCKET = Copier("benchmarks.peers.socket_copy")
OFFICIAL = Copier("benchmarks.peers.official_client", exact=False)


async def copy(copier: Copier, url: str, rows: int) -> Sample:
    """Raises Failed if the file does not hold every row."""
    with TemporaryDirectory() as folder, embedded_valkey() as redis:
        target = Path(folder) / "items.jsonl"
        environ = {"REDIS_URL": redis}
        async with running(copier.module, url, target, *copier.args, environ=environ) as child:
            await child.line()
            pids = [child.pid, *([redis_pid(redis)] if copier.queue else [])]
            before, began = cpu_seconds(*pids), time.perf_counter()
            await child.go()
            told = await child.line(MOST_SECONDS)
            took, used = time.perf_counter() - began, cpu_seconds(*pids) - before
            cpu, peak = _of_children(told)
            sample = {"rate": rows / took, "cpu": (used + cpu) / rows * 1e5, "rss": peak or peak_mb(child.pid)}
        check_rows(target, rows, exact=copier.exact)
    return sample


def _of_children(told: str) -> tuple[float, float]:
    """CPU seconds and peak MB of a process that the contender started and waited for; zeros without one."""
    _, *figures = told.split()
    return (float(figures[0]), float(figures[1])) if figures else (0.0, 0.0)


def check_rows(path: Path, rows: int, *, exact: bool) -> None:
    with path.open("rb") as file:
        found = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    size = path.stat().st_size
    if found != rows or (exact and size != rows * (ITEM_BYTES + 1)):
        raise Failed(f"{path.name} holds {found} rows and {size} bytes, not {rows} rows")
