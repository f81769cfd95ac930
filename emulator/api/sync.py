"""Starting a run and answering with what it left, all in one request (Apify API, "Run Actor synchronously")."""

from collections.abc import Callable

from starlette.responses import Response

from emulator.api import datasets, stores
from emulator.api.call import Call, Endpoint
from emulator.api.starting import Begin
from emulator.documents import Document
from emulator.errors import ApiError, not_found
from emulator.items.reading import Reading
from emulator.programs import Program
from emulator.records import check_key

MAX_SECONDS = 300.0


def endpoints(root: str, begin: Begin, program: Callable[[Call], Program]) -> list[Endpoint]:
    """`run-sync` and `run-sync-get-dataset-items` of an Actor or a task; `program` finds the Actor of the path."""

    async def record(call: Call) -> Response:
        key = check_key(call.query.text("outputRecordKey") or "OUTPUT")
        run = await _succeeded(call, await begin(call))
        found = call.platform.storages.records.get(run["defaultKeyValueStoreId"], key)
        if found is None:  # it is no fault: an Actor need not leave one
            return Response(status_code=201)
        answer = stores.record_answer(call, found, is_attachment=False)
        answer.status_code = 201
        return answer

    async def items(call: Call) -> Response:
        Reading.of(call.query, program(call).manifest.datasets.get("default"))  # what it refuses starts nothing
        run = await _succeeded(call, await begin(call))
        dataset = call.platform.storages.find("dataset", run["defaultDatasetId"])
        if dataset is None:
            raise not_found("The default dataset of the run")
        answer = await datasets.list_items(call, dataset)
        answer.status_code = 201
        return answer

    return [
        Endpoint(f"{root}/run-sync", {"GET": record, "POST": record}),
        Endpoint(f"{root}/run-sync-get-dataset-items", {"GET": items, "POST": items}),
    ]


async def _succeeded(call: Call, run: Document) -> Document:
    """The run once it has succeeded. Raises: ApiError 408 if that takes too long (the run goes on), 400 if it fails."""
    platform = call.platform
    if not await platform.lives.wait(run["id"], MAX_SECONDS * platform.settings.clock_factor):
        message = f"Actor run exceeded the timeout of {MAX_SECONDS:.0f} seconds for this API endpoint"
        raise ApiError(408, "run-timeout-exceeded", message)
    run = platform.runs.get(run["id"])
    if run["status"] != "SUCCEEDED":
        message = f"Actor run did not succeed (run ID: {run['id']}, status: {run['status']})."
        raise ApiError(400, "run-failed", message)
    return run
