"""Processes of ours that another one of ours starts: `runrelay <command> --json`, each in a session of its own.

Ctrl-C in the terminal reaches the parent alone, which stops its children in order. Should the parent die without a
word, Linux ends them (elsewhere they stay until somebody stops them).
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Container, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from console.failures import CommandFailed

#: Seconds a child may take until it is ready, and seconds it gets to stop.
READY_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
#: Lines that are kept to explain a death, and most bytes of one line.
TAIL = 15
MOST_LINE = 64 * 1024
_ROOT = Path(__file__).resolve().parent.parent
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

T = TypeVar("T")
Log = Callable[[str, str], None]


def bound_to_us(number: signal.Signals) -> Callable[[], None] | None:
    """For `preexec_fn`: the new process gets this signal when our thread ends. None where the system cannot do it."""
    parent, libc = os.getpid(), _LIBC
    if libc is None:
        return None

    def bind() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return bind


@dataclass(eq=False)
class Child:
    """One process. `said`: its last lines on stderr."""

    name: str
    process: asyncio.subprocess.Process
    said: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))
    reading: list[asyncio.Task[None]] = field(default_factory=list)

    async def ended(self, why: str = "") -> CommandFailed:
        """Waits for its end, then tells of it."""
        code = await self.process.wait()
        await asyncio.gather(*self.reading, return_exceptions=True)
        tail = why or "\n".join(self.said) or "it said nothing"
        return CommandFailed("process_died", f"{self.name} ended with {code}:\n{tail}")

    async def stop(self, patience: float) -> None:
        """SIGTERM; after `patience` seconds SIGKILL to its whole session."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), patience)
        except TimeoutError:
            self.kill()
            await self.process.wait()
        await asyncio.gather(*self.reading, return_exceptions=True)

    def kill(self) -> None:
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)


class Crew:
    """Children that live and die together. Leaving it stops them, the last one started first.

    log: told each line a child writes to stderr: name, line.
    patience: seconds each gets to stop.
    """

    def __init__(self, log: Log, *, patience: float = STOP_TIMEOUT) -> None:
        self.log, self.patience = log, patience
        self.children: list[Child] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for child in reversed(self.children):
                await child.stop(self.patience)
        finally:
            for child in self.children:
                child.kill()

    async def start(self, name: str, words: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None) -> str:
        """Start `runrelay <words>`; returns the URL it is ready at. Raises CommandFailed (process_died)."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "console.cli.main", *words, "--json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**env, "PYTHONPATH": _python_path(env)},
            cwd=cwd,
            start_new_session=True,
            preexec_fn=bound_to_us(signal.SIGKILL),
        )
        child = Child(name, process)
        self.children.append(child)
        child.reading.append(asyncio.create_task(self._listen(child)))
        return await self._ready(child)

    async def _ready(self, child: Child) -> str:
        assert child.process.stdout is not None
        lines = _lines(child.process.stdout)
        try:
            line = await asyncio.wait_for(anext(lines, ""), READY_TIMEOUT)
        except TimeoutError:
            child.kill()
            raise await child.ended(f"it was not ready within {READY_TIMEOUT:g} s") from None
        said = json.loads(line) if line else {}
        if said.get("event") != "ready":
            raise await child.ended(said.get("message", ""))
        child.reading.append(asyncio.create_task(_drain(lines)))
        return str(said["url"])

    async def _listen(self, child: Child) -> None:
        assert child.process.stderr is not None
        async for line in _lines(child.process.stderr):
            child.said.append(line)
            self.log(child.name, line)

    def tell(self, names: Container[str], number: signal.Signals) -> None:
        """Send a signal to those of these names that still run."""
        for child in self.children:
            if child.name in names and child.process.returncode is None:
                child.process.send_signal(number)

    async def together(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which is cancelled when a child ends by itself. Raises CommandFailed then."""
        task = asyncio.ensure_future(work)
        watches = {asyncio.ensure_future(child.process.wait()): child for child in self.children}
        try:
            await asyncio.wait([task, *watches], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise await next(child for watch, child in watches.items() if watch.done()).ended()
        finally:
            for one in (task, *watches):
                one.cancel()
            await asyncio.gather(task, *watches, return_exceptions=True)


def _python_path(env: Mapping[str, str]) -> str:
    """Our rooms first, wherever the child works, then what was there before."""
    before = [str(Path(part).absolute()) for part in env.get("PYTHONPATH", "").split(os.pathsep) if part]
    return os.pathsep.join([str(_ROOT), *before])


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Lines without their ends; one that is too long comes in pieces."""
    rest = b""
    while chunk := await stream.read(MOST_LINE):
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) >= MOST_LINE:
            whole, rest = [*whole, rest], b""
        for line in whole:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


async def _drain(lines: AsyncIterator[str]) -> None:
    async for _ in lines:
        pass
