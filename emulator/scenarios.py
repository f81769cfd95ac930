"""Faults on demand: what a test or a rehearsal tells the emulator to do wrong, and how often.

None of this is part of Apify's API. An HTTP fault is matched against `"METHOD /path"`, a webhook fault against
`"WEBHOOK EVENT.TYPE"`; both take the wildcards of `fnmatch`. Each match uses up one of the fault's times.

    scenario.add(Fault("GET /v2/datasets/*/items", Answer(503), times=2))
    scenario.add(Fault("WEBHOOK ACTOR.RUN.*", Duplicate()))
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HttpAction(Protocol):
    """Something that stands between one request and the emulator."""

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, with or without the help of `app`."""


@dataclass(frozen=True)
class Answer:
    """Answer at once with this status; the body need not be JSON, as a gateway's is not."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await Response(self.body, self.status, dict(self.headers))(scope, receive, send)


@dataclass(frozen=True)
class Truncate:
    """Send the first `keep` bytes of the body, then drop the connection."""

    keep: int

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        left = self.keep

        async def cut(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.body":
                body = message.get("body", b"")[:left]
                left -= len(body)
                message = {**message, "body": body, "more_body": True}
                if not body:
                    return
            await send(message)

        await app(scope, receive, cut)


@dataclass(frozen=True)
class Slow:
    """Wait `pause` seconds before each piece of at most `piece` bytes of the body."""

    pause: float
    piece: int = 1024

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        async def drip(message: Message) -> None:
            body = message.get("body", b"")
            while message["type"] == "http.response.body" and len(body) > self.piece:
                await asyncio.sleep(self.pause)
                await send({**message, "body": body[: self.piece], "more_body": True})
                body = body[self.piece :]
            if body:
                await asyncio.sleep(self.pause)
                message = {**message, "body": body}
            await send(message)

        await app(scope, receive, drip)


@dataclass(frozen=True)
class Lose:
    """Never send this webhook; its dispatch ends FAILED without a call."""


@dataclass(frozen=True)
class Duplicate:
    """Send this webhook `copies` more times under the same dispatch id, also after a 2xx."""

    copies: int = 1


@dataclass(frozen=True)
class Delay:
    """Wait this many real seconds before the first call of this webhook."""

    seconds: float


WebhookAction = Lose | Duplicate | Delay


@dataclass
class Fault:
    """One thing that goes wrong.

    Attributes:
        match: pattern for `"METHOD /path"` or `"WEBHOOK EVENT.TYPE"`.
        action: what happens instead.
        times: how many more matches it spoils.
    """

    match: str
    action: HttpAction | WebhookAction
    times: int = 1


@dataclass
class Scenario:
    """The faults still to come, tried in order."""

    faults: list[Fault] = field(default_factory=list)

    def add(self, *faults: Fault) -> None:
        """Plan more faults after those already planned."""
        self.faults.extend(faults)

    def take(self, subject: str) -> HttpAction | WebhookAction | None:
        """The action of the first fault that matches, used once; None when all is well."""
        for fault in self.faults:
            if fault.times > 0 and fnmatchcase(subject, fault.match):
                fault.times -= 1
                return fault.action
        return None
