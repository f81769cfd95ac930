"""What happens on a connection before there is a request: deadlines, sizes, and a word of ours for what is not HTTP.

uvicorn keeps a half-sent head for ever, lets it grow, and says no in plain text. Here a head has a deadline and a size,
a refusal is the same JSON as everywhere, and whoever is refused is hung up on without losing the answer.
"""

import asyncio
from contextlib import suppress
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from config.contracts.errors import Refused
from config.contracts.kinds import Kind
from receiver.answers import LINGER, refused
from receiver.gathering import Gathering
from receiver.limits import MOST_HEAD_BYTES, WHOLE
from receiver.metrics import Metrics

log = structlog.get_logger()

#: requests that wait on one connection for the answer to an earlier one; a single read can hold thousands
MOST_IN_A_ROW = 32


class Stage(Enum):
    """How far the message is that is being read."""

    NONE = auto()
    HEAD = auto()
    BODY = auto()


class Trailers(list[tuple[bytes, bytes]]):
    """In the place of headers, once those have been believed: what comes behind a body is none. Nothing is kept."""

    size = 0

    def append(self, header: tuple[bytes, bytes]) -> None:
        self.size += line_bytes(*header)
        check_size(self.size)


class Connection(HttpToolsProtocol):
    """One sender's connection.

    A refusal waits until the requests that came whole before it have their answers, and is the last word.

    Attributes:
        seconds: from the connection, or from the first byte of a further request, to the end of the head; also how long
            a sender may leave our answers unread.
        deadline: running while a head is awaited.
        stage: of the newest message.
        loose_bytes: what came since the last end of a head or piece of a body, parsed or not.
        head_at_most: bytes that a head which ends in this read may have.
        idle_since: when the last answer was given (the loop's clock); None while there is something to do.
        over: nothing that comes is read any longer.
        last_word: what to say when all requests before have their answers; None hangs up in silence.
    """

    seconds: float
    metrics: Metrics

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.deadline: asyncio.TimerHandle | None = None
        self.unread: asyncio.TimerHandle | None = None
        self.stage = Stage.NONE
        self.loose_bytes = 0
        self.head_at_most = 0
        self.idle_since: float | None = None
        self.idling: asyncio.TimerHandle | None = None
        self.over = False
        self.last_word: Refused | None = None

    # the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.transport = Gathering(transport, self.loop)  # type: ignore[assignment]  # all of it that uvicorn uses
        self.await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self.head_came()
        if self.idling:
            self.idling.cancel()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.over:
            return
        self.idle_since = None
        self.loose_bytes = self.head_at_most = self.loose_bytes + len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self.refuse(exc.__context__ if isinstance(exc.__context__, Refused) else malformed())
        else:
            self.expect_more()

    def expect_more(self) -> None:
        """What has come may be the beginning of a head: it must end in time, and before it is too large."""
        if self.loose_bytes > MOST_HEAD_BYTES:
            self.refuse(too_large())
        elif self.stage is Stage.HEAD or (self.stage is Stage.NONE and self.loose_bytes):
            self.await_head()

    def pause_writing(self) -> None:
        """Our answers are not being read; they must not pile up for ever."""
        super().pause_writing()
        self.unread = self.loop.call_later(self.seconds, self.cut_off)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.unread:
            self.unread.cancel()
            self.unread = None

    # what the parser finds

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.stage = Stage.HEAD

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():  # the parser would take the body for the start of something else
            raise Refused(Kind.REQUEST_INVALID, "send plain HTTP/1.1, without `Upgrade`")
        if self.parser.get_http_version() not in {"1.0", "1.1"}:
            raise malformed()
        if len(self.pipeline) >= MOST_IN_A_ROW:
            raise Refused(Kind.RATE_LIMITED, f"wait for answers; at most {MOST_IN_A_ROW} requests may be ahead of them")
        if self.head_at_most > MOST_HEAD_BYTES:  # else there is nothing to count
            check_size(len(self.url) + sum(line_bytes(*header) for header in self.headers))
        super().on_headers_complete()  # raises where the request line names no path; then there is no body to come
        self.head_came()
        self.stage = Stage.BODY
        self.loose_bytes = 0
        self.headers = Trailers()

    def on_body(self, body: bytes) -> None:
        self.loose_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.stage = Stage.NONE
        self.scope[WHOLE] = True  # type: ignore[literal-required]  # a key of our own

    def on_response_complete(self) -> None:
        """In the place of uvicorn's, which sets a timer for every answer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.over or self.cycle.more_body:
            self.hang_up(self.last_word)
        else:
            self.rest()

    def rest(self) -> None:
        self.idle_since = self.loop.time()
        if not self.idling:
            self.idling = self.loop.call_later(self.timeout_keep_alive, self.end_if_idle)

    def end_if_idle(self) -> None:
        """One timer for many rests: it looks how long this one has lasted."""
        self.idling = None
        if self.idle_since is None:
            return
        left = self.idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.idling = self.loop.call_later(left, self.end_if_idle)
        else:
            self.transport.close()

    # limits

    def await_head(self) -> None:
        if not self.deadline:
            self.deadline = self.loop.call_later(self.seconds, self.head_is_late)

    def head_came(self) -> None:
        if self.deadline:
            self.deadline.cancel()
            self.deadline = None

    def head_is_late(self) -> None:
        if self.stage is Stage.HEAD:
            self.refuse(Refused(Kind.REQUEST_TIMEOUT, f"send all headers within {self.seconds:g} seconds"))
        else:
            self.refuse(None)

    # saying no

    def refuse(self, refusal: Refused | None) -> None:
        """Read nothing more, and say so (None: just hang up) as soon as it is this message's turn."""
        self.note(refusal.kind if refusal else "silent")
        self.head_came()
        self.over = True
        self.last_word = refusal
        if self.stage is Stage.BODY and self.pipeline:
            self.pipeline.popleft()  # the newest, which will never be whole
        elif self.stage is Stage.BODY or not self.is_answering():
            self.hang_up(refusal)

    def is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def hang_up(self, refusal: Refused | None) -> None:
        """Close our half at once and the whole a little later: closing over unread bytes can overtake the answer."""
        self.over = True
        if refusal and not (self.is_answering() and self.cycle.response_started):
            self.transport.write(self.written(refusal))
        if self.is_answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        with suppress(OSError):  # the other side may be gone already
            self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)

    def cut_off(self) -> None:
        self.note("unread")
        self.transport.abort()

    def note(self, answer: str) -> None:
        self.metrics.refused_connection(answer)
        log.warning("connection.refused", answer=answer)

    def written(self, refusal: Refused) -> bytes:
        answer = refused(refusal)
        status = HTTPStatus(answer.status)
        headers = [*self.server_state.default_headers, *answer.headers, (b"connection", b"close")]
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, status.phrase.encode(), head, answer.body)


def connections(seconds: float, metrics: Metrics) -> type[Connection]:
    """Connections whose heads come within so many seconds, and which count who was refused."""
    return type("Timed", (Connection,), {"seconds": seconds, "metrics": metrics})


def line_bytes(name: bytes, value: bytes) -> int:
    return len(name) + len(": \r\n") + len(value)


def check_size(head: int) -> None:
    """Raises Refused (headers_too_large)."""
    if head > MOST_HEAD_BYTES:
        raise too_large()


def malformed() -> Refused:
    return Refused(Kind.REQUEST_INVALID, "not a valid HTTP/1.1 request; TLS, if any, ends at the proxy in front")


def too_large() -> Refused:
    return Refused(Kind.HEADERS_TOO_LARGE, f"send at most {MOST_HEAD_BYTES} bytes of headers")
