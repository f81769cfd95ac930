"""Persistent webhooks and their dispatches (API reference, "Webhooks", "Webhook dispatches")."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from config.contracts.source import Api
from config.sources.apify.answers import SMALL, Identified, data
from config.sources.apify.lists import listed
from config.sources.apify.paths import TASK, program_path, segment
from config.sources.apify.webhooks import AdHocWebhook

Fields = dict[str, Any]


class Condition(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """What a webhook watches: exactly one Actor, task or run, by its id."""

    actor_id: str | None = None
    actor_task_id: str | None = None
    actor_run_id: str | None = None


class LastingWebhook(AdHocWebhook, rename="camel", omit_defaults=True, kw_only=True):
    """A webhook that stays until it is deleted."""

    condition: Condition
    description: str | None = None


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


def _path(webhook_id: str) -> str:
    return f"/webhooks/{segment(webhook_id)}"
