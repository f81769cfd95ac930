"""The lives of runs: from a process that starts to the status it ends with (Apify, "Runs and builds")."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from emulator.access import Access
from emulator.documents import Document
from emulator.environment import actor_environment
from emulator.errors import ApiError
from emulator.process import ActorProcess
from emulator.programs import Program, Programs
from emulator.runlog import Logs, RunLog
from emulator.runs import TERMINAL, RunOptions, Runs
from emulator.settings import EmulatorSettings
from emulator.stamps import millis_between, stamp

GRACE_SECONDS = 30.0
MAX_RESTARTS = 3  # our pick: how often `restartOnError` restarts is not documented

Fire = Callable[[str, Document], None]

_EVENTS = {
    "SUCCEEDED": "ACTOR.RUN.SUCCEEDED",
    "FAILED": "ACTOR.RUN.FAILED",
    "TIMED-OUT": "ACTOR.RUN.TIMED_OUT",
    "ABORTED": "ACTOR.RUN.ABORTED",
}


@dataclass(frozen=True)
class Ending:
    """How a life ended; `code` is None when no process ever ran."""

    status: str
    message: str
    code: int | None = None


@dataclass
class Life:
    """One life of one run: a resurrected run gets another."""

    run_id: str
    program: Program
    log: RunLog
    token: str
    grace: float = 0.0
    aborted: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    process: ActorProcess | None = None
    task: asyncio.Task[None] | None = None


class Lives:
    """All lives going on now. `fire(event, run)` is told of everything webhooks can ask for."""

    def __init__(
        self, runs: Runs, programs: Programs, logs: Logs, access: Access, settings: EmulatorSettings, fire: Fire
    ) -> None:
        self._runs, self._programs, self._logs = runs, programs, logs
        self._access, self._settings, self._fire = access, settings, fire
        self._lives: dict[str, Life] = {}

    def start(self, run: Document, program: Program) -> None:
        """Let a READY run live."""
        self._fire("ACTOR.RUN.CREATED", run)
        self._begin(run, program)

    def resurrect(self, run: Document, options: RunOptions) -> Document:
        """Let a finished run live again on the same storages. Raises: ApiError 400 if it cannot."""
        if run["status"] not in TERMINAL or run["id"] in self._lives:
            raise ApiError(400, "invalid-request", "Only finished runs can be resurrected.")
        program = self._programs.find(run["actId"])
        if program is None:
            raise ApiError(404, "actor-not-found", "The Actor of this run is no longer there.")
        run["stats"]["resurrectCount"] += 1
        run["options"] = options.over(run["options"])
        run |= {"status": "READY", "finishedAt": None, "exitCode": None, "_lifeStartedAt": stamp()}
        run |= {"statusMessage": None, "isStatusMessageTerminal": None}
        self._runs.save(run)
        self._fire("ACTOR.RUN.RESURRECTED", run)
        self._begin(run, program)
        return run

    def abort(self, run: Document, *, gracefully: bool) -> Document:
        """Ask a run that is starting or running to end; nothing happens to any other."""
        life = self._lives.get(run["id"])
        if life is None or run["status"] not in {"READY", "RUNNING"}:
            return run
        life.grace = GRACE_SECONDS * self._settings.clock_factor if gracefully else 0.0
        life.log.say("The Actor run is being aborted.")
        life.aborted.set()
        return self._change(run["id"], status="ABORTING")

    async def wait(self, run_id: str, seconds: float) -> None:
        """Wait until the run has ended, at most so many seconds."""
        if life := self._lives.get(run_id):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(life.ended.wait(), seconds)

    def recover(self) -> None:
        """End the runs that a killed emulator left unfinished."""
        for run in self._runs.unfinished():
            log = self._logs.open(run["id"])
            log.say("The emulator was stopped while the Actor was running.")
            self._logs.close(run["id"])
            self._end(run["id"], Ending("FAILED", "The emulator was stopped while the Actor was running."))

    async def close(self) -> None:
        """End every life: each run that is going on is ABORTED."""
        lives = list(self._lives.values())
        for life in lives:
            life.grace = 0.0
            life.aborted.set()
            if life.process:
                life.process.kill()
        await asyncio.gather(*(life.task for life in lives if life.task))

    def _begin(self, run: Document, program: Program) -> None:
        life = Life(run["id"], program, self._logs.open(run["id"]), self._access.issue())
        self._lives[run["id"]] = life
        life.task = asyncio.create_task(self._live(life), name=f"run {run['id']}")

    async def _live(self, life: Life) -> None:
        try:
            ending = await self._play(life)
        except Exception as error:  # whatever it is, a run must not stay RUNNING for ever
            ending = Ending("FAILED", f"The Actor could not be started: {error}")
        finally:
            self._access.revoke(life.token)
            del self._lives[life.run_id]
        life.log.say(ending.message)
        self._logs.close(life.run_id)
        self._end(life.run_id, ending)
        life.ended.set()

    async def _play(self, life: Life) -> Ending:
        """Run the program, again after a failure if the run asks for it."""
        timeout = self._runs.get(life.run_id)["options"]["timeoutSecs"]
        deadline = asyncio.get_running_loop().time() + timeout if timeout else None
        for restarts in range(MAX_RESTARTS + 1):
            ending = await self._play_once(life, deadline)
            run = self._runs.get(life.run_id)
            if ending.status != "FAILED" or not run["options"].get("restartOnError") or restarts == MAX_RESTARTS:
                break
            life.log.say(f"{ending.message}, restarting it.")
            run["stats"]["restartCount"] += 1
            self._runs.save(run)
        return ending

    async def _play_once(self, life: Life, deadline: float | None) -> Ending:
        life.log.say("Creating process.")
        run = self._runs.get(life.run_id)
        environment = actor_environment(run, life.program, life.token, self._settings.base_url)
        process = life.process = await ActorProcess.start(life.program, environment, life.log)
        try:
            if not life.aborted.is_set():
                self._change(life.run_id, status="RUNNING")
            life.log.say("Process started.")
            return await self._until_end(life, process, deadline)
        finally:
            process.kill()

    async def _until_end(self, life: Life, process: ActorProcess, deadline: float | None) -> Ending:
        exited = asyncio.create_task(process.wait())
        aborted = asyncio.create_task(life.aborted.wait())
        left = None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())
        try:
            await asyncio.wait({exited, aborted}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if aborted.done():
                await asyncio.wait({exited}, timeout=life.grace)
                process.kill()
                return Ending("ABORTED", "Actor was aborted", await exited)
            if not exited.done():
                return await self._time_out(life, process, exited)
            code = exited.result()
            return Ending("FAILED" if code else "SUCCEEDED", f"Actor finished with exit code {code}", code)
        finally:
            aborted.cancel()

    async def _time_out(self, life: Life, process: ActorProcess, exited: asyncio.Task[int]) -> Ending:
        run = self._change(life.run_id, status="TIMING-OUT")
        seconds = run["options"]["timeoutSecs"]
        life.log.say(
            f"The Actor run has reached the timeout of {seconds} seconds, aborting it."
            " You can increase the timeout in run options."
        )
        process.kill()
        return Ending("TIMED-OUT", f"Actor run timed out after {seconds} seconds", await exited)

    def _end(self, run_id: str, ending: Ending) -> None:
        run = self._runs.get(run_id)
        now = stamp()
        if not run["isStatusMessageTerminal"]:
            run |= {"statusMessage": ending.message, "isStatusMessageTerminal": True}
        run |= {"status": ending.status, "finishedAt": now, "exitCode": ending.code}
        run["_spentMillis"] += millis_between(run["_lifeStartedAt"], now)
        self._runs.save(run)
        self._fire(_EVENTS[ending.status], run)

    def _change(self, run_id: str, **fields: object) -> Document:
        run = self._runs.get(run_id) | fields
        self._runs.save(run)
        return run
