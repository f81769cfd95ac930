"""`python -m tests.mutants [NAME …]`: break each guard in a copy of the project, and expect red."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.mutants import ROOT, Mutant, mutants

#: Seconds one test may take, and all of one mutant; a mutant that makes them hang is seen as well.
PATIENCE, MOST_SECONDS = 30, 60
#: What pytest says when tests ran and failed. Whatever else it says, they did not run: nobody has seen anything.
RED = 1
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "results", "__pycache__", ".*_cache", ".hypothesis")
_FAILED = re.compile(r"^(?:FAILED|ERROR) \S*::(\S+)", re.MULTILINE)


class Verdict(StrEnum):
    RED = "red"
    GREEN = "GREEN: no test saw it"
    ODD = "ODD: its tests did not run"


class Trial(NamedTuple):
    """How the tests went, and which was the first to fail."""

    verdict: Verdict
    seen_by: str = ""


def main() -> int:
    asked = parser().parse_args()
    chosen = [one for one in mutants() if not asked.names or one.name in asked.names]
    if unknown := set(asked.names) - {one.name for one in chosen}:
        print(f"no such mutant: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        survivors = [one.name for number, one in enumerate(chosen, 1) if not seen(one, copy, f"{number}/{len(chosen)}")]
    seconds = time.monotonic() - began
    print(f"{len(chosen)} guards broken, {len(chosen) - len(survivors)} seen by a test, in {seconds:.0f} s")
    if survivors:
        print(f"not seen: {' '.join(survivors)}", file=sys.stderr)
    return 1 if survivors else 0


def parser() -> argparse.ArgumentParser:
    wanted = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    wanted.add_argument("names", nargs="*", metavar="NAME", help="only these")
    return wanted


def seen(mutant: Mutant, copy: Path, place: str) -> bool:
    """Whether a test goes red once the guard is broken. Says so on a line or two."""
    began = time.monotonic()
    with broken(mutant, copy):
        trial = tried(mutant.tests, copy)
    seconds = time.monotonic() - began
    print(f"{place:>7} {seconds:5.1f} s  {trial.verdict:<4} {mutant.name}: {mutant.guards}", flush=True)
    if trial.seen_by:
        print(f"{'':17}{trial.seen_by}", flush=True)
    return trial.verdict is Verdict.RED


@contextmanager
def broken(mutant: Mutant, copy: Path) -> Iterator[None]:
    path = copy / mutant.file
    text = path.read_text()
    path.write_text(mutant.applied(text))
    try:
        yield
    finally:
        path.write_text(text)


def tried(tests: Sequence[str], copy: Path) -> Trial:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--timeout={PATIENCE}", *tests]
    environ = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=copy, env=environ, capture_output=True, text=True, timeout=MOST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Trial(Verdict.RED, "its tests came to no end")
    if done.returncode == RED:
        return Trial(Verdict.RED, ", ".join(_FAILED.findall(done.stdout)))
    return Trial(Verdict.GREEN if done.returncode == 0 else Verdict.ODD)


if __name__ == "__main__":
    sys.exit(main())
