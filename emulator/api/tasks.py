"""Tasks, their inputs and runs (Apify API, "Actor tasks")."""

import msgspec
from starlette.responses import Response

from emulator.api import sync
from emulator.api.call import Call, Endpoint, data, json_answer
from emulator.api.starting import begin_run
from emulator.bodies import json_object
from emulator.documents import Document, Filter
from emulator.errors import invalid_input
from emulator.programs import Program
from emulator.tasks import TaskBody


def endpoints() -> list[Endpoint]:
    """`/v2/actor-tasks`; what is about runs of tasks stands with the runs."""
    root = "/v2/actor-tasks/{task}"
    return [
        Endpoint("/v2/actor-tasks", {"GET": list_tasks, "POST": create}),
        Endpoint(root, {"GET": show, "PUT": update, "DELETE": delete}),
        Endpoint(f"{root}/input", {"GET": show_input, "PUT": update_input}),
        *sync.endpoints(root, begin, _program),
    ]


def find_task(call: Call) -> Document:
    """The task of the path. Raises: ApiError 404, or 403 if it is somebody else's."""
    return call.owned(call.platform.tasks.get(call.path("task")))


async def list_tasks(call: Call) -> Response:
    """`GET /v2/actor-tasks`."""
    page = call.platform.documents.page("task", call.query, Filter().add("owner=?", call.account.id))
    return data({**page, "items": [call.platform.tasks.short(task) for task in page["items"]]})


async def create(call: Call) -> Response:
    """`POST /v2/actor-tasks`."""
    tasks = call.platform.tasks
    task = tasks.create(_task_body(await _object(call)), call.account)
    location = f"{call.platform.settings.base_url}/v2/actor-tasks/{task['id']}"
    return data(tasks.present(task), 201, {"Location": location})


async def show(call: Call) -> Response:
    """`GET /v2/actor-tasks/{id}`."""
    return data(call.platform.tasks.present(find_task(call)))


async def update(call: Call) -> Response:
    """`PUT /v2/actor-tasks/{id}`: only the given fields change."""
    body, tasks = await _object(call), call.platform.tasks
    return data(tasks.present(tasks.update(find_task(call), _task_body(body), body)))


async def delete(call: Call) -> Response:
    """`DELETE /v2/actor-tasks/{id}`."""
    call.platform.tasks.delete(find_task(call))
    return Response(status_code=204)


async def show_input(call: Call) -> Response:
    """`GET /v2/actor-tasks/{id}/input`, without an envelope."""
    return json_answer(find_task(call)["input"] or {})


async def update_input(call: Call) -> Response:
    """`PUT /v2/actor-tasks/{id}/input`: only the given fields change."""
    body = await _object(call)
    task = find_task(call)
    task["input"] = {**(task["input"] or {}), **body}
    call.platform.tasks.save(task)
    return json_answer(task["input"])


async def begin(call: Call) -> Document:
    """Start the run of the task in the path that the request asks for."""
    return await begin_run(call, _program(call), find_task(call))


def _program(call: Call) -> Program:
    return call.platform.tasks.program(find_task(call))


async def _object(call: Call) -> Document:
    return await json_object(call.request, call.platform.settings.max_request_bytes)


def _task_body(body: Document) -> TaskBody:
    try:
        return msgspec.convert(body, TaskBody)
    except msgspec.ValidationError as error:
        raise invalid_input(f"The task is not valid: {error}") from None
