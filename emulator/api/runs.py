"""Runs: look, wait, list, change, abort, reboot, metamorph, resurrect, charge, delete; and what lies below a run."""

from typing import Annotated

import msgspec
from starlette.responses import Response

from emulator.access import GENERAL_ACCESS
from emulator.api import actors, builds, datasets, logs, queues, stores, tasks
from emulator.api.call import Call, Endpoint, Find, data, json_answer
from emulator.api.programs import FAMILIES, find_program
from emulator.api.starting import checked_build, keep_input, new_input, run_options, starting
from emulator.bodies import json_body, json_object
from emulator.documents import Document, Filter
from emulator.errors import ApiError, invalid_input, invalid_value, not_found
from emulator.runs import of_actor, of_task
from emulator.storages import StorageKind

_UPDATABLE = {"statusMessage": str, "isStatusMessageTerminal": bool, "generalAccess": str}
_DEFAULTS: dict[StorageKind, str] = {
    "dataset": "defaultDatasetId",
    "store": "defaultKeyValueStoreId",
    "queue": "defaultRequestQueueId",
}


def endpoints() -> list[Endpoint]:
    """`/v2/actor-runs`, and `/runs` of Actors and tasks, with what lies below each run."""
    root = "/v2/actor-tasks/{task}/runs"
    found = [
        Endpoint("/v2/actor-runs", {"GET": list_all}),
        *_below("/v2/actor-runs/{run}", by_id, public=True),
        Endpoint("/v2/actor-runs/{run}/charge", {"POST": charge}),
        Endpoint(root, {"GET": list_of_task, "POST": starting(tasks.begin)}),
        *_below(f"{root}/last", last_of_task, public=False),
        Endpoint("/v2/logs/{run}", {"GET": log_by_id}, public=True),
    ]
    for family in FAMILIES:
        root = f"/v2/{family}/{{actor}}/runs"
        found.append(Endpoint(root, {"GET": list_of_actor, "POST": starting(actors.begin)}))
        found += _below(f"{root}/last", last_of_actor, public=False)
        found += _below(f"{root}/{{run}}", by_id, public=True)
    return found


def _below(root: str, find: Find, *, public: bool) -> list[Endpoint]:
    one = _OneRun(find)
    return [
        Endpoint(root, {"GET": one.show, "PUT": one.update, "DELETE": one.delete}, public),
        Endpoint(f"{root}/abort", {"POST": one.abort}),
        Endpoint(f"{root}/reboot", {"POST": one.reboot}),
        Endpoint(f"{root}/metamorph", {"POST": one.metamorph}),
        Endpoint(f"{root}/resurrect", {"POST": one.resurrect}),
        *logs.endpoints(f"{root}/log", find, public=public),
        *datasets.endpoints(f"{root}/dataset", _default("dataset", find), public=public),
        *stores.endpoints(f"{root}/key-value-store", _default("store", find), public=public),
        *queues.endpoints(f"{root}/request-queue", _default("queue", find), public=public),
    ]


def by_id(call: Call) -> Document:
    """The run whose id is in the path, of the Actor in the path if it names one."""
    run = call.platform.runs.get(call.path("run"))
    if "actor" in call.request.path_params and find_program(call).id != run["actId"]:
        raise not_found("Actor run")
    return call.admitted(run)


def last_of_actor(call: Call) -> Document:
    """The caller's last run of the Actor in the path, of the status and origin asked for."""
    return call.platform.runs.last(_own(call, of_actor(find_program(call))), call.query)


def last_of_task(call: Call) -> Document:
    """The last run of the task in the path, of the status and origin asked for."""
    return call.platform.runs.last(of_task(tasks.find_task(call)), call.query)


def _own(call: Call, scope: Filter) -> Filter:
    return scope.add("json_extract(body, '$.userId')=?", call.account.id)


def _default(kind: StorageKind, find: Find) -> Find:
    def storage(call: Call) -> Document:
        if found := call.platform.storages.find(kind, find(call)[_DEFAULTS[kind]]):
            return found
        raise not_found("The default storage of the run")

    return storage


async def list_all(call: Call) -> Response:
    """`GET /v2/actor-runs`."""
    return data(call.platform.runs.page(call.query, _own(call, Filter())))


async def list_of_actor(call: Call) -> Response:
    """`GET /v2/actors/{id}/runs`."""
    return data(call.platform.runs.page(call.query, _own(call, of_actor(find_program(call)))))


async def list_of_task(call: Call) -> Response:
    """`GET /v2/actor-tasks/{id}/runs`."""
    return data(call.platform.runs.page(call.query, of_task(tasks.find_task(call))))


async def log_by_id(call: Call) -> Response:
    """`GET /v2/logs/{id}` of a run or a build."""
    if program := call.platform.programs.of_build(call.path("run")):
        return builds.log_of(call, program)
    return logs.get_log(call, by_id(call)["id"])


class _Charge(msgspec.Struct, rename="camel"):
    """The body of `POST /v2/actor-runs/{id}/charge`."""

    event_name: str
    count: Annotated[int, msgspec.Meta(ge=0)]


async def charge(call: Call) -> Response:
    """`POST /v2/actor-runs/{id}/charge`, once for each `idempotency-key`."""
    given = await json_body(call.request, call.platform.settings.max_request_bytes, _Charge)
    key = call.request.headers.get("idempotency-key")
    call.platform.runs.charge(by_id(call), given.event_name, given.count, key)
    return json_answer({}, 201)


class _OneRun:
    """The endpoints of one run, however the path names it."""

    def __init__(self, find: Find) -> None:
        self._find = find

    async def show(self, call: Call) -> Response:
        run, seconds = self._find(call), call.wait_seconds()
        if seconds and run["finishedAt"] is None:
            await call.platform.lives.wait(run["id"], seconds)
            run = call.platform.runs.get(run["id"])
        return _answer(call, run)

    async def update(self, call: Call) -> Response:
        body = await json_object(call.request, call.platform.settings.max_request_bytes)
        changes = {name: value for name, value in body.items() if name in _UPDATABLE and value is not None}
        for name, value in changes.items():
            if not isinstance(value, _UPDATABLE[name]):
                raise invalid_input(f"Field {name} has a wrong type.")
        level = changes.get("generalAccess")
        if level not in {None, *GENERAL_ACCESS}:
            raise invalid_input(f"Field generalAccess must be one of {', '.join(GENERAL_ACCESS)}.")
        run = self._find(call) | changes
        call.platform.runs.save(run)
        if level:
            call.platform.runs.open_storages(run, level)
        return _answer(call, run)

    async def delete(self, call: Call) -> Response:
        run = self._find(call)
        if run["finishedAt"] is None:
            raise ApiError(400, "cannot-remove-running-run", "Only finished runs can be deleted.")
        call.platform.runs.delete(run)
        call.platform.logs.delete(run["id"])
        return Response(status_code=204)

    async def abort(self, call: Call) -> Response:
        gracefully = bool(call.query.flag("gracefully"))
        return _answer(call, call.platform.lives.abort(self._find(call), gracefully=gracefully))

    async def reboot(self, call: Call) -> Response:
        return _answer(call, call.platform.lives.reboot(self._find(call)))

    async def metamorph(self, call: Call) -> Response:
        target = call.query.text("targetActorId")
        if target is None:
            raise invalid_value('Query parameter "targetActorId" is required.')
        program = call.platform.programs.find(target)
        if program is None:
            raise ApiError(404, "actor-not-found", "Actor was not found.")
        checked_build(call.query.text("build"), program)
        body, content_type = await new_input(call, program)
        key = call.platform.lives.metamorph_key(run := self._find(call))
        await keep_input(call, run, key, body, content_type)
        return _answer(call, call.platform.lives.metamorph(call.platform.runs.get(run["id"]), program, key))

    async def resurrect(self, call: Call) -> Response:
        run = self._find(call)
        options = run_options(call.query, call.platform.programs.find(run["actId"]))
        return _answer(call, call.platform.lives.resurrect(run, options))


def _answer(call: Call, run: Document) -> Response:
    return data(call.platform.runs.present(run, priced=call.token is not None))
