"""Every answer of ours, and the one place that turns an exception into one.

Success is `{"status", "id"}`, every error `{"kind", "message"}`. Messages say what to do and never repeat input: the
platform stores the answer and shows it to the webhook's owner.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
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


def taken(status: str, event_id: str | None) -> Response:
    """200: the only code of success, because some platforms take no other."""
    return _json(200, {"status": status, "id": event_id})


def refused(refusal: Refused) -> Response:
    body = {"kind": refusal.kind, "message": refusal.message}
    return _json(refusal.kind.status, body, refusal.headers)


def _json(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


def refusal_of(exc: Exception) -> Refused:
    """What to answer when handling a request ended like this. A bug of ours is logged here, once, under its id."""
    match exc:
        case Refused():
            return exc
        case QueueUnavailable():
            message = "the event could not be stored; send it again later"
            return Refused(Kind.QUEUE_UNAVAILABLE, message, {"Retry-After": str(QUEUE_RETRY_AFTER)})
        case HTTPException(status_code=404):
            return Refused(Kind.PATH_NOT_FOUND, "nothing is here; webhooks go to /webhooks/<source>")
        case HTTPException(status_code=405, headers=headers):
            allowed = ", ".join(sorted((headers or {})["Allow"].split(", ")))
            return Refused(Kind.METHOD_NOT_ALLOWED, f"use {allowed}", {"Allow": allowed})
    error_id = uuid4().hex
    log.error("request.failed", error_id=error_id, exc_info=exc)
    return Refused(Kind.INTERNAL_ERROR, f"a bug of ours; the log has it as {error_id}")


def draining() -> Refused:
    """What everybody hears who comes while the process is stopping."""
    headers = {"Retry-After": str(DRAINING_RETRY_AFTER), "Connection": "close"}
    return Refused(Kind.DRAINING, "this process is stopping; send it again, another one will take it", headers)


async def passed_on(_request: Request, exc: Exception) -> Response:
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
        headers = Headers(scope=scope)
        self.scope = scope
        self.ended = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        self._receive = receive

    async def receive(self) -> Message:
        message = await self._receive()
        self.ended = not message.get("more_body", False)
        return message

    async def answer(self, response: Response, send: Send) -> None:
        """Send it. If the body is not over yet, hang up after it, but not so fast that the answer is lost."""
        if self.ended:
            await response(self.scope, self.receive, send)
            return
        response.headers["connection"] = "close"
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        await self.linger()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def linger(self) -> None:
        """Closing a socket that still has bytes to read resets it, and a reset can overtake the answer."""
        try:
            async with asyncio.timeout(LINGER):
                while not self.ended:
                    await self.receive()
        except TimeoutError:
            pass
