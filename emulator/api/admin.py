"""What only the emulator has: faults planned while it runs, and moves of runs. None of this is part of Apify's API."""

import math
import re
from dataclasses import asdict, is_dataclass

from starlette.responses import Response

from emulator.api.call import Call, Endpoint, data
from emulator.bodies import whole_body
from emulator.distortions import Refuse
from emulator.documents import Document
from emulator.errors import invalid_input
from emulator.faultfile import FaultMistake, parse_faults
from emulator.scenarios import Fault


def endpoints() -> list[Endpoint]:
    """`/emulator/faults` and `/emulator/runs`."""
    return [
        Endpoint("/emulator/faults", {"GET": show, "POST": add, "DELETE": clear}),
        Endpoint("/emulator/runs/{run}/migrate", {"POST": migrate}),
    ]


async def show(call: Call) -> Response:
    """`GET /emulator/faults`: those still to come."""
    return data({"faults": [_view(fault) for fault in call.platform.settings.scenario.faults if fault.times > 0]})


async def add(call: Call) -> Response:
    """`POST /emulator/faults`: more of them, written as in a fault script, in YAML or JSON."""
    body = await whole_body(call.request, call.platform.settings.max_request_bytes)
    try:
        faults = parse_faults(body.decode("utf-8", "replace"), "body")
    except FaultMistake as mistake:
        raise invalid_input(str(mistake)) from None
    call.platform.settings.scenario.add(*faults)
    return data({"faults": [_view(fault) for fault in faults]}, 201)


async def clear(call: Call) -> Response:
    """`DELETE /emulator/faults`: nothing goes wrong any more."""
    call.platform.settings.scenario.clear()
    return Response(status_code=204)


async def migrate(call: Call) -> Response:
    """`POST /emulator/runs/{id}/migrate`: the run is moved, as the platform does whenever it likes."""
    run = call.admitted(call.platform.runs.get(call.path("run")))
    return data(call.platform.runs.present(call.platform.lives.migrate(run)))


def _view(fault: Fault) -> Document:
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", type(fault.action).__name__).lower()
    times = "always" if math.isinf(fault.times) else int(fault.times)
    return {"match": fault.match, "does": name, "times": times, "after": fault.after, **_details(fault)}


def _details(fault: Fault) -> Document:
    if isinstance(fault.action, Refuse):
        return {"with": {"status": fault.action.error.status, "type": fault.action.error.type}}
    if not is_dataclass(fault.action):
        return {}
    details = asdict(fault.action)
    if isinstance(body := details.get("body"), bytes):
        details["body"] = body.decode("utf-8", "replace")
    return {"with": details} if details else {}
