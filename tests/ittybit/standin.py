"""A stand-in that answers in shapes ittybit documents. It is not the platform, and proves nothing about it.

Each shape is of a public page of ittybit's, named where it is made, e.g. `api/runs/list`. Files lie at a second origin,
as they do there; it knows nothing of API keys and must never be shown one.
"""

import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiohttp import web

TOKEN = "ittybit-key-0123456789"
#: A run, a task, a job, an output, as the platform would write it.
Thing = dict[str, Any]
#: Task statuses after which nothing more comes (changelog/2025-09-15).
_OVER = frozenset({"succeeded", "failed", "cancelled", "canceled", "completed", "ready", "error"})
#: What lists may be narrowed by (`api/runs/list`, `api/tasks/list`, `api/list-jobs`).
_FILTERS = {"runs": ("status",), "tasks": ("status", "kind", "run_id", "created_by"), "jobs": ("status", "kind")}


class Asked(NamedTuple):
    """A request as it came, at either origin. `path`: with its query; `headers`: names lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class Refusal:
    status: int
    body: bytes
    times: int | None
    headers: Mapping[str, str]


@dataclass
class Standin:
    """One project. What stands in `runs`, `tasks`, `jobs` and `files` may be changed at any time.

    Attributes:
        url: the API's origin.
        files_url: the files' origin.
        runs, tasks, jobs: what `GET /runs/{id}` and so on answer, by id; lists have them in the order of adding, the
            last one first.
        files: path → body and content type.
        asked: every request so far, at both origins.
        leaks: paths at which the files' origin was shown an `Authorization` header. There must be none at the end.
        links: whether lists say where they go on in `Link`, too, or only in `Has-More`.
        filters: whether lists heed their filters.
    """

    token: str
    url: str = ""
    files_url: str = ""
    runs: dict[str, Thing] = field(default_factory=dict)
    tasks: dict[str, Thing] = field(default_factory=dict)
    jobs: dict[str, Thing] = field(default_factory=dict)
    files: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    links: bool = True
    filters: bool = True
    refusals: dict[str, Refusal] = field(default_factory=dict)

    # what there is

    def add_file(self, path: str, body: bytes, content_type: str = "video/mp4", **about: Any) -> Thing:
        """A file, and the output that names it: the element of `output` (`api/create-task`)."""
        self.files[path] = (body, content_type)
        kind, _, fmt = content_type.partition("/")
        return {"object": "file", "kind": kind, "url": f"{self.files_url}{path}", "format": fmt, **about}

    def add_task(
        self, task_id: str, kind: str = "video", *, status: str = "succeeded", outputs: Iterable[Any] = (), **more: Any
    ) -> Thing:
        """A task with `inputs[]` and `outputs[]` (`docs/webhooks`, changelog/2026-01-15)."""
        known: Thing = {"id": task_id, "object": "task", "kind": kind, "status": status, "progress": 100, "inputs": []}
        self.tasks[task_id] = {**known, "outputs": list(outputs), "error": None, **_times(status, 1), **more}
        return self.tasks[task_id]

    def add_run(self, run_id: str, status: str = "succeeded", tasks: Iterable[Thing] | None = (), **more: Any) -> Thing:
        """A run with short forms of tasks that were added before; None: it has no `tasks`, as in the example of
        `docs/runs` (`api/runs/list`)."""
        known: Thing = {"id": run_id, "object": "run", "status": status, "progress": 100, "error": None}
        if tasks is not None:
            known["tasks"] = []
            for task in tasks:
                task["run_id"] = run_id
                known["tasks"].append({name: task[name] for name in ("id", "kind", "status", "progress")})
        self.runs[run_id] = {**known, "metadata": {}, "created_by": "key_1", **_times(status, 1), **more}
        return self.runs[run_id]

    def add_job(
        self,
        job_id: str,
        kind: str = "video",
        *,
        status: str = "succeeded",
        output: Any = None,
        tasks: Iterable[Thing] = (),
        **more: Any,
    ) -> Thing:
        """A job, whose `output` is an address, with its tasks, whose `output` is an object (`api/get-job`)."""
        asked = {"id": job_id, "object": "job", "kind": kind, "input": "https://example.com/in.mov", "output": output}
        known: Thing = {"options": {}, "metadata": {}, "status": status, "error": None, "tasks": list(tasks)}
        self.jobs[job_id] = {**asked, **known, **_times(status, 1000), **more}
        return self.jobs[job_id]

    # what it tells

    def event(self, run_id: str, kind: str = "run.succeeded", event_id: str = "") -> bytes:
        """What an endpoint is sent (`docs/webhooks`, `docs/events`): the same each time for the same event."""
        data = {"id": run_id, "object": "run", "status": kind.rpartition(".")[2]}
        known = {"id": event_id or f"evt_{run_id}_{data['status']}", "object": "event", "kind": kind, "data": data}
        return json.dumps({**known, "created_at": 1735689886}).encode()

    def job_body(
        self, job_id: str, status: str = "succeeded", kind: str = "video", output: Mapping[str, Any] | None = None
    ) -> bytes:
        """What `webhook_url` of a job is sent (`guides/set-up-webhook-notifications`)."""
        known = {"id": job_id, "status": status, "kind": kind, "input": "https://example.com/in.mov"}
        return json.dumps({**known, "output": output}).encode()

    # what goes wrong

    def refuse(
        self,
        path: str,
        status: int,
        kind: str = "",
        message: str = "",
        *,
        times: int | None = None,
        body: bytes | None = None,
        **headers: str,
    ) -> None:
        """Requests to a path, without its query and at either origin, are refused so many times, or for good, with
        `{kind, message}` (`docs/errors`) or the body given. headers: `_` for `-`."""
        said = json.dumps({"kind": kind, "message": message}).encode() if body is None else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.refusals[path] = Refusal(status, said, times, named)

    def expire(self, path: str) -> None:
        """The file's address is worth nothing any more."""
        self.refuse(path, 403, body=b"<Error><Code>AccessDenied</Code></Error>")

    def paths(self) -> list[str]:
        """Every request so far, as `METHOD path?query`."""
        return [f"{one.method} {one.path}" for one in self.asked]

    # how it answers

    async def api(self, request: web.Request) -> web.Response:
        self._note(request)
        if refused := self._refused(request.path):
            return refused
        authorization = request.headers.get("Authorization", "")
        if authorization != f"Bearer {self.token}":
            kind = "token_invalid" if authorization else "token_missing"
            return _error(401, kind, "Include a valid API key in the Authorization header.")
        match request.path.strip("/").split("/"):
            case ["runs" | "tasks" | "jobs" as what]:
                return self._list(request, what)
            case ["runs" | "tasks" | "jobs" as what, ident]:
                found = self._all(what).get(ident)
                return _json(found) if found else _error(404, f"{what[:-1]}_not_found", f"No {what[:-1]} has this ID.")
        return _error(404, "not_found", "No such endpoint.")

    async def file(self, request: web.Request) -> web.Response:
        self._note(request)
        if "Authorization" in request.headers:
            self.leaks.append(request.path)
        if refused := self._refused(request.path):
            return refused
        body, content_type = self.files.get(request.path, (b"", ""))
        return web.Response(body=body, headers={"Content-Type": content_type}) if content_type else _gone()

    def _note(self, request: web.Request) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(request.method, request.path_qs, headers))

    def _refused(self, path: str) -> web.Response | None:
        refusal = self.refusals.get(path)
        if refusal is None or refusal.times == 0:
            return None
        if refusal.times is not None:
            refusal.times -= 1
        headers = {"Content-Type": "application/json", **refusal.headers}
        return web.Response(body=refusal.body, status=refusal.status, headers=headers)

    def _all(self, what: str) -> dict[str, Thing]:
        return {"runs": self.runs, "tasks": self.tasks, "jobs": self.jobs}[what]

    def _list(self, request: web.Request, what: str) -> web.Response:
        """A page of a list, a bare array (`api/pagination`)."""
        asked = request.query
        limit = int(asked.get("limit", "20"))
        if not 1 <= limit <= 100:
            return _error(400, "request_invalid", "limit must be between 1 and 100.")
        things = self._sought(what, asked)
        if asked.get("order", "desc") == "desc":
            things.reverse()
        ids = [thing["id"] for thing in things]
        start = ids.index(asked["after"]) + 1 if asked.get("after") in ids else 0
        end = ids.index(asked["before"]) if asked.get("before") in ids else len(ids)
        shown, more = things[start:end][:limit], end - start > limit
        headers = {"Has-More": str(more).lower(), "Limit": str(limit)}
        if more and self.links:
            onwards = request.url.update_query({"after": shown[-1]["id"]})
            headers["Link"] = f'<{onwards}>; rel="next"'
        return _json(shown, headers)

    def _sought(self, what: str, asked: Mapping[str, str]) -> list[Thing]:
        names = [name for name in _FILTERS[what] if name in asked] if self.filters else []
        return [thing for thing in self._all(what).values() if all(thing.get(name) == asked[name] for name in names)]


def job_task(task_id: str, kind: str = "video", *, status: str = "succeeded", output: Any = None) -> Thing:
    """A task as it stands in a job: whole, with one `output` (`api/create-task`, `api/get-job`)."""
    known = {"id": task_id, "object": "task", "kind": kind, "input": {}, "output": output, "options": {}}
    return {**known, "status": status, "progress": 100, "error": None, **_times(status, 1000)}


@asynccontextmanager
async def standin(token: str = TOKEN) -> AsyncIterator[Standin]:
    """One project, until the end; AssertionError then if the files' origin was ever shown a key."""
    place = Standin(token)
    api, files = await _served(place.api), await _served(place.file)
    place.url, place.files_url = _origin(api), _origin(files)
    try:
        yield place
    finally:
        await api.cleanup()
        await files.cleanup()
    assert not place.leaks, place.leaks


async def _served(answer: Any) -> web.AppRunner:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


def _origin(runner: web.AppRunner) -> str:
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


def _times(status: str, unit: int) -> Thing:
    """Unix time: of runs and tasks in seconds (unit 1), of jobs in milliseconds (unit 1000)."""
    now = int(time.time() * unit)
    finished = now if status in _OVER else None
    begun = {"created_at": now - 15 * unit, "started_at": now - 14 * unit}
    return {**begun, "finished_at": finished, "updated_at": now}


def _json(found: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(found, headers=headers)


def _error(status: int, kind: str, message: str) -> web.Response:
    return web.json_response({"kind": kind, "message": message}, status=status)


def _gone() -> web.Response:
    return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
