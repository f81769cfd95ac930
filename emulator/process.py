"""Starting and ending an Actor's process. Everything it starts in its process group ends with it."""

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from emulator.programs import Program
from emulator.runlog import RunLog

KILLED = 128 + signal.SIGKILL
_GUARD = Path(__file__).parent / "guard.py"
_DRAIN_SECONDS = 2.0  # for output that a process outside the group could still write


@dataclass(frozen=True)
class Exit:
    """How a process ended.

    Attributes:
        code: its exit code, or 128 + n after signal n.
        status: what the run is to end with; None goes by the code. Only scripts say it.
        message: the status message of the run; None leaves it to the platform. Only scripts say it.
    """

    code: int
    status: str | None = None
    message: str | None = None


class _Output(asyncio.Protocol):
    """What the Actor prints goes to its log."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._log.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


class ActorProcess:
    """One running program; `start` makes it."""

    def __init__(self, process: asyncio.subprocess.Process, pipe: asyncio.BaseTransport, output: _Output) -> None:
        self._process, self._pipe, self._output = process, pipe, output

    @classmethod
    async def start(cls, program: Program, environment: dict[str, str], log: RunLog) -> "ActorProcess":
        """Start the program in its folder with this environment and nothing else."""
        read_end, write_end = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), *program.command),
                cwd=str(program.folder),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        loop = asyncio.get_running_loop()
        pipe, output = await loop.connect_read_pipe(lambda: _Output(log), os.fdopen(read_end, "rb", 0))
        return cls(process, pipe, output)

    @property
    def group(self) -> int:
        """The id of its process group."""
        return self._process.pid

    async def wait(self) -> Exit:
        """Wait for the end. All output is in the log by then."""
        code = await self._process.wait()
        self._kill_group()  # what the program started and left behind
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._output.ended.wait(), _DRAIN_SECONDS)
        self._pipe.close()
        return Exit(code if code >= 0 else 128 - code)

    def kill(self) -> None:
        """End the whole process group at once; nothing happens to one that has ended."""
        if self._process.returncode is None:
            self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
