"""Runs: look, wait, list, change, abort, resurrect, delete; and the log and storages below a run."""

from starlette.responses import Response

from emulator.api import datasets, logs, queues, stores
from emulator.api.actors import FAMILIES, find_program, run_options, start_run
from emulator.api.call import Call, Endpoint, Find, data
from emulator.bodies import json_object
from emulator.documents import Document
from emulator.errors import ApiError, invalid_input, not_found
from emulator.runs import TERMINAL
from emulator.storages import StorageKind

_UPDATABLE = {"statusMessage": str, "isStatusMessageTerminal": bool, "generalAccess": str}
_DEFAULTS: dict[StorageKind, str] = {
    "dataset": "defaultDatasetId",
    "store": "defaultKeyValueStoreId",
    "queue": "defaultRequestQueueId",
}


def endpoints() -> list[Endpoint]:
    """`/v2/actor-runs` and `/v2/actors/{id}/runs`, with what lies below each run."""
    found = [Endpoint("/v2/actor-runs", {"GET": list_all}), *_below("/v2/actor-runs/{run}", by_id, public=True)]
    for family in FAMILIES:
        root = f"/v2/{family}/{{actor}}/runs"
        found.append(Endpoint(root, {"GET": list_of_actor, "POST": start_run}))
        found += _below(f"{root}/last", last_of_actor, public=False)
        found += _below(f"{root}/{{run}}", by_id, public=True)
    return found


def _below(root: str, find: Find, *, public: bool) -> list[Endpoint]:
    one = _OneRun(find)
    return [
        Endpoint(root, {"GET": one.show, "PUT": one.update, "DELETE": one.delete}, public),
        Endpoint(f"{root}/abort", {"POST": one.abort}),
        Endpoint(f"{root}/resurrect", {"POST": one.resurrect}),
        *logs.endpoints(f"{root}/log", find, public=public),
        *datasets.endpoints(f"{root}/dataset", _default("dataset", find), public=public),
        *stores.endpoints(f"{root}/key-value-store", _default("store", find), public=public),
        *queues.endpoints(f"{root}/request-queue", _default("queue", find), public=public),
    ]


def by_id(call: Call) -> Document:
    """The run whose id is in the path."""
    return call.platform.runs.get(call.path("run"))


def last_of_actor(call: Call) -> Document:
    """The last run of the Actor in the path, of the status and origin asked for."""
    return call.platform.runs.last(find_program(call).id, call.query)


def _default(kind: StorageKind, find: Find) -> Find:
    def storage(call: Call) -> Document:
        if found := call.platform.storages.find(kind, find(call)[_DEFAULTS[kind]]):
            return found
        raise not_found("The default storage of the run")

    return storage


async def list_all(call: Call) -> Response:
    """`GET /v2/actor-runs`."""
    return data(call.platform.runs.page(call.query, None))


async def list_of_actor(call: Call) -> Response:
    """`GET /v2/actors/{id}/runs`."""
    return data(call.platform.runs.page(call.query, find_program(call).id))


class _OneRun:
    """The endpoints of one run, however the path names it."""

    def __init__(self, find: Find) -> None:
        self._find = find

    async def show(self, call: Call) -> Response:
        run, seconds = self._find(call), call.wait_seconds()
        if seconds and run["status"] not in TERMINAL:
            await call.platform.lives.wait(run["id"], seconds)
            run = call.platform.runs.get(run["id"])
        return _answer(call, run)

    async def update(self, call: Call) -> Response:
        body = await json_object(call.request, call.platform.settings.max_request_bytes)
        changes = {name: value for name, value in body.items() if name in _UPDATABLE and value is not None}
        for name, value in changes.items():
            if not isinstance(value, _UPDATABLE[name]):
                raise invalid_input(f"Field {name} has a wrong type.")
        run = self._find(call) | changes
        call.platform.runs.save(run)
        return _answer(call, run)

    async def delete(self, call: Call) -> Response:
        run = self._find(call)
        if run["status"] not in TERMINAL:
            raise ApiError(400, "cannot-remove-running-run", "Only finished runs can be deleted.")
        call.platform.runs.delete(run)
        call.platform.logs.delete(run["id"])
        return Response(status_code=204)

    async def abort(self, call: Call) -> Response:
        gracefully = bool(call.query.flag("gracefully"))
        return _answer(call, call.platform.lives.abort(self._find(call), gracefully=gracefully))

    async def resurrect(self, call: Call) -> Response:
        options = run_options(call.query)
        return _answer(call, call.platform.lives.resurrect(self._find(call), options))


def _answer(call: Call, run: Document) -> Response:
    return data(call.platform.runs.present(run, priced=call.token is not None))
