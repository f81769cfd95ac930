"""`python -m tests.faults [--seed N] [--long] [--only PHASE] [--keep DIR]`; `--judge DIR`: look at a run again."""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from redis.asyncio import Redis

from tests.faults.checker import judge
from tests.faults.dump import dump
from tests.faults.evidence import Evidence
from tests.faults.plan import PHASES, Plan, plan
from tests.faults.report import print_report
from tests.faults.rig import TARGETS, Rig, rig

#: Seconds within which the last work must be done, and after which nobody waits any longer.
DRAINED, PATIENCE = 60.0, 180.0


async def play(folder: Path, seed: int, wanted: Plan) -> None:
    """One installation, one phase after the other; then everything is written down."""
    async with rig(folder, seed) as here:
        await _undisturbed(here)
        here.history.tell("begin", seed=seed, targets=TARGETS, wanted=wanted.wanted, phases=wanted.names)
        for name, phase in wanted.phases:
            here.say(f"{name} …")
            here.announcer.phase = name
            here.history.tell("phase", name=name)
            await phase(here)
        here.stream.rate = 0
        await _drain(here, wanted.names[-1])
        async with Redis.from_url(here.valkey.url) as redis:
            await dump(redis, here.history)


async def _undisturbed(here: Rig) -> None:
    """One run must arrive before anything is broken. Raises RuntimeError."""
    here.announcer.announce(await here.platform.run(10))
    if await here.drained(20.0) is None:
        raise RuntimeError(f"the installation does not deliver even when nobody disturbs it; see {here.folder}/logs")


async def _drain(here: Rig, after: str) -> None:
    seconds = await here.drained(PATIENCE)
    here.history.tell(
        "drained", seconds=seconds, after=after, allowed=DRAINED, most=PATIENCE, open=here.backlog + here.announcer.open
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="everything random follows from it")
    parser.add_argument("--long", action="store_true", help="the nightly tier: larger numbers")
    parser.add_argument("--only", choices=PHASES, action="append", help="only this phase; may be given again")
    parser.add_argument("--keep", type=Path, help="a new folder for everything; kept in any case")
    parser.add_argument("--judge", type=Path, help="only judge the folder of an earlier run")
    asked = parser.parse_args()
    if asked.judge:
        return _judge(asked.judge, 0.0, "")
    seed = random.SystemRandom().randrange(1_000_000) if asked.seed is None else asked.seed
    folder = (asked.keep or Path(tempfile.mkdtemp(prefix="runrelay-faults-")) / "run").resolve()
    folder.mkdir(parents=True)
    words = [f"--seed {seed}", *(["--long"] if asked.long else []), *(f"--only {name}" for name in asked.only or ())]
    again = f"python -m tests.faults {' '.join(words)}"
    print(f"seed {seed}; everything goes to {folder}", flush=True)
    began = time.monotonic()
    asyncio.run(play(folder, seed, plan(long=asked.long, only=asked.only)))
    code = _judge(folder, time.monotonic() - began, again)
    if code == 0 and not asked.keep:
        shutil.rmtree(folder.parent, ignore_errors=True)
    return code


def _judge(folder: Path, seconds: float, again: str) -> int:
    seen = Evidence.of(folder)
    broken = judge(seen)
    print_report(seen, broken, seconds, again)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
