"""Persistent webhooks and their dispatches (API reference, "Webhooks", "Webhook dispatches")."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from config.contracts.api import Api
from config.contracts.source import Unheard
from config.sources.apify.answers import Identified, data, seconds, shaped
from config.sources.apify.lists import listed
from config.sources.apify.paths import TASK, program_path, segment
from config.sources.apify.webhooks import TERMINAL, AdHocWebhook
from config.wire.answers import SMALL

Fields = dict[str, Any]
#: Dispatches asked for at once: each brings the answers of all its calls.
_SHORT = 100
#: Dispatches looked through in one go.
_MOST = 5000


class Condition(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """What a webhook watches: exactly one Actor, task or run, by its id."""

    actor_id: str | None = None
    actor_task_id: str | None = None
    actor_run_id: str | None = None


class LastingWebhook(AdHocWebhook, rename="camel", omit_defaults=True, kw_only=True):
    """A webhook that stays until it is deleted."""

    condition: Condition
    description: str | None = None


class Call(msgspec.Struct, rename="camel"):
    """One try of a dispatch."""

    response_status: int | None = None


class EventData(msgspec.Struct, rename="camel"):
    actor_run_id: str | None = None


class Dispatch(msgspec.Struct, rename="camel"):
    """One event on its way to one webhook, as far as we look."""

    id: str
    status: str
    created_at: str
    webhook_id: str | None = None
    event_type: str | None = None
    event_data: EventData | None = None
    calls: list[Call] = []


async def condition_of(api: Api, program: str) -> Condition:
    """The condition that names an Actor or a task (`program_path`). Raises NotFound."""
    ident = data(await api.get(program_path(program), most=SMALL), Identified).id
    return Condition(actor_task_id=ident) if program.startswith(TASK) else Condition(actor_id=ident)


def webhooks(api: Api, program: str | None = None) -> AsyncIterator[Fields]:
    """Get list of webhooks: of the account, of an Actor, or of a task."""
    return listed(api, f"{program_path(program)}/webhooks" if program else "/webhooks")


async def get(api: Api, webhook_id: str) -> Fields:
    """Get webhook."""
    return data(await api.get(_path(webhook_id), most=SMALL), Fields)


async def create(api: Api, webhook: LastingWebhook) -> Fields:
    """Create webhook. A second one of the same idempotency key is the first, whatever else it says."""
    return data(await api.send("POST", "/webhooks", body=msgspec.json.encode(webhook)), Fields)


async def update(api: Api, webhook_id: str, changes: Mapping[str, Any]) -> Fields:
    """Update webhook: the fields that are given, in the platform's words."""
    return data(await api.send("PUT", _path(webhook_id), body=msgspec.json.encode(changes)), Fields)


async def delete(api: Api, webhook_id: str) -> None:
    """Delete webhook."""
    await api.send("DELETE", _path(webhook_id))


async def test(api: Api, webhook_id: str) -> Fields:
    """Test webhook: the platform sends it an event of the kind TEST. Returns the dispatch."""
    return data(await api.send("POST", f"{_path(webhook_id)}/test"), Fields)


def dispatches(api: Api, webhook_id: str | None = None) -> AsyncIterator[Fields]:
    """Get list of dispatches, the newest first: of the account or of one webhook."""
    below = f"{_path(webhook_id)}/dispatches" if webhook_id else "/webhook-dispatches"
    return listed(api, below, {"desc": "true"})


async def dispatch(api: Api, dispatch_id: str) -> Fields:
    """Get webhook dispatch, with `calls`: every try and its answer."""
    return data(await api.get(f"/webhook-dispatches/{segment(dispatch_id)}", most=SMALL), Fields)


async def failed(api: Api, since: float) -> AsyncIterator[Unheard]:
    """Get list of dispatches: those that announced the end of a run and that nobody took, the newest first.

    since: Unix seconds; the list is followed to the first dispatch that is older, or for 5,000 of them.
    """
    left = _MOST
    async for fields in listed(api, "/webhook-dispatches", {"desc": "true"}, page=_SHORT):
        one, left = shaped(fields, Dispatch), left - 1
        if seconds(one.created_at, "createdAt") < since or left < 0:
            return
        run_id = one.event_data.actor_run_id if one.event_data else None
        if one.status == "FAILED" and one.event_type in TERMINAL and run_id:
            yield Unheard(id=one.id, run_id=run_id, answer=_answer(one))


def _answer(one: Dispatch) -> str:
    """What the last call met. Addresses stay out: the platform's own words may repeat them."""
    webhook = f"webhook {one.webhook_id}" if one.webhook_id else "a webhook"
    if not one.calls:
        return f"{webhook} was never sent"
    status = one.calls[-1].response_status
    return f"the last call of {webhook} was answered with HTTP {status}" if status else f"{webhook} reached nobody"


def _path(webhook_id: str) -> str:
    return f"/webhooks/{segment(webhook_id)}"
