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
from receiver.limits import MOST_HEAD_BYTES

log = structlog.get_logger()

#: requests that wait on one connection for the answer to an earlier one; a single read can hold thousands
MOST_IN_A_ROW = 32


class Stage(Enum):
    """How far the message is that is being read."""

    NONE = auto()
    HEAD = auto()
    BODY = auto()


class Connection(HttpToolsProtocol):
    """One sender's connection.

    A refusal waits until the requests that came whole before it have their answers, and is the last word.

    Attributes:
        seconds: from the connection, or from the first byte of a further request, to the end of the head; also how long
            a sender may leave our answers unread.
        deadline: running while a head is awaited.
        stage: of the newest message.
        head_bytes: what the parser found in the newest head, and in the trailers after its body.
        loose_bytes: what came since the last end of a head or piece of a body, parsed or not.
        over: nothing that comes is read any longer.
        last_word: what to say when all requests before have their answers; None hangs up in silence.
    """

    seconds: float

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.deadline: asyncio.TimerHandle | None = None
        self.unread: asyncio.TimerHandle | None = None
        self.stage = Stage.NONE
        self.head_bytes = 0
        self.loose_bytes = 0
        self.over = False
        self.last_word: Refused | None = None

    # the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self.head_came()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.over:
            return
        self._unset_keepalive_if_required()
        if self.stage is not Stage.BODY:
            self.await_head()
        self.loose_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self.refuse(exc.__context__ if isinstance(exc.__context__, Refused) else malformed())
        else:
            if self.loose_bytes > MOST_HEAD_BYTES:
                self.refuse(too_large())

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
        self.head_bytes = 0
        self.await_head()

    def on_url(self, url: bytes) -> None:
        self.grow(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.grow(len(name) + len(": \r\n") + len(value))
        if self.stage is Stage.HEAD:  # a trailer is no header: it comes when the headers have been believed
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():  # the parser would take the body for the start of something else
            raise Refused(Kind.REQUEST_INVALID, "send plain HTTP/1.1, without `Upgrade`")
        if self.parser.get_http_version() not in {"1.0", "1.1"}:
            raise malformed()
        if len(self.pipeline) >= MOST_IN_A_ROW:
            raise Refused(Kind.RATE_LIMITED, f"wait for answers; at most {MOST_IN_A_ROW} requests may be ahead of them")
        self.head_came()
        self.stage = Stage.BODY
        self.loose_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.loose_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.stage = Stage.NONE

    def on_response_complete(self) -> None:
        last = not self.pipeline
        super().on_response_complete()
        if last and not self.transport.is_closing() and (self.over or self.cycle.more_body):
            self.hang_up(self.last_word)

    # limits

    def grow(self, size: int) -> None:
        """Raises Refused (headers_too_large)."""
        self.head_bytes += size
        if self.head_bytes > MOST_HEAD_BYTES:
            raise too_large()

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
        log.warning("connection.refused", answer=refusal.kind if refusal else "silent")
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
        log.warning("connection.refused", answer="unread")
        self.transport.abort()

    def written(self, refusal: Refused) -> bytes:
        answer = refused(refusal)
        status = HTTPStatus(answer.status_code)
        headers = [*self.server_state.default_headers, *answer.raw_headers, (b"connection", b"close")]
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, status.phrase.encode(), head, answer.body)


def connections(seconds: float) -> type[Connection]:
    """Connections whose heads come within so many seconds."""

    class Timed(Connection):
        pass

    Timed.seconds = seconds
    return Timed


def malformed() -> Refused:
    return Refused(Kind.REQUEST_INVALID, "not a valid HTTP/1.1 request; TLS, if any, ends at the proxy in front")


def too_large() -> Refused:
    return Refused(Kind.HEADERS_TOO_LARGE, f"send at most {MOST_HEAD_BYTES} bytes of headers")
