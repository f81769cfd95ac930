"""Processes that are there again at once whenever they are gone."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import msgspec

from console.processes import bound_to_us
from tests.faults.history import History

_ROOT = Path(__file__).resolve().parents[2]


class Nursery:
    """The other end of `tests.faults.nursery`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._one = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, log: Path) -> AsyncIterator[Self]:
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "tests.faults.nursery"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": str(_ROOT)},
                start_new_session=True,
                preexec_fn=bound_to_us(signal.SIGKILL),
            )
        try:
            assert process.stdout is not None
            if await process.stdout.readline() != b"ready\n":
                raise RuntimeError(f"the nursery did not start; see {log}")
            yield cls(process)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def fork(self, order: Mapping[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._one:
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")
            return int(await self._process.stdout.readline())


class Post:
    """One process that is started again whenever it ends.

    words: its command. env: asked for at each start. failpoint: asked at each start; None for an undisturbed life.
    """

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        nursery: Nursery,
        history: History,
        folder: Path,
        env: Callable[[], Mapping[str, str]],
        failpoint: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.name, self.words, self.nursery, self.history = (name, list(words), nursery, history)
        self.log = folder / "logs" / f"{name}.log"
        self.env, self.failpoint = env, failpoint
        self.pid, self.lives = 0, 0
        self._fd = -1
        self._up, self._wanted = asyncio.Event(), True
        self._keeping: asyncio.Task[None] | None = None

    async def up(self) -> None:
        await self._up.wait()

    def send(self, number: signal.Signals) -> None:
        """To the process itself, never to a later one with its number."""
        if self._fd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, number)

    def start(self) -> None:
        self._wanted = True
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self, number: signal.Signals = signal.SIGTERM, patience: float = 15.0) -> None:
        """End it for good, or until `start`; politely first."""
        self._wanted = False
        if self._keeping is None:
            return
        self.send(number)
        try:
            await asyncio.wait_for(asyncio.shield(self._keeping), patience)
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self._keeping
        self._keeping = None

    async def _keep(self) -> None:
        while self._wanted:
            await self._live()

    async def _live(self) -> None:
        point = self.failpoint()
        order = {
            "words": self.words,
            "env": dict(self.env()),
            "log": str(self.log),
            "history": str(self.history.path),
            "failpoint": point,
        }
        self.pid = await self.nursery.fork(order)
        self.lives += 1
        self.history.tell("began", name=self.name, pid=self.pid, failpoint=point)
        try:
            self._fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self._fd = -1
        else:
            self._up.set()
            await _readable(self._fd)
            self._up.clear()
            os.close(self._fd)
            self._fd = -1
        self.history.tell("died", name=self.name, pid=self.pid)


async def _readable(fd: int) -> None:
    """A pidfd can be read once its process is gone."""
    loop = asyncio.get_running_loop()
    gone: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, gone.cancel)
    try:
        await asyncio.wait([gone])
    finally:
        loop.remove_reader(fd)
