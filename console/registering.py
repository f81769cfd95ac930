"""Persistent webhooks that lead to our receiver: making one, and making one of somebody else's ours."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from config.contracts.api import Api
from config.contracts.event import digest
from config.logs import MASK
from config.sources.apify import lasting
from config.sources.apify.lasting import LastingWebhook
from config.sources.apify.webhooks import TERMINAL, AdHocWebhook
from console.failures import CommandFailed

_HEADER = "Authorization"


async def register(api: Api, program: str, door: AdHocWebhook) -> dict[str, Any]:
    """A webhook for every run of an Actor or a task. Asked for twice, the platform makes one: its idempotency key
    belongs to this receiver and this Actor.

    Raises CommandFailed if there is one already which says something else.
    """
    condition = await lasting.condition_of(api, program)
    watched = condition.actor_id or condition.actor_task_id or ""
    said = msgspec.structs.asdict(door) | {
        "idempotency_key": f"runrelay-{digest('lasting', door.request_url, watched)[:32]}",
        "description": f"Runrelay: tells {door.request_url} how runs end",
    }
    made = await lasting.create(api, LastingWebhook(**said, condition=condition))
    if changes := adoption(made, door):
        message = f"webhook {made['id']} was registered before and differs in {', '.join(changes)}"
        raise CommandFailed("webhook_differs", f"{message}: runrelay webhooks adopt {made['id']}")
    return made


def adoption(found: Mapping[str, Any], door: AdHocWebhook, *, redirect: bool = False) -> dict[str, Any]:
    """The fields to change so that a webhook opens our door however a run ends; empty if it does.

    redirect: whether it may be pointed at our receiver. Raises CommandFailed if it leads elsewhere and may not: our
    secret is nobody else's business; or if its headers are a template that cannot be added to.
    """
    changes: dict[str, Any] = {}
    if missing := [event for event in TERMINAL if event not in (found.get("eventTypes") or ())]:
        changes["eventTypes"] = [*(found.get("eventTypes") or ()), *missing]
    if found.get("requestUrl") != door.request_url:
        if not redirect:
            message = f"webhook {found['id']} leads to {found.get('requestUrl')}, not to {door.request_url}"
            raise CommandFailed("webhook_elsewhere", f"{message}: --redirect makes it lead here")
        changes["requestUrl"] = door.request_url
    theirs, ours = _headers(found), json.loads(door.headers_template or "{}")
    others = {name: value for name, value in theirs.items() if name.lower() != _HEADER.lower()}
    if theirs != {**others, **ours}:
        changes["headersTemplate"] = json.dumps({**others, **ours})
    return changes


def difference(found: Mapping[str, Any], changes: Mapping[str, Any]) -> list[str]:
    """What changes, a line each, without secrets."""
    lines = []
    for name, value in changes.items():
        before, after = _shown(name, found.get(name)), _shown(name, value)
        lines += [f"- {name}: {one}" for one in before if one not in after]
        lines += [f"+ {name}: {one}" for one in after if one not in before]
    if "headersTemplate" in changes:
        lines.append(f"+ headersTemplate: {_HEADER}: {MASK}")
    return lines


def _shown(name: str, value: Any) -> list[str]:
    """The parts of a field that people compare."""
    if name == "headersTemplate":
        return []
    return list(value) if isinstance(value, list) else [str(value)] if value else []


def _headers(found: Mapping[str, Any]) -> dict[str, Any]:
    try:
        headers = json.loads(found.get("headersTemplate") or "{}")
    except ValueError:
        headers = None
    if not isinstance(headers, dict):
        message = f"the headers of webhook {found['id']} are no JSON object: add {_HEADER} to them in the Console"
        raise CommandFailed("webhook_headers", message)
    return headers
