"""Builds and versions (Apify API, "Actor builds", "Actor versions"): every Actor has just one, made before its time."""

from starlette.responses import Response

from emulator.api.call import Call, Endpoint, data, listed
from emulator.api.logs import lines_answer
from emulator.api.missing import not_emulated
from emulator.api.programs import FAMILIES, find_program
from emulator.documents import Document
from emulator.errors import not_found
from emulator.programs import Program


def endpoints() -> list[Endpoint]:
    """`/v2/actor-builds`, and `/v2/actors/{id}/builds` and `/versions`."""
    found = [
        Endpoint("/v2/actor-builds", {"GET": list_all}),
        Endpoint("/v2/actor-builds/{build}", {"GET": show, "DELETE": not_emulated}, public=True),
        Endpoint("/v2/actor-builds/{build}/abort", {"POST": abort}),
        Endpoint("/v2/actor-builds/{build}/log", {"GET": log}, public=True),
    ]
    for family in FAMILIES:
        root = f"/v2/{family}/{{actor}}"
        found += [
            Endpoint(f"{root}/builds", {"GET": list_of_actor, "POST": not_emulated}),
            Endpoint(f"{root}/builds/default", {"GET": show_default}, public=True),
            Endpoint(f"{root}/builds/{{build}}", {"GET": show}, public=True),
            Endpoint(f"{root}/builds/{{build}}/abort", {"POST": abort}),
            Endpoint(f"{root}/versions", {"GET": list_versions, "POST": not_emulated}),
            Endpoint(
                f"{root}/versions/{{version}}",
                {"GET": show_version, "PUT": not_emulated, "POST": not_emulated, "DELETE": not_emulated},
            ),
        ]
    return found


async def list_all(call: Call) -> Response:
    """`GET /v2/actor-builds`."""
    return data(listed(call.query, [_short(call, program) for program in call.platform.programs.all()]))


async def list_of_actor(call: Call) -> Response:
    """`GET /v2/actors/{id}/builds`."""
    return data(listed(call.query, [_short(call, find_program(call))]))


async def show(call: Call) -> Response:
    """`GET /v2/actor-builds/{id}` and `GET /v2/actors/{id}/builds/{id}`."""
    return data(_present(call, _find(call)))


async def show_default(call: Call) -> Response:
    """`GET /v2/actors/{id}/builds/default`."""
    return data(_present(call, find_program(call)))


async def abort(call: Call) -> Response:
    """`POST …/builds/{id}/abort` does nothing: every build has succeeded long ago."""
    return data(_present(call, _find(call)))


async def log(call: Call) -> Response:
    """`GET /v2/actor-builds/{id}/log`."""
    return log_of(call, _find(call))


def log_of(call: Call, program: Program) -> Response:
    """The log of an Actor's build: it was read from a folder, which takes no building."""
    line = f"{program.created} ACTOR: The Actor was read from its folder, nothing was built.\n"
    return lines_answer(call, program.build_id, iter([[line]]))


async def list_versions(call: Call) -> Response:
    """`GET /v2/actors/{id}/versions`."""
    return data({"total": 1, "items": [version_of(find_program(call))]})


async def show_version(call: Call) -> Response:
    """`GET /v2/actors/{id}/versions/{number}`."""
    program = find_program(call)
    if call.path("version") != program.manifest.version:
        raise not_found("Actor version")
    return data(version_of(program))


def version_of(program: Program) -> Document:
    """The only version of an Actor; its source stays in its folder."""
    return {
        "versionNumber": program.manifest.version,
        "sourceType": "SOURCE_FILES",
        "buildTag": program.build_tag,
        "envVars": [],
        "applyEnvVarsToBuild": False,
        "sourceFiles": [],
    }


def _find(call: Call) -> Program:
    program = call.platform.programs.of_build(call.path("build"))
    if program is None or ("actor" in call.request.path_params and find_program(call) is not program):
        raise not_found("Build")
    return program


def _short(call: Call, program: Program) -> Document:
    return {
        "id": program.build_id,
        "actId": program.id,
        "userId": call.platform.user_id,
        "status": "SUCCEEDED",
        "startedAt": program.created,
        "finishedAt": program.created,
        "usageTotalUsd": 0,
        "buildNumber": program.build_number,
        "meta": {"origin": "DEVELOPMENT"},
    }


def _present(call: Call, program: Program) -> Document:
    manifest = program.manifest
    definition = {
        "actorSpecification": 1,
        "name": manifest.name,
        "version": manifest.version,
        "buildTag": manifest.build_tag,
        "input": manifest.input,
        "defaultMemoryMbytes": manifest.memory_mbytes,
    }
    view = _short(call, program) | {
        "stats": {"durationMillis": 0, "runTimeSecs": 0, "computeUnits": 0},
        "options": {"useCache": False, "betaPackages": False, "memoryMbytes": 4096, "diskMbytes": 8192},
        "actVersion": {
            "sourceType": "SOURCE_FILES",
            "buildTag": program.build_tag,
            "versionNumber": manifest.version,
        },
        "actorDefinition": {name: value for name, value in definition.items() if value is not None},
    }
    if call.token is None:
        del view["usageTotalUsd"]
        return view
    return view | {"usage": {"ACTOR_COMPUTE_UNITS": 0}, "usageUsd": {"ACTOR_COMPUTE_UNITS": 0}}
