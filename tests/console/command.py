"""Running `runrelay` as a user does, and looking for what it left behind."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: Temporary folders that were handed out.
ROOMS: set[Path] = set()
COMMAND = [sys.executable, "-P", "-m", "console.cli.main"]


@dataclass(frozen=True)
class Ended:
    """A command that is over."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of ours from outside. HOME is handed on to every process below, Actors included: it is their mark."""
    ours = ("RUNRELAY_", "REDIS_URL", "APIFY_", "HOOK_SECRET")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    python_path = os.pathsep.join(filter(None, [(more or {}).get("PYTHONPATH"), str(ROOT)]))
    room = room_of(home.parent)
    room.mkdir(exist_ok=True)
    ROOMS.add(room)
    return {**kept, "HOME": str(home), "TMPDIR": str(room), **(more or {}), "PYTHONPATH": python_path}


def room_of(folder: Path) -> Path:
    """Where commands in this folder put what is temporary. A short path: the queue server has its socket there."""
    return Path(tempfile.gettempdir()) / f"rrt-{hashlib.sha256(bytes(folder)).hexdigest()[:10]}"


def ran(words: Sequence[str], folder: Path, more: Mapping[str, str] | None = None, seconds: float = 100) -> Ended:
    """Run a command to its end in a folder."""
    done = subprocess.run(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(folder / "home", more),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def running(
    words: Sequence[str], folder: Path, more: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A command in a session of its own; killed with everything it marked if the test leaves it running."""
    process = subprocess.Popen(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(folder / "home", more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for pid in {process.pid, *left_of(folder)} if process.poll() is None else left_of(folder):
            with suppress(ProcessLookupError):  # it ended between the two lines
                os.kill(pid, 9)
        process.communicate()


def left_of(folder: Path) -> set[int]:
    """Processes that were started, at whatever distance, by a command in this folder and are still there."""
    found = {int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal() and _is_marked(each, folder)}
    return found - {os.getpid()}


def _is_marked(process: Path, folder: Path) -> bool:
    """By its environment or, since the queue server overwrites its own, by the
    folder it works in."""
    try:
        environ = b"\0" + (process / "environ").read_bytes() + b"\0"
        works_in = str((process / "cwd").readlink())
    except OSError:
        return False
    return f"\0HOME={folder / 'home'}\0".encode() in environ or works_in.startswith((str(room_of(folder)), str(folder)))


def plant(folder: Path, code: str) -> dict[str, str]:
    """Variables that make every Python below run this first."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": str(folder)}
