"""The lives of all runs: how they begin, what is asked of them on the way, and what their end sets off."""

import asyncio
from collections.abc import Callable

from emulator.access import Access
from emulator.acting import Performance
from emulator.documents import Document
from emulator.environment import actor_environment
from emulator.errors import ApiError
from emulator.events import Events
from emulator.life import Ending, Life, Process
from emulator.process import ActorProcess
from emulator.programs import Program, Programs
from emulator.runlog import Logs
from emulator.runs import RunOptions, Runs
from emulator.settings import EmulatorSettings
from emulator.stamps import stamp
from emulator.storages import Storages
from emulator.vitals import Vitals

GRACE_SECONDS = 30.0
MIGRATION_SECONDS = 60.0
MEASURE_SECONDS = 1.0
MAX_METAMORPHS = 10

Fire = Callable[[str, Document], None]

_EVENTS = {
    "SUCCEEDED": "ACTOR.RUN.SUCCEEDED",
    "FAILED": "ACTOR.RUN.FAILED",
    "TIMED-OUT": "ACTOR.RUN.TIMED_OUT",
    "ABORTED": "ACTOR.RUN.ABORTED",
}


class Lives:
    """All lives going on now. `fire(event, run)` is told of everything webhooks can ask for."""

    def __init__(
        self,
        runs: Runs,
        programs: Programs,
        storages: Storages,
        logs: Logs,
        access: Access,
        events: Events,
        settings: EmulatorSettings,
        fire: Fire,
    ) -> None:
        self._runs, self._programs, self._storages, self._logs = runs, programs, storages, logs
        self._access, self._events, self._settings, self._fire = access, events, settings, fire
        self._lives: dict[str, Life] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._measuring: set[asyncio.Task[None]] = set()

    def start(self, run: Document, program: Program) -> None:
        """Let a READY run live."""
        self._fire("ACTOR.RUN.CREATED", run)
        self._begin(run, program)

    def resurrect(self, run: Document, options: RunOptions) -> Document:
        """Let a finished run live again on the same storages. Raises: ApiError 400 if it cannot."""
        if run["finishedAt"] is None or run["id"] in self._lives:
            raise ApiError(400, "invalid-request", "Only finished runs can be resurrected.")
        program = self._programs.find(_actor_of(run))
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
        life.log.say("The Actor run is being aborted.")
        if gracefully:
            self._events.send(run["id"], "aborting")
            self._events.send(run["id"], "persistState", {"isMigrating": False})
        life.abort(GRACE_SECONDS * self._settings.clock_factor if gracefully else 0.0)
        return self._runs.change(run["id"], status="ABORTING")

    def reboot(self, run: Document) -> Document:
        """Restart the process of a running run. Raises: ApiError 400 if it is not running."""
        life = self._running(run, "rebooted")
        life.log.say("The Actor run is being rebooted.")
        life.replace(life.program)
        return self._runs.count(run["id"], "rebootCount")

    def migrate(self, run: Document) -> Document:
        """Move a running run, as the platform does when it needs the machine: its process is told, and a minute later
        it is started anew, if it did not reboot by itself. Raises: ApiError 400 if it is not running.
        """
        life = self._running(run, "migrated")
        seconds = MIGRATION_SECONDS * self._settings.clock_factor
        life.log.say("The Actor run is being migrated.")
        self._events.send(run["id"], "migrating", {"timeRemainingSecs": seconds})
        life.replace_later(seconds)
        return self._runs.count(run["id"], "migrationCount")

    def metamorph_key(self, run: Document) -> str:
        """Where the input of the run's next metamorph belongs.

        Raises: ApiError 400 if the run is not running, or has been through ten of these.
        """
        self._running(run, "metamorphed")
        number = len(run["metamorphs"] or []) + 1
        if number > MAX_METAMORPHS:
            raise ApiError(400, "max-metamorphs-exceeded", f"A run takes at most {MAX_METAMORPHS} metamorphs.")
        return f"INPUT-METAMORPH-{number}"

    def metamorph(self, run: Document, program: Program, input_key: str) -> Document:
        """Let a running run go on as another Actor, whose input is in this record. Raises: as `metamorph_key`."""
        self.metamorph_key(run)
        life = self._running(run, "metamorphed")
        one = {"createdAt": stamp(), "actorId": program.id, "buildId": program.build_id, "inputKey": input_key}
        self._runs.change(run["id"], metamorphs=[*(run["metamorphs"] or []), one], _inputKey=input_key)
        life.log.say(f"The Actor run metamorphs into {program.full_name}.")
        life.replace(program)
        return self._runs.count(run["id"], "metamorph")

    async def wait(self, run_id: str, seconds: float) -> bool:
        """Wait until the run has ended, at most so many seconds; whether it has."""
        life = self._lives.get(run_id)
        return life is None or await life.wait(seconds)

    def recover(self) -> None:
        """End the runs that a killed emulator left unfinished: their processes are gone."""
        ending = Ending("ABORTED", "The emulator was stopped while the Actor was running.")
        for run in self._runs.unfinished():
            self._logs.open(run["id"]).say(ending.message)
            self._logs.close(run["id"])
            self._end(run["id"], ending)

    async def close(self) -> None:
        """End every life: each run that is going on is ABORTED."""
        for life in self._lives.values():
            life.kill()
        await asyncio.gather(*self._tasks.values())
        for task in self._measuring:
            task.cancel()
        await asyncio.gather(*self._measuring, return_exceptions=True)

    def _running(self, run: Document, what: str) -> Life:
        life = self._lives.get(run["id"])
        if life is None or run["status"] != "RUNNING":
            raise ApiError(400, "invalid-request", f"Only runs with the status RUNNING can be {what}.")
        return life

    def _begin(self, run: Document, program: Program) -> None:
        id_ = run["id"]
        token = self._access.issue(self._access.account_of(run["userId"]))
        events_url = self._events.open(id_)

        async def launch(life: Life) -> Process:
            run = self._runs.get(id_)
            if script := life.program.manifest.script:
                return Performance(script, run, self._storages, life.log)
            environment = actor_environment(run, life.program, token, self._settings.base_url, events_url)
            process = await ActorProcess.start(life.program, environment, life.log)
            self._events.watch(id_, process.group, run["options"])
            self._watch(run, process)
            return process

        life = self._lives[id_] = Life(id_, program, self._logs.open(id_), self._runs, launch)
        self._tasks[id_] = asyncio.create_task(self._live(life, token), name=f"run {id_}")

    def _watch(self, run: Document, process: ActorProcess) -> None:
        vitals = Vitals(process.group, run["options"]["memoryMbytes"] / 4096)
        task = asyncio.create_task(self._measure(run["id"], vitals))
        self._measuring.add(task)
        task.add_done_callback(self._measuring.discard)

    async def _measure(self, run_id: str, vitals: Vitals) -> None:
        """Note what a process group uses, as long as there is one."""
        while info := await asyncio.to_thread(vitals.system_info):
            self._runs.measure(run_id, info)
            await asyncio.sleep(MEASURE_SECONDS)

    async def _live(self, life: Life, token: str) -> None:
        try:
            ending = await life.play()
        except Exception as error:  # whatever it is, a run must not stay RUNNING for ever
            ending = Ending("FAILED", f"The Actor could not be started: {error}")
        finally:
            self._access.revoke(token)
            self._events.close(life.run_id)
            del self._lives[life.run_id], self._tasks[life.run_id]
        life.log.say(ending.message)
        self._logs.close(life.run_id)
        self._end(life.run_id, ending)
        life.end()

    def _end(self, run_id: str, ending: Ending) -> None:
        run = self._runs.end(run_id, ending.status, ending.message, ending.code)
        # A status that nobody knows, as a script may end with, still ends the run for its webhooks.
        usual = "ACTOR.RUN.FAILED" if ending.code else "ACTOR.RUN.SUCCEEDED"
        self._fire(_EVENTS.get(ending.status, usual), run)


def _actor_of(run: Document) -> str:
    """The Actor that acts for the run: its own, or the one of its last metamorph."""
    return str(run["metamorphs"][-1]["actorId"] if run["metamorphs"] else run["actId"])
