"""Starting a run of an Actor or a task, whichever endpoint asks for it (Apify API, "Run Actor", "Run task")."""

from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.responses import Response

from emulator.api.call import Call, Handler, data
from emulator.bodies import whole_body
from emulator.documents import Document
from emulator.errors import ApiError, invalid_value
from emulator.inputs import checked_input
from emulator.manifest import LARGEST_MEMORY, SMALLEST_MEMORY
from emulator.programs import Program
from emulator.query import Query
from emulator.runs import RunOptions, Starter
from emulator.tasks import overlaid
from emulator.webhooks import decode_webhooks

Begin = Callable[[Call], Awaitable[Document]]

_JSON = "application/json; charset=utf-8"
_PERMISSIONS = ("LIMITED_PERMISSIONS", "FULL_PERMISSIONS")


def starting(begin: Begin) -> Handler:
    """`POST …/runs`: the run, perhaps after some seconds of waiting for its end."""

    async def start(call: Call) -> Response:
        platform, seconds = call.platform, call.wait_seconds()
        run = await begin(call)
        await platform.lives.wait(run["id"], seconds)
        location = f"{platform.settings.base_url}{_collection(call, run)}/{run['id']}"
        return data(platform.runs.present(platform.runs.get(run["id"])), 201, {"Location": location})

    return start


async def begin_run(call: Call, program: Program, task: Document | None = None) -> Document:
    """Start the run that the request asks for. Raises: ApiError 400, 404, 413 or 415 before anything is started."""
    platform = call.platform
    options = run_options(call.query, program)
    webhooks = decode_webhooks(call.query.text("webhooks") or "") if call.query.text("webhooks") else []
    body, content_type = await _sent(call)
    given, given_type = overlaid(task, body, content_type) if task else (body, content_type)
    kept = checked_input(given, given_type, program.manifest.input)
    run = platform.runs.create(program, options, _starter(call), len(given), task)
    await keep_input(call, run, "INPUT", kept, given_type if kept is given else _JSON)
    for webhook in webhooks:
        platform.webhooks.add_ad_hoc(webhook, run)
    platform.lives.start(run, program)
    return run


async def keep_input(call: Call, run: Document, key: str, body: bytes, content_type: str) -> None:
    """Store an input in the run's default key-value store; an empty one is no record."""
    if body:
        await call.platform.storages.records.put(run["defaultKeyValueStoreId"], key, content_type, _once(body))


async def new_input(call: Call, program: Program) -> tuple[bytes, str]:
    """The body as an input of this Actor, and its content type. Raises: ApiError 400, 413 or 415."""
    body, content_type = await _sent(call)
    kept = checked_input(body, content_type, program.manifest.input)
    return kept, content_type if kept is body else _JSON


def run_options(query: Query, program: Program | None) -> RunOptions:
    """The options that starting and resurrecting share. Raises: ApiError 400 or 404."""
    memory = query.integer("memory")
    low, high = program.memory_range if program else (SMALLEST_MEMORY, LARGEST_MEMORY)
    if memory is not None and (not low <= memory <= high or memory & (memory - 1)):
        raise invalid_value(f'Query parameter "memory" must be a power of 2 between {low} and {high}.')
    timeout = query.number("timeout")
    permission = query.text("forcePermissionLevel")
    if permission not in {None, *_PERMISSIONS}:
        raise invalid_value(f'Query parameter "forcePermissionLevel" must be one of {", ".join(_PERMISSIONS)}.')
    return RunOptions(
        timeout_secs=None if timeout is None else -int(-timeout // 1),  # rounded up: 0.5 s is not "no timeout"
        memory_mbytes=memory,
        max_items=query.integer("maxItems"),
        max_total_charge_usd=query.number("maxTotalChargeUsd"),
        restart_on_error=query.flag("restartOnError"),
        build=checked_build(query.text("build"), program),
        permission_level=permission,
    )


def checked_build(build: str | None, program: Program | None) -> str | None:
    """The tag or number of a build that the Actor has. Raises: ApiError 404."""
    if program and build not in {None, program.build_tag, program.build_number}:
        raise ApiError(404, "unknown-build-tag", f'The Actor has no such build; it has "{program.build_tag}".')
    return build


async def _sent(call: Call) -> tuple[bytes, str]:
    """The body and its content type; a `GET` brings no input."""
    if call.is_read:
        return b"", _JSON
    content_type = call.request.headers.get("content-type", "application/octet-stream")
    return await whole_body(call.request, call.platform.settings.max_request_bytes), content_type


def _starter(call: Call) -> Starter:
    client = call.request.client
    origin = "ACTOR" if call.platform.access.is_run(call.token) else "API"
    return Starter(call.account, client.host if client else None, call.request.headers.get("user-agent"), origin)


def _collection(call: Call, run: Document) -> str:
    """The path of the runs that this one is among: `/v2/acts/{id}/runs`, `/v2/actor-tasks/{id}/runs`."""
    family = call.request.url.path.split("/")[2]
    return f"/v2/{family}/{run['actorTaskId'] or run['actId']}/runs"


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
