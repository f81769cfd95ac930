"""One life of a run: from its first process to the status it ends with (Apify, "Runs and builds")."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from emulator.process import Exit
from emulator.programs import Program
from emulator.runlog import RunLog
from emulator.runs import Runs

MAX_RESTARTS = 3  # our pick: how often `restartOnError` restarts is not documented


class Process(Protocol):
    """What acts for a run: a real process, or a script."""

    async def wait(self) -> Exit:
        """Wait for the end."""

    def kill(self) -> None:
        """End it at once; nothing happens to one that has ended."""


@dataclass(frozen=True)
class Ending:
    """How a life ended; `code` is None when no process ever ran."""

    status: str
    message: str
    code: int | None = None


class Life:
    """One life of one run: a resurrected run gets another. `launch` starts a process for it."""

    def __init__(
        self, run_id: str, program: Program, log: RunLog, runs: Runs, launch: "Callable[[Life], Awaitable[Process]]"
    ) -> None:
        self.run_id, self.program, self.log = run_id, program, log
        self._runs, self._launch = runs, launch
        self._ended = asyncio.Event()
        self._called = asyncio.Event()  # somebody wants the process to end: to abort the run, or to replace it
        self._grace: float | None = None  # seconds that an abort leaves the process; None: nobody aborts
        self._process: Process | None = None

    def abort(self, grace: float) -> None:
        """End the run ABORTED; its process has so many seconds to end by itself."""
        self._grace = grace
        self._called.set()

    def replace(self, program: Program) -> None:
        """End the process and go on with a new one of this Actor, on the same storages."""
        self.program = program
        self._called.set()

    def replace_later(self, seconds: float) -> None:
        """Replace the process by one of the same Actor after so many seconds, unless that has happened by then."""
        process = self._process
        asyncio.get_running_loop().call_later(
            seconds, lambda: self.replace(self.program) if self._process is process else None
        )

    def kill(self) -> None:
        """End the run ABORTED, now."""
        self.abort(0.0)
        if self._process:
            self._process.kill()

    def end(self) -> None:
        """Tell those who wait that it is over."""
        self._ended.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for the end, at most so many seconds; whether it came."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
        return self._ended.is_set()

    async def play(self) -> Ending:
        """Run processes until one ends the run: the first, unless it is replaced, or fails and is started again."""
        timeout = self._runs.get(self.run_id)["options"]["timeoutSecs"]
        deadline = asyncio.get_running_loop().time() + timeout if timeout else None
        restarts = 0
        while True:
            ending = await self._play_once(deadline)
            if ending is None:
                continue
            if ending.status != "FAILED" or restarts == MAX_RESTARTS or not self._wants_restart():
                return ending
            restarts += 1
            self.log.say(f"{ending.message}, restarting it.")
            self._runs.count(self.run_id, "restartCount")

    async def _play_once(self, deadline: float | None) -> Ending | None:
        """How the run ended; None if the process is to be replaced."""
        self.log.say("Creating process.")
        process = self._process = await self._launch(self)
        try:
            if self._grace is None:
                self._runs.change(self.run_id, status="RUNNING")
            self.log.say("Process started.")
            return await self._until_end(process, deadline)
        finally:
            process.kill()

    async def _until_end(self, process: Process, deadline: float | None) -> Ending | None:
        exited = asyncio.create_task(process.wait())
        called = asyncio.create_task(self._called.wait())
        left = None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())
        try:
            await asyncio.wait({exited, called}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if self._grace is not None:
                return await self._abort(process, exited, self._grace)
            if self._called.is_set():
                self._called.clear()
                process.kill()
                await exited
                return None
            return _ending(exited.result()) if exited.done() else await self._time_out(process, exited)
        finally:
            called.cancel()

    async def _abort(self, process: Process, exited: asyncio.Task[Exit], grace: float) -> Ending:
        """ABORTED whatever the exit code: SDKs end with 0 when they are asked to end."""
        await asyncio.wait({exited}, timeout=grace)
        process.kill()
        return Ending("ABORTED", "Actor was aborted", (await exited).code)

    async def _time_out(self, process: Process, exited: asyncio.Task[Exit]) -> Ending:
        seconds = self._runs.change(self.run_id, status="TIMING-OUT")["options"]["timeoutSecs"]
        self.log.say(
            f"The Actor run has reached the timeout of {seconds} seconds, aborting it."
            " You can increase the timeout in run options."
        )
        process.kill()
        return Ending("TIMED-OUT", f"Actor run timed out after {seconds} seconds", (await exited).code)

    def _wants_restart(self) -> bool:
        return bool(self._runs.get(self.run_id)["options"].get("restartOnError"))


def _ending(exit_: Exit) -> Ending:
    status = exit_.status or ("FAILED" if exit_.code else "SUCCEEDED")
    return Ending(status, exit_.message or f"Actor finished with exit code {exit_.code}", exit_.code)
