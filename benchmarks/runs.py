"""How many small runs a worker delivers a second: ten items, one file each, finished long enough ago to be settled."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.comparison import Comparison, Sample, in_turns
from benchmarks.measure import Failed, cpu_seconds, peak_mb, redis_pid, running
from console.embedded import embedded_valkey

QUANTITIES = {"rate": "runs/s", "cpu": "CPU ms per run", "rss": "peak MB"}
ITEMS = 10
#: seconds all runs together may take
MOST_SECONDS = 300.0
OURS = "Runrelay"
PEERS = ("hand-rolled, arq's defaults", "hand-rolled, arq tuned")


async def compare(repetitions: int, number: int) -> Comparison:
    """Raises Failed if a file does not hold every row."""
    async with running("benchmarks.pages", str(ITEMS)) as pages:
        url = await pages.line()
        contenders = {
            OURS: partial(deliver, "benchmarks.small_runs", [], url, number),
            PEERS[0]: partial(deliver, "benchmarks.peers.handrolled", [], url, number),
            PEERS[1]: partial(deliver, "benchmarks.peers.handrolled", ["--tuned"], url, number),
        }
        samples = await in_turns(contenders, repetitions)
    return Comparison(f"{number:,} runs of {ITEMS} items → a file each", QUANTITIES, PEERS, samples)


async def deliver(module: str, args: Sequence[str], url: str, number: int) -> Sample:
    with TemporaryDirectory() as name, embedded_valkey() as redis:
        folder = Path(name)
        async with running(module, url, folder, str(number), *args, environ={"REDIS_URL": redis}) as child:
            await child.line()
            pids = [child.pid, redis_pid(redis)]
            before, began = cpu_seconds(*pids), time.perf_counter()
            await child.go()
            await child.line(MOST_SECONDS)
            took, used = time.perf_counter() - began, cpu_seconds(*pids) - before
            sample = {"rate": number / took, "cpu": used / number * 1000, "rss": peak_mb(child.pid)}
        check(folder, number)
    return sample


def check(folder: Path, number: int) -> None:
    rows = [path.read_bytes().count(b"\n") for path in folder.glob("run*.jsonl")]
    if rows != [ITEMS] * number:
        raise Failed(f"{len(rows)} files with {sum(rows)} rows, not {number} with {ITEMS} each")
