"""Actors, and starting their runs (Apify API, "Run Actor")."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from emulator.api.call import Call, Endpoint, data
from emulator.bodies import whole_body
from emulator.documents import Document, Filter
from emulator.errors import ApiError, invalid_value
from emulator.inputs import checked_input
from emulator.programs import BUILD_NUMBER, BUILD_TAG, Program
from emulator.query import Query
from emulator.runs import RunOptions, Starter
from emulator.webhooks import decode_webhooks

FAMILIES = ("acts", "actors")  # the older and the newer name of the same endpoints

_PERMISSIONS = ("LIMITED_PERMISSIONS", "FULL_PERMISSIONS")


def endpoints() -> list[Endpoint]:
    """`/v2/acts`, `/v2/actors` and `/v2/users/me`."""
    both = [
        endpoint
        for family in FAMILIES
        for endpoint in (
            Endpoint(f"/v2/{family}", {"GET": list_actors}),
            Endpoint(f"/v2/{family}/{{actor}}", {"GET": show_actor}),
        )
    ]
    return [*both, Endpoint("/v2/users/me", {"GET": show_user})]


def find_program(call: Call) -> Program:
    """The Actor of the path. Raises: ApiError 404 `actor-not-found`."""
    if program := call.platform.programs.find(call.path("actor")):
        return program
    raise ApiError(404, "actor-not-found", "Actor was not found.")


async def list_actors(call: Call) -> Response:
    """`GET /v2/actors`."""
    programs = call.platform.programs.all()
    if call.query.flag("desc"):
        programs.reverse()
    offset, limit = call.query.integer("offset") or 0, call.query.integer("limit") or 1000
    items = [_short(program) for program in programs[offset : offset + limit]]
    page = {"total": len(programs), "offset": offset, "limit": limit, "count": len(items)}
    return data({**page, "desc": bool(call.query.flag("desc")), "items": items})


async def show_actor(call: Call) -> Response:
    """`GET /v2/actors/{id}`."""
    program = find_program(call)
    manifest = program.manifest
    runs = call.platform.documents.count("run", Filter().add("owner=?", program.id))
    view = {
        **_short(program),
        "userId": call.platform.user_id,
        "title": manifest.title,
        "description": manifest.description,
        "isPublic": False,
        "stats": {"totalRuns": runs, "totalBuilds": 1},
        "versions": [{"versionNumber": "0.0", "buildTag": BUILD_TAG, "sourceType": "SOURCE_FILES", "envVars": []}],
        "defaultRunOptions": {
            "build": BUILD_TAG,
            "timeoutSecs": manifest.timeout_secs,
            "memoryMbytes": manifest.memory_mbytes,
        },
        "taggedBuilds": {BUILD_TAG: {"buildId": program.build_id, "buildNumber": BUILD_NUMBER}},
    }
    return data(view)


async def show_user(call: Call) -> Response:
    """`GET /v2/users/me`."""
    platform = call.platform
    proxy = {"password": "emulator", "groups": []}
    return data({"id": platform.user_id, "username": platform.settings.username, "proxy": proxy})


async def start_run(call: Call) -> Response:
    """`POST /v2/actors/{id}/runs`."""
    platform, program, request = call.platform, find_program(call), call.request
    options = run_options(call.query)
    webhooks = decode_webhooks(call.query.text("webhooks") or "") if call.query.text("webhooks") else []
    seconds = call.wait_seconds()
    content_type = request.headers.get("content-type", "application/octet-stream")
    body = await whole_body(request, platform.settings.max_request_bytes)
    kept = checked_input(body, content_type, program.manifest.input)

    run = platform.runs.create(program, options, _starter(call), len(body))
    if kept:
        kept_type = content_type if kept is body else "application/json; charset=utf-8"
        await platform.storages.records.put(run["defaultKeyValueStoreId"], "INPUT", kept_type, _once(kept))
    for webhook in webhooks:
        platform.webhooks.add_ad_hoc(webhook, run["id"])
    platform.lives.start(run, program)
    await platform.lives.wait(run["id"], seconds)
    view = platform.runs.present(platform.runs.get(run["id"]))
    return data(view, 201, {"Location": _location(platform.settings.base_url, request, run)})


def run_options(query: Query) -> RunOptions:
    """The options that starting and resurrecting share. Raises: ApiError 400 or 404."""
    memory = query.integer("memory")
    if memory is not None and (memory not in range(128, 32769) or memory & (memory - 1)):
        raise invalid_value('Query parameter "memory" must be a power of 2 between 128 and 32768.')
    build = query.text("build")
    if build not in {None, BUILD_TAG, BUILD_NUMBER}:
        raise ApiError(404, "unknown-build-tag", f'The Actor has no such build; it has "{BUILD_TAG}".')
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
        build=build,
        permission_level=permission,
    )


def _starter(call: Call) -> Starter:
    client = call.request.client
    origin = "ACTOR" if call.platform.access.is_run(call.token) else "API"
    return Starter(client.host if client else None, call.request.headers.get("user-agent"), origin)


def _location(base_url: str, request: Request, run: Document) -> str:
    family = request.url.path.split("/")[2]
    return f"{base_url}/v2/{family}/{run['actId']}/runs/{run['id']}"


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _short(program: Program) -> Document:
    return {
        "id": program.id,
        "name": program.manifest.name,
        "username": program.owner,
        "title": program.manifest.title,
        "createdAt": program.created,
        "modifiedAt": program.created,
    }
