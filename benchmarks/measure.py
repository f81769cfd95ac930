"""Processes that are measured: started, asked for what they used, and stopped again."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from redis import Redis

#: seconds for a process to say that it is ready, and to stop
START, STOP = 30.0, 15.0
#: where logs are written: on a disk they would wait for Valkey's fsyncs, which a pipe to a log collector does not
MEMORY = Path("/dev/shm")


class Failed(Exception):
    """A contender did not do its job, so there is nothing to compare."""


class Child:
    """A process that talks in lines: it says what it has to say on stdout, and is told on stdin to go on."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: IO[bytes]) -> None:
        self.name, self.process, self.log = name, process, log

    @property
    def pid(self) -> int:
        return self.process.pid

    async def line(self, seconds: float = START) -> str:
        """What it says next. Raises Failed if it ends or says nothing in time."""
        assert self.process.stdout
        try:
            async with asyncio.timeout(seconds):
                line = await self.process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            raise Failed(f"{self.name} ended, or said nothing for {seconds:g} s:\n{self._logged()}")
        return line.decode().strip()

    def _logged(self) -> str:
        self.log.seek(0)
        return self.log.read()[-2000:].decode(errors="replace")

    async def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"go\n")
        await self.process.stdin.drain()


@asynccontextmanager
async def running(module: str, *args: str | Path, environ: Mapping[str, str] | None = None) -> AsyncIterator[Child]:
    """`python -m module args…` while the block lasts."""
    with TemporaryFile("a+b", dir=MEMORY if MEMORY.exists() else None) as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *map(str, args),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**os.environ, **(environ or {})},
        )
        try:
            yield Child(module, process, log)
        finally:
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    assert process.stdin
    process.stdin.close()
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def cpu_seconds(*pids: int) -> float:
    """User and system time of the processes so far, with all their threads, to the nanosecond."""
    return sum(time.clock_gettime(_cpu_clock(pid)) for pid in pids)


def _cpu_clock(pid: int) -> int:
    """What clock_getcpuclockid(3) answers on Linux; `/proc/<pid>/stat` says the same in steps of 10 ms."""
    return (~pid << 3) | 2


def peak_mb(pid: int) -> float:
    """The most memory the process ever had resident (proc(5), `status`, VmHWM, in kB)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def redis_pid(url: str) -> int:
    with Redis.from_url(url) as redis:
        return int(redis.info("server")["process_id"])
