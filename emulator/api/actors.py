"""Actors, and starting their runs (Apify API, "Actors", "Run Actor")."""

from starlette.responses import Response

from emulator import pricing
from emulator.api import sync
from emulator.api.builds import version_of
from emulator.api.call import Call, Endpoint, data, json_answer, listed
from emulator.api.missing import not_emulated
from emulator.api.programs import FAMILIES, find_program
from emulator.api.starting import begin_run, checked_build, new_input
from emulator.documents import Document
from emulator.programs import Program
from emulator.runs import of_actor


def endpoints() -> list[Endpoint]:
    """`/v2/acts` and `/v2/actors`."""
    found = []
    for family in FAMILIES:
        root = f"/v2/{family}/{{actor}}"
        found += [
            Endpoint(f"/v2/{family}", {"GET": list_actors, "POST": not_emulated}),
            Endpoint(root, {"GET": show, "PUT": not_emulated, "DELETE": not_emulated}),
            Endpoint(f"{root}/validate-input", {"POST": validate_input}),
            *sync.endpoints(root, begin, find_program),
        ]
    return found


async def list_actors(call: Call) -> Response:
    """`GET /v2/actors`; with `my=1` those of the caller only."""
    programs = call.platform.programs.all()
    if call.query.flag("my"):
        programs = [program for program in programs if program.owner == call.account.username]
    return data(listed(call.query, [_short(program) for program in programs]))


async def show(call: Call) -> Response:
    """`GET /v2/actors/{id}`."""
    program = find_program(call)
    manifest, info = program.manifest, pricing.pricing_info(program)
    build = {"buildId": program.build_id, "buildNumber": program.build_number, "finishedAt": program.created}
    view = {
        **_short(program),
        "userId": call.platform.user_id,
        "description": manifest.description,
        "isPublic": False,
        "actorPermissionLevel": "LIMITED_PERMISSIONS",
        "stats": _stats(call, program),
        "versions": [version_of(program)],
        "pricingInfos": [info] if info else [],
        "defaultRunOptions": {
            "build": program.build_tag,
            "timeoutSecs": manifest.timeout_secs,
            "memoryMbytes": manifest.memory_mbytes,
        },
        "taggedBuilds": {program.build_tag: build},
    }
    return data(view)


async def validate_input(call: Call) -> Response:
    """`POST /v2/actors/{id}/validate-input`."""
    program = find_program(call)
    checked_build(call.query.text("build"), program)
    await new_input(call, program)
    return json_answer({"valid": True})


async def begin(call: Call) -> Document:
    """Start the run of the Actor in the path that the request asks for."""
    return await begin_run(call, find_program(call))


def _stats(call: Call, program: Program) -> Document:
    documents = call.platform.documents
    stats: Document = {"totalRuns": documents.count("run", of_actor(program)), "totalBuilds": 1}
    if last := documents.all("run", of_actor(program), desc=True, limit=1):
        stats["lastRunStartedAt"] = last[0]["startedAt"]
    return stats


def _short(program: Program) -> Document:
    return {
        "id": program.id,
        "name": program.manifest.name,
        "username": program.owner,
        "title": program.manifest.title or program.manifest.name,
        "createdAt": program.created,
        "modifiedAt": program.created,
    }
