"""What happens to one webhook, top to bottom. Whatever refuses it travels up to `answers` as an exception."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from config.contracts.errors import Refused
from config.contracts.event import Event, Ignored, Test
from config.contracts.kinds import Kind
from config.contracts.source import Source
from config.queue import Accepted, Duplicate, QueueUnavailable
from receiver.answers import Answer, only, path_not_found, taken
from receiver.capturing import Capturing, Shelf, Tape
from receiver.content import by_name, require_json, secret_in
from receiver.journal import Entry

log = structlog.get_logger()

#: what all webhooks' paths begin with; the source's name follows, and behind a further slash perhaps the secret
PREFIX = "/webhooks/"


class Queue(Shelf, Protocol):
    """Where events go. `config.queue.RunQueue` is one."""

    async def accept(self, events: Sequence[Event], /) -> Sequence[Accepted | Duplicate]:
        """One answer per event, in order. Raises QueueUnavailable if nobody knows whether they are safe."""
        ...

    async def ready(self) -> Sequence[str]:
        """Why it must not take webhooks now; empty if it may."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What somebody should mend although it may, as of the last look."""
        ...


class Door:
    """Takes webhooks of the given sources, by name, and commits them to the queue.

    A bare ASGI callable: every webhook passes here, and a router and a request object would cost as much as the rest.
    """

    def __init__(self, sources: Mapping[str, Source], queue: Queue, capturing: Capturing) -> None:
        self.sources = sources
        self.queue = queue
        self.capturing = capturing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self.receive(scope, receive)
        await answer.to(send)

    async def receive(self, scope: Scope, receive: Receive) -> Answer:
        entry = Entry.of(scope)
        name, secret = addressed(scope)
        source = self.source_for(name)
        entry.source = source.name
        headers = by_name(scope["headers"])
        source.admit(scope["client"][0] if scope["client"] else None)
        tape = Tape(receive) if source.capture else None
        try:
            body = await proven(source, secret, headers, scope, tape.receive if tape else receive)
        except Refused as refusal:
            if tape:
                await self.capturing.keep(source, refusal, secret, scope, tape)
            raise
        event = source.parse(headers, body)
        entry.describes(event)

        entry.answer = await self.word_for(event)
        return taken(entry.answer, entry.event_id or None)

    def source_for(self, name: str) -> Source:
        if source := self.sources.get(name):
            return source
        raise Refused(Kind.SOURCE_NOT_FOUND, "no source of this name is configured; check the webhook's address")

    async def word_for(self, event: Event | Ignored | Test) -> str:
        """What becomes of it. Only an event is kept; nothing else reaches the queue."""
        if isinstance(event, Event):
            return await self.commit(event)
        return "ignored" if isinstance(event, Ignored) else "test"

    async def commit(self, event: Event) -> str:
        """`accepted` or `duplicate`.

        Raises QueueUnavailable unless the queue's answer leaves no doubt that it has this very event.
        """
        try:
            answers = await self.queue.accept([event])
        except QueueUnavailable:
            raise
        except Exception as exc:
            log.exception("queue.failed")
            raise QueueUnavailable(type(exc).__name__) from exc
        match answers:
            case [Accepted(id=event.id)]:
                return "accepted"
            case [Duplicate(id=event.id)]:
                return "duplicate"
        raise QueueUnavailable("odd answer")


def addressed(scope: Scope) -> tuple[str, str]:
    """The source's name and, empty if there is none, the secret in a path that begins with `PREFIX`.

    Raises Refused: path_not_found without a name, method_not_allowed unless it is a POST.
    """
    name, _, secret = scope["path"].removeprefix(PREFIX).partition("/")
    if not name:
        raise path_not_found()
    if scope["method"] != "POST":
        raise only("POST")
    return name, secret


async def proven(source: Source, secret: str, headers: Mapping[str, str], scope: Scope, receive: Receive) -> bytes:
    """The body, once head and body have proven whose they are. What the head cannot prove, no body is read for.

    Raises Refused.
    """
    source.authenticate(secret or secret_in(headers), headers)
    require_json(headers, scope["headers"])
    body = await whole_body(receive)
    source.verify(headers, body)
    return body


async def whole_body(receive: Receive) -> bytes:
    """Raises ClientDisconnect if its end never comes."""
    pieces = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
