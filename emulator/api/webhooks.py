"""Webhooks and their dispatches (Apify API, "Webhooks", "Webhook dispatches")."""

from starlette.responses import Response

from emulator.api import storages
from emulator.api.call import Call, Endpoint, data
from emulator.api.programs import FAMILIES, find_program
from emulator.api.tasks import find_task
from emulator.bodies import json_object
from emulator.documents import Document, Filter, shown
from emulator.errors import not_found
from emulator.webhooks import parse_lasting, short


def endpoints() -> list[Endpoint]:
    """`/v2/webhooks`, `/v2/webhook-dispatches`, and the webhooks of an Actor or a task."""
    return [
        Endpoint("/v2/webhooks", {"GET": list_webhooks, "POST": create}),
        Endpoint("/v2/webhooks/{webhook}", {"GET": show, "PUT": update, "DELETE": delete}),
        Endpoint("/v2/webhooks/{webhook}/test", {"POST": test}),
        Endpoint("/v2/webhooks/{webhook}/dispatches", {"GET": list_own_dispatches}),
        Endpoint("/v2/webhook-dispatches", {"GET": list_dispatches}),
        Endpoint("/v2/webhook-dispatches/{dispatch}", {"GET": show_dispatch}),
        *(Endpoint(f"/v2/{family}/{{actor}}/webhooks", {"GET": list_of_actor}) for family in FAMILIES),
        Endpoint("/v2/actor-tasks/{task}/webhooks", {"GET": list_of_task}),
    ]


def _webhook(call: Call) -> Document:
    return call.owned(call.platform.webhooks.get(call.path("webhook")))


async def list_webhooks(call: Call) -> Response:
    """`GET /v2/webhooks`."""
    return _webhooks(call, storages.own(call))


async def list_of_actor(call: Call) -> Response:
    """`GET /v2/actors/{id}/webhooks`."""
    return _webhooks(call, storages.own(call).add("owner=?", find_program(call).id))


async def list_of_task(call: Call) -> Response:
    """`GET /v2/actor-tasks/{id}/webhooks`."""
    return _webhooks(call, storages.own(call).add("owner=?", find_task(call)["id"]))


async def create(call: Call) -> Response:
    """`POST /v2/webhooks`."""
    body = await json_object(call.request, call.platform.settings.max_request_bytes)
    return data(call.platform.webhooks.add(parse_lasting(body), call.account.id), 201)


async def show(call: Call) -> Response:
    """`GET /v2/webhooks/{id}`."""
    return data(_webhook(call))


async def update(call: Call) -> Response:
    """`PUT /v2/webhooks/{id}`: only the given fields change."""
    body = await json_object(call.request, call.platform.settings.max_request_bytes)
    return data(call.platform.webhooks.update(_webhook(call), body))


async def delete(call: Call) -> Response:
    """`DELETE /v2/webhooks/{id}`."""
    call.platform.webhooks.delete(_webhook(call)["id"])
    return Response(status_code=204)


async def test(call: Call) -> Response:
    """`POST /v2/webhooks/{id}/test`."""
    return data(shown(call.platform.dispatches.test(_webhook(call))), 201)


async def list_own_dispatches(call: Call) -> Response:
    """`GET /v2/webhooks/{id}/dispatches`."""
    return _dispatches(call, Filter().add("owner=?", _webhook(call)["id"]))


async def list_dispatches(call: Call) -> Response:
    """`GET /v2/webhook-dispatches`."""
    return _dispatches(call, storages.own(call))


async def show_dispatch(call: Call) -> Response:
    """`GET /v2/webhook-dispatches/{id}`."""
    if dispatch := call.platform.documents.get("dispatch", call.path("dispatch")):
        return data(shown(call.owned(dispatch)))
    raise not_found("Webhook dispatch")


def _webhooks(call: Call, where: Filter) -> Response:
    page = call.platform.documents.page("webhook", call.query, where)
    return data({**page, "items": [short(webhook) for webhook in page["items"]]})


def _dispatches(call: Call, where: Filter) -> Response:
    page = call.platform.documents.page("dispatch", call.query, where)
    return data({**page, "items": [shown(dispatch) for dispatch in page["items"]]})
