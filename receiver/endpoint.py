"""What happens to one webhook, top to bottom. Whatever refuses it travels up to `answers` as an exception."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog
from starlette.requests import Request
from starlette.responses import Response

from config.contracts.errors import Refused
from config.contracts.event import Event, Ignored, Test
from config.contracts.kinds import Kind
from config.contracts.source import Source
from config.queue import Accepted, Duplicate, QueueUnavailable
from receiver.answers import taken
from receiver.content import require_json
from receiver.journal import Entry

log = structlog.get_logger()


class Queue(Protocol):
    """Where events go. `config.queue.RunQueue` is one."""

    async def accept(self, events: Sequence[Event], /) -> Sequence[Accepted | Duplicate]:
        """One answer per event, in order. Raises QueueUnavailable if nobody knows whether they are safe."""
        ...

    async def ready(self) -> Sequence[str]:
        """Why it must not take webhooks now; empty if it may."""
        ...


class Door:
    """Takes webhooks of the given sources, by name, and commits them to the queue."""

    def __init__(self, sources: Mapping[str, Source], queue: Queue) -> None:
        self.sources = sources
        self.queue = queue

    async def receive(self, request: Request) -> Response:
        entry = Entry.of(request.scope)
        source = self.source_for(request.path_params["source"])
        entry.source = source.name
        source.admit(request.client.host if request.client else None)
        source.authenticate(presented(request))

        require_json(request.headers)
        body = await request.body()
        event = source.parse(request.headers, body)
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


def presented(request: Request) -> str | None:
    """The secret that came along: the last part of the path, else the header, with or without `Bearer`."""
    if in_path := request.path_params.get("token"):
        return str(in_path)
    header = request.headers.get("authorization", "").strip()
    scheme, _, rest = header.partition(" ")
    return (rest.strip() if scheme.lower() == "bearer" else header) or None
