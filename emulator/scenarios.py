"""Faults on demand: what a test or a rehearsal tells the emulator to do wrong, and how often.

None of this is part of Apify's API. An HTTP fault is matched against `"METHOD /path"`, a webhook fault against
`"WEBHOOK EVENT.TYPE"`; both take the wildcards of `fnmatch`. Each match uses up one of the fault's times.

    scenario.add(Fault("GET /v2/datasets/*/items", Answer(503), times=2))
    scenario.add(Fault("WEBHOOK ACTOR.RUN.*", Duplicate()))

Faults that change what an otherwise good answer says are in `emulator.distortions`; `emulator.faultfile` reads faults
from YAML.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

import msgspec
from starlette.datastructures import MutableHeaders
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
    """Send the first `keep` bytes of the body, uncompressed, then drop the connection."""

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

        await app(uncompressed(scope), receive, cut)


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
class Overtaken:
    """Hold this webhook back until another one is done with, so that they arrive in the wrong order."""


@dataclass(frozen=True)
class Delay:
    """Wait this many real seconds before the answer, or before the first call of a webhook."""

    seconds: float

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(self.seconds)
        await app(scope, receive, send)


@dataclass(frozen=True)
class Replace:
    """Put other values into the JSON that is sent: dotted paths such as `data.status`, and what stands there then.

    A path that is not there is left out; list elements are not reached.
    """

    values: Mapping[str, Any]

    def within(self, body: bytes) -> bytes:
        """The JSON text with the values replaced; any other text as it was."""
        try:
            document = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return body
        for path, value in self.values.items():
            *parents, name = path.split(".")
            place = document
            for parent in parents:
                place = place.get(parent) if isinstance(place, dict) else None
            if isinstance(place, dict) and name in place:
                place[name] = value
        return msgspec.json.encode(document)

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await rewritten(app, scope, receive, send, lambda headers, body: self.within(body))


WebhookAction = Lose | Duplicate | Overtaken | Delay | Replace


@dataclass
class Fault:
    """One thing that goes wrong.

    Attributes:
        match: pattern for `"METHOD /path"` or `"WEBHOOK EVENT.TYPE"`.
        action: what happens instead.
        times: how many more matches it spoils; `math.inf` for all.
        after: how many matches it lets pass before.
    """

    match: str
    action: HttpAction | WebhookAction
    times: float = 1
    after: int = 0


@dataclass
class Scenario:
    """The faults still to come, tried in order."""

    faults: list[Fault] = field(default_factory=list)

    def add(self, *faults: Fault) -> None:
        """Plan more faults after those already planned."""
        self.faults.extend(faults)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self.faults.clear()

    def take(self, subject: str) -> HttpAction | WebhookAction | None:
        """The action of the first fault that matches, used once; None when all is well."""
        for fault in self.faults:
            if fault.times > 0 and fnmatchcase(subject, fault.match):
                if fault.after:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault.action
        return None


Rewrite = Callable[[MutableHeaders, bytes], bytes]


async def rewritten(app: ASGIApp, scope: Scope, receive: Receive, send: Send, rewrite: Rewrite) -> None:
    """Answer with a whole body that was changed on its way; it is held in memory, and never compressed."""
    start: Message = {}
    body = bytearray()

    async def hold(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                headers = MutableHeaders(scope=start)
                changed = rewrite(headers, bytes(body))
                if "content-length" in headers:
                    headers["content-length"] = str(len(changed))
                await send(start)
                await send({"type": "http.response.body", "body": changed})

    await app(uncompressed(scope), receive, hold)


def uncompressed(scope: Scope) -> Scope:
    """The same request by someone who takes no compressed answer."""
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]}
