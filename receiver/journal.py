"""What is remembered about each webhook: one wide log line and the metrics. Never its body, path or secret."""

import time
from dataclasses import dataclass, field
from typing import Self

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.contracts.event import Event, Ignored, Test
from config.queue import QueueUnavailable
from receiver.answers import refusal_of
from receiver.metrics import Metrics

#: answers nobody has to look into
GOOD = frozenset({"accepted", "duplicate", "ignored", "test"})

#: fields of an entry on its line, in this order; empty ones are left out
FACTS = ("source", "answer", "reason", "kind", "event_id", "run_id", "bytes")


@dataclass(slots=True)
class Entry:
    """One webhook.

    Attributes:
        source: name of the source; empty if none of ours was asked for.
        answer: `accepted`, `duplicate`, `ignored`, `test`, the kind of a refusal, or `disconnected`.
        reason: why the queue was unavailable, in a word or two.
        kind: the platform's word for what happened, cut to 64 characters.
        event_id, run_id: empty unless an event was read.
        bytes: how much of the body was read.
    """

    source: str = ""
    answer: str = "unanswered"
    reason: str = ""
    kind: str = ""
    event_id: str = ""
    run_id: str = ""
    bytes: int = 0
    began: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, scope: Scope) -> Self:
        """The entry of the request a scope belongs to."""
        entry: Self = scope["runrelay.entry"]
        return entry

    def describes(self, event: Event | Ignored | Test) -> None:
        match event:
            case Event():
                self.kind, self.event_id, self.run_id = event.kind[:64], event.id, event.run_id
            case Ignored():
                self.kind = event.kind[:64]


class Journal:
    """ASGI middleware: writes one entry for each request, however it ends. Logs as it was configured when made."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics
        self.log = structlog.get_logger().bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        entry = scope["runrelay.entry"] = Entry()

        async def counted() -> Message:
            message = await receive()
            entry.bytes += len(message.get("body", b""))
            return message

        try:
            await self.app(scope, counted, send)
        except ClientDisconnect:
            entry.answer = "disconnected"
            raise
        except Exception as exc:
            refusal = refusal_of(exc)
            entry.answer = refusal.kind
            entry.reason = str(exc) if isinstance(exc, QueueUnavailable) else ""
            raise refusal from exc
        finally:
            self.write(entry)

    def write(self, entry: Entry) -> None:
        seconds = time.perf_counter() - entry.began
        self.metrics.answered(entry.source, entry.answer, seconds, entry.bytes)
        line = self.log.info if entry.answer in GOOD else self.log.warning
        facts = {name: fact for name in FACTS if (fact := getattr(entry, name)) != ""}
        line("webhook.received", **facts, seconds=round(seconds, 6))
