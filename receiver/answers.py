"""Every answer of ours, and the one place that turns an exception into one.

Success is `{"status", "id"}`, every error `{"kind", "message"}`. Messages say what to do and never repeat input: the
platform stores the answer and shows it to the webhook's owner.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import uuid4

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.contracts.errors import Refused
from config.contracts.kinds import Kind
from config.queue import QueueUnavailable

log = structlog.get_logger()

#: seconds a sender should wait while Redis is away
QUEUE_RETRY_AFTER = 60

#: seconds a sender should wait while another process takes over
DRAINING_RETRY_AFTER = 5

#: seconds we go on taking in a body nobody wants, so that its sender gets to read the answer before we hang up
LINGER = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of ours, ready to be written. Header names are lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    async def to(self, send: Send, *, last: bool = True) -> None:
        """last: nothing else is said after it."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": not last})


def taken(status: str, event_id: str | None) -> Answer:
    """200: the only code of success, because some platforms take no other."""
    return _json(200, {"status": status, "id": event_id}, {})


def refused(refusal: Refused) -> Answer:
    body = {"kind": refusal.kind, "message": refusal.message}
    return _json(refusal.kind.status, body, refusal.headers)


def _json(status: int, said: Mapping[str, Any], further: Mapping[str, str]) -> Answer:
    body = msgspec.json.encode(said)
    own = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in further.items()]
    return Answer(status, own + headers, body)


def refusal_of(exc: Exception) -> Refused:
    """What to answer when handling a request ended like this. A bug of ours is logged here, once, under its id."""
    match exc:
        case Refused():
            return exc
        case QueueUnavailable():
            message = "the event could not be stored; send it again later"
            return Refused(Kind.QUEUE_UNAVAILABLE, message, {"Retry-After": str(QUEUE_RETRY_AFTER)})
        case HTTPException(status_code=404):
            return path_not_found()
        case HTTPException(status_code=405, headers=headers):
            return only(*(headers or {})["Allow"].split(", "))
    error_id = uuid4().hex
    log.error("request.failed", error_id=error_id, exc_info=exc)
    return Refused(Kind.INTERNAL_ERROR, f"a bug of ours; the log has it as {error_id}")


def path_not_found() -> Refused:
    return Refused(Kind.PATH_NOT_FOUND, "nothing is here; webhooks go to /webhooks/<source>")


def only(*methods: str) -> Refused:
    """No other method is understood here."""
    allowed = ", ".join(sorted(methods))
    return Refused(Kind.METHOD_NOT_ALLOWED, f"use {allowed}", {"Allow": allowed})


def draining() -> Refused:
    """What everybody hears who comes while the process is stopping."""
    headers = {"Retry-After": str(DRAINING_RETRY_AFTER), "Connection": "close"}
    return Refused(Kind.DRAINING, "this process is stopping; send it again, another one will take it", headers)


async def passed_on(_request: Request, exc: Exception) -> NoReturn:
    """In the place of Starlette's own answer to its own errors, which would be plain text."""
    raise exc


class Answers:
    """ASGI middleware around everything: whatever is raised inside becomes an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = Body(scope, receive)
        try:
            await self.app(scope, body.receive, send)
        except ClientDisconnect:
            return  # nobody is left to read an answer
        except asyncio.CancelledError:
            # the server stops without waiting any longer; there is nothing above us that would want to know
            await body.answer(refused(draining()), send)
        except Exception as exc:
            await body.answer(refused(refusal_of(exc)), send)


class Body:
    """Knows how far a request's body was read, and with it how to say no before its end."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.ended = False
        self._receive = receive

    async def receive(self) -> Message:
        message = await self._receive()
        self.ended = not message.get("more_body", False)
        return message

    async def answer(self, answer: Answer, send: Send) -> None:
        """Send it. If the body is not over yet, hang up after it, but not so fast that the answer is lost."""
        if self.ended or self.is_none():
            await answer.to(send)
            return
        closing = [header for header in answer.headers if header[0] != b"connection"]
        await Answer(answer.status, [*closing, (b"connection", b"close")], answer.body).to(send, last=False)
        await self.linger()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def is_none(self) -> bool:
        """Whether the request comes without a body."""
        headers = dict(self.scope["headers"])
        return headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers

    async def linger(self) -> None:
        """Closing a socket that still has bytes to read resets it, and a reset can overtake the answer."""
        try:
            async with asyncio.timeout(LINGER):
                while not self.ended:
                    await self.receive()
        except TimeoutError:
            pass
