"""Starting Actors from the command line: once, and never twice because an answer was lost."""

import asyncio
import ipaddress
import math
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientConnectorError

from config.contracts.api import Api
from config.contracts.errors import Transient, WorkError
from config.contracts.event import Event, digest, event_id
from config.queue import Accepted, Duplicate, QueueUnavailable, RunQueue
from config.settings import Settings
from config.sources.apify import ApifySource, runs
from config.sources.apify.starting import RunOptions, announcement, start, started_within
from config.sources.apify.telling import TERMINAL, UNDER_WAY
from config.sources.apify.webhooks import AdHocWebhook, pointing_at
from console.failures import CommandFailed, status_of

#: Seconds of one long poll: short enough to see how the run goes on.
_POLL = 5
#: Seconds between two looks, should the platform answer at once.
_BREATH = 0.25
#: Seconds between looks at a platform in trouble.
_PAUSES = (1, 2, 4, 8, 15, 30, 60, 60, 60, 60)
#: Longest pause a platform in trouble may ask for: somebody sits and waits.
_LONGEST_PAUSE = 60.0
#: Answers after which nothing has started. 408 is none of them: it says how long somebody waited.
_REFUSED = frozenset(range(400, 500)) - {408}
_SET_PUBLIC_URL = (
    "set RUNRELAY_PUBLIC_URL to the address the platform reaches the receiver at, such as https://hooks.example.com; "
    "`runrelay call` needs none"
)


@dataclass(frozen=True)
class Wish:
    """What to start, and how."""

    actor: str
    options: RunOptions
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"


def base_of(settings: Settings) -> str:
    """The receiver's address as the platform sees it. Raises CommandFailed without one."""
    if not settings.public_url:
        raise CommandFailed("public_url_missing", _SET_PUBLIC_URL)
    return settings.public_url.rstrip("/")


def door_of(settings: Settings, source: ApifySource) -> AdHocWebhook:
    """The webhook of one start: to our receiver, for every way a run can end.

    Its idempotency key belongs to this start alone, so that a request which arrives twice makes one webhook.
    Raises CommandFailed if the platform could never reach us.
    """
    base = base_of(settings)
    if is_loopback(base) and not is_loopback(source.manners.base_url):
        message = f"the platform cannot reach {urlsplit(base).hostname}: {_SET_PUBLIC_URL}"
        raise CommandFailed("public_url_loopback", message)
    if not source.secret:
        message = (
            f"the source {source.name} has no secret that a webhook set up here could bring: add webhook.secrets, "
            "and leave webhook.verify at `token` without a header of its own (signatures are made by the platform)"
        )
        raise CommandFailed("secret_missing", message)
    key = f"runrelay-{digest(secrets.token_hex(16), base)[:32]}"
    return pointing_at(f"{base}/webhooks/{source.name}", source.secret, idempotency_key=key)


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own, and nobody else's to reach."""
    host = ""
    try:
        host = urlsplit(url).hostname or ""
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, or no address at all
        return host == "localhost" or host.endswith(".localhost")


async def start_once(api: Api, wish: Wish, webhooks: list[AdHocWebhook]) -> dict[str, Any]:
    """The run. Raises CommandFailed with what is known when the answer was lost, and any other verdict as it is."""
    began = time.monotonic()
    try:
        return await start(
            api,
            wish.actor,
            options=wish.options,
            body=wish.body,
            content_type=wish.content_type,
            webhooks=webhooks,
        )
    except Transient as lost:
        never_asked = isinstance(lost.__cause__, ClientConnectorError)
        if never_asked or status_of(lost) in _REFUSED:
            raise
        raise CommandFailed("start_unknown", await _what_is_known(api, wish.actor, began, lost)) from lost


async def _what_is_known(api: Api, actor: str, began: float, lost: Transient) -> str:
    said = f"the platform did not confirm the start ({lost.detail}); it is not repeated, because it may have happened"
    try:
        found = await started_within(api, actor, time.monotonic() - began)
    except WorkError:
        return f"{said}, and the platform cannot be asked: look at the Actor's runs before you start it again"
    if not found:
        return f"{said}. No run of {actor} has started since: start it again if that is still so in a minute"
    named = ", ".join(f"{run['id']} ({run['status']})" for run in found)
    return f"{said}. Started since, by whomever: {named}"


def has_ended(run: Mapping[str, Any]) -> bool:
    """Whether a run object says so, by a status we know or by the time of its end."""
    status = run.get("status")
    return status in TERMINAL or (status not in UNDER_WAY and bool(run.get("finishedAt")))


async def followed(api: Api, run: dict[str, Any], seconds: float = math.inf) -> AsyncIterator[dict[str, Any]]:
    """The run now, and after each look at it until it has ended or the time is over. Raises Transient if the platform
    stays away."""
    over = time.monotonic() + seconds
    yield run
    while not has_ended(run) and (left := over - time.monotonic()) > 0:
        await asyncio.sleep(_BREATH)
        run = await _looked(api, run["id"], left)
        yield run


async def _looked(api: Api, run_id: str, left: float) -> dict[str, Any]:
    """The run after a long poll; trouble on the way is waited out, for minutes if there is so much time."""
    wait = min(max(left, 1), _POLL)
    for pause in takewhile(lambda pause: pause < left, _PAUSES):
        try:
            return await runs.get(api, run_id, wait=wait)
        except Transient as trouble:
            await asyncio.sleep(min(max(pause, trouble.retry_after or 0.0), _LONGEST_PAUSE, left))
    return await runs.get(api, run_id, wait=wait)


async def inbox_answers(settings: Settings) -> None:
    """Raises RedisError if it does not: better before a run is paid for than after."""
    async with RunQueue.connect(settings) as queue:
        await queue.redis.ping()


async def announce(settings: Settings, source: ApifySource, run: dict[str, Any]) -> Accepted | Duplicate:
    """Put the end of a run into the inbox, as its webhook would have. Raises CommandFailed."""
    kind, body = announcement(run)
    event = Event(
        id=event_id(source.name, None, body), source=source.name, run_id=run["id"], kind=kind, body=body, via="call"
    )
    try:
        async with RunQueue.connect(settings) as queue:
            return (await queue.accept([event]))[0]
    except QueueUnavailable as exc:
        message = f"run {run['id']} ended {run['status']}, but its end could not be put into the inbox ({exc})"
        raise CommandFailed(
            "queue_unavailable", f"{message}: check that Redis runs and that REDIS_URL names it"
        ) from exc


def body_of(given: str | None) -> bytes | None:
    """The input: the text itself, or `@file`, or `@-` for standard input. Raises OSError."""
    if given is None or not given.startswith("@"):
        return given.encode() if given is not None else None
    if given == "@-":
        return sys.stdin.buffer.read()
    return Path(given[1:]).read_bytes()
