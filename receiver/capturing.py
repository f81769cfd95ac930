"""Webhooks that could not be verified are kept for a person, where the file says so. Nothing here changes an answer."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog
from starlette.types import Message, Receive, Scope

from config.contracts.errors import Refused
from config.contracts.kinds import Kind
from config.contracts.source import Capture, Source
from config.webhooks.captured import BEYOND, MOST_BODY, Captured, addressed, body_of, fresh_id, shown
from receiver.metrics import Metrics

log = structlog.get_logger()

#: Refusals from which something can be learnt.
UNPROVEN = frozenset({Kind.TOKEN_MISSING, Kind.TOKEN_INVALID, Kind.SIGNATURE_MISSING, Kind.SIGNATURE_INVALID})

#: kept each second by one process, of all sources together: strangers must not make us write as much as they like
MOST_A_SECOND = 5


class Shelf(Protocol):
    """Where they are kept. `config.queue.RunQueue` is one."""

    async def capture(self, captured: Captured, keep: int, /) -> None:
        """As the newest of at most `keep` of its source. Raises whatever it likes."""
        ...


class Tape:
    """A body that is received, and the beginning of it for later."""

    def __init__(self, receive: Receive) -> None:
        self.heard = b""
        self.size = 0
        self.ended = False
        self._receive = receive

    async def receive(self) -> Message:
        message = await self._receive()
        piece = message.get("body", b"")
        self.size += len(piece)
        self.heard += piece[: MOST_BODY + BEYOND - len(self.heard)]
        self.ended = not message.get("more_body", False)
        return message

    async def go_on(self) -> None:
        """To its end, or as far as is kept. The limits of the receiver hold here, too."""
        with suppress(Refused):
            while not self.ended and self.size < MOST_BODY + BEYOND:
                await self.receive()


class Capturing:
    """Keeps a few of them each second."""

    def __init__(self, shelf: Shelf, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self.shelf = shelf
        self.metrics = metrics
        self.clock = clock
        self._second = 0
        self._taken = 0

    async def keep(self, source: Source, refusal: Refused, secret: str, scope: Scope, tape: Tape) -> None:
        """Keep what was refused, and what is still to come of it. Never raises because of a stranger, or of Redis.

        secret: the end of the path, where one may stand.
        """
        if refusal.kind in UNPROVEN and source.capture:
            outcome = await self._kept(source, source.capture, refusal, secret, scope, tape)
            self.metrics.captured(source.name, outcome)

    async def _kept(
        self, source: Source, capture: Capture, refusal: Refused, secret: str, scope: Scope, tape: Tape
    ) -> str:
        """`kept`, `skipped` or `failed`."""
        if not self._has_time():
            return "skipped"
        await tape.go_on()
        captured = _captured(source.name, capture, refusal, secret, scope, tape)
        try:
            await self.shelf.capture(captured, capture.keep)
        except Exception as exc:  # a person's notes are no reason for another answer
            log.warning("capture.failed", source=source.name, reason=type(exc).__name__)
            return "failed"
        return "kept"

    def _has_time(self) -> bool:
        second = int(self.clock())
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        return self._taken <= MOST_A_SECOND


def _captured(source: str, capture: Capture, refusal: Refused, secret: str, scope: Scope, tape: Tape) -> Captured:
    now = time.time()
    headers, secrets = shown(scope["headers"])
    path, in_path = addressed(scope["path"], secret)
    body, masked = body_of(tape.heard)
    return Captured(
        id=fresh_id(),
        at=now,
        until=now + capture.seconds,
        source=source,
        kind=refusal.kind.value,
        method=scope["method"],
        path=path,
        headers=headers,
        secrets=secrets,
        body=body,
        masked=masked,
        cut=not tape.ended or tape.size > MOST_BODY,
        in_path=in_path,
    )
