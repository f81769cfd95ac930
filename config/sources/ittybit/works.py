"""A piece of work as the platform tells it: a run and its tasks, a job with its tasks, or a task by itself."""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from config.contracts.api import Answer, Api, TooLarge
from config.contracts.errors import NotFound, Permanent, Transient
from config.contracts.reasons import Reason
from config.sources.ittybit.answers import Task, Thing, odd, shaped
from config.sources.ittybit.lists import listed
from config.sources.ittybit.statuses import OVER, SUCCESS, UNDER_WAY
from config.wire.answers import clock

#: Most tasks of one run.
TASKS = 1000
#: Most bytes of a run with all its tasks; analyses may stand in them.
BYTES = 32 * 1024 * 1024

Collection = Literal["runs", "tasks", "jobs"]
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Work:
    """As fetched.

    Attributes:
        fields: the run, the job or the task.
        tasks: with what they put out. Of a run that goes on, in short form.
        at: the platform's clock with its last answer, Unix seconds.
        size: bytes of the answers.
    """

    fields: Fields
    tasks: tuple[Fields, ...]
    at: float
    size: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where the API of one project has pieces of work; `work`: what they are called there unless their ids tell."""

    base_url: str
    work: Literal["runs", "jobs"]

    async def fetch(self, api: Api, ident: str, *, only: str = "") -> Work:
        """only: of its tasks, only this one.

        Raises NotFound; Transient for a task that is not there yet, or that is another run's, and for one that has not
        said yet what it put out although its run succeeded; Permanent (source_refused) beyond TASKS and BYTES.
        """
        asking = _Asking(api)
        collection, answer = await self._found(asking, ident)
        fields, thing = shaped(answer, Fields), shaped(answer, Thing)
        if collection == "tasks":
            return Work(fields, (fields,), asking.at, asking.size)
        if collection == "jobs" or thing.status not in OVER:
            tasks = list(_once(thing.tasks or ()))
            if thing.status in SUCCESS:
                _require_ends(tasks)
            return Work(fields, tuple(tasks), asking.at, asking.size)
        told = self._listed(asking, thing.id) if thing.tasks is None else _each(thing.tasks)
        wanted = [task async for task in _few(told) if only in {"", task.get("id")}]
        tasks = [await asking.whole(task) for task in _once(wanted)]
        if thing.status in SUCCESS:
            _require_ends(tasks)
            _require_outputs(tasks)
        return Work(fields, tuple(tasks), asking.at, asking.size)

    async def _found(self, asking: "_Asking", ident: str) -> tuple[Collection, Answer]:
        """A webhook may say the id of a task where it means a job (`guides/set-up-webhook-notifications`)."""
        refused: NotFound | None = None
        for collection in self._collections(ident):
            try:
                return collection, await asking.get(path(collection, ident))
            except NotFound as no:
                refused = refused or no
        assert refused is not None
        raise refused

    def _collections(self, ident: str) -> tuple[Collection, ...]:
        """Where an id may be known, in the order of asking."""
        if ident.startswith("task_"):
            return ("tasks", "jobs")
        if ident.startswith("job_"):
            return ("jobs",)
        return ("jobs", "runs") if self.work == "jobs" and not ident.startswith("run_") else ("runs", "jobs")

    async def _listed(self, asking: "_Asking", run_id: str) -> AsyncIterator[Fields]:
        """`GET /tasks` knows `run_id`; a run is not promised to name its tasks (`docs/runs`)."""
        async for task, answer in listed(asking.api, self.base_url, "/tasks", {"run_id": run_id, "order": "asc"}):
            asking.at = clock(answer.headers)
            if shaped(task, Task).run_id not in {None, run_id}:
                raise odd("has tasks of other runs than it was asked for")
            yield task


class _Asking:
    """The requests for one piece of work, which share BYTES."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.at = 0.0
        self.size = 0

    async def get(self, path: str) -> Answer:
        try:
            answer = await self.api.get(path, most=BYTES - self.size)
        except TooLarge:
            raise Permanent(
                Reason.SOURCE_REFUSED, f"what the platform tells of a run and its tasks is more than {BYTES} bytes"
            ) from None
        self.size += len(answer.body)
        self.at = clock(answer.headers)
        return answer

    async def whole(self, task: Fields) -> Fields:
        """The task with what it put out: asked for, unless it stands there."""
        if _has_ended(task) and _has_told(task):
            return task
        ident = shaped(task, Task).id
        try:
            return shaped(await self.get(path("tasks", ident)), Fields)
        except NotFound as no:
            raise Transient(Reason.SOURCE_UNAVAILABLE, f"a task that its run names is not there: {no.detail}") from no


def path(collection: Collection, ident: str) -> str:
    """Below the API's address; the id is one segment, whatever it is."""
    return f"/{collection}/{quote(ident, safe='').replace('.', '%2E')}"


def _require_ends(tasks: list[Fields]) -> None:
    """Of work that succeeded. Raises Transient: what a task has not put out yet may come."""
    for task in tasks:
        if not _has_ended(task):
            raise odd(f"has the task {task.get('id')!a} go on although the whole has succeeded")


def _require_outputs(tasks: list[Fields]) -> None:
    """The same."""
    for task in tasks:
        if not _has_told(task):
            raise odd(f"does not say what the task {task.get('id')!a} put out although the whole has succeeded")


def _has_ended(task: Fields) -> bool:
    """A word that is not known says nothing, for what is there is there."""
    return str(task.get("status")) not in UNDER_WAY


def _has_told(task: Fields) -> bool:
    """`outputs` is a list (`docs/webhooks`), `output` may be null (`api/create-task`)."""
    return task.get("outputs") is not None or "output" in task


def _once(tasks: Iterable[Fields]) -> Iterator[Fields]:
    """Without those that were listed before."""
    seen = set[str]()
    for task in tasks:
        ident = str(task.get("id") or "")
        if not ident or ident not in seen:
            seen.add(ident)
            yield task


async def _each(tasks: list[Fields]) -> AsyncIterator[Fields]:
    for task in tasks:
        yield task


async def _few(tasks: AsyncIterator[Fields]) -> AsyncIterator[Fields]:
    """Raises Permanent (source_refused) beyond TASKS."""
    count = 0
    async for task in tasks:
        count += 1
        if count > TASKS:
            raise Permanent(Reason.SOURCE_REFUSED, f"the run has more than {TASKS} tasks")
        yield task
