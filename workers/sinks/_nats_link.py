"""A connection to NATS that many deliveries share, and JetStream's answers on it.

JetStream is spoken to directly (docs.nats.io, "NATS API Reference"): the client's own asynchronous publishing never
tells of an error, and neither of a missing right, which the server reports beside the answers.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, Error, NoServersError

from config.contracts.errors import Forbidden, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from workers.sinks._message import ID, Message

#: Seconds for a connection, for the answers to a window of messages, and to take leave.
CONNECTING, ANSWERING, LEAVING = 8.0, 20.0, 3.0
#: Bytes that the headers of a message may need: they count as part of it.
HEADERS = 4096

_VIOLATION = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]*)\"", re.IGNORECASE)
_NOT_US = ("authorization", "authentication", "expired", "revoked", "nonce", "account")
_MESSAGE_TOO_LARGE = 10054
_UP = "is it up? If so, mend `url`"
#: JetStream is off, for the server or for our account (github.com/nats-io/nats-server, server/errors.json).
_NO_JETSTREAM = frozenset({10035, 10039, 10076})


class Refusal(msgspec.Struct, frozen=True):
    """JetStream's own account of what is wrong."""

    code: int = 0
    err_code: int = 0
    description: str = ""

    @property
    def too_large(self) -> bool:
        return self.err_code == _MESSAGE_TOO_LARGE


class Ack(msgspec.Struct, frozen=True):
    """JetStream's answer to a message. `duplicate`: it knew the id."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: Refusal | None = None


class NoResponders(Exception):
    """Nobody listens to a subject. Of JetStream's own subjects it means that JetStream is off."""

    def __init__(self, subject: str) -> None:
        super().__init__(subject)
        self.subject = subject


class Violation(Exception):
    """We may not publish to the subject, or hear the answers."""


class Link:
    """Connected when it is first used, and anew after it broke."""

    def __init__(self, url: str, tls: ssl.SSLContext | None, **credentials: str) -> None:
        self.url, self.tls, self.credentials = url, tls, credentials
        self._turn = asyncio.Lock()
        self._session: Session | None = None

    @asynccontextmanager
    async def session(self, subject: str) -> AsyncIterator["Session"]:
        """The connection for one step. What goes wrong in it becomes a WorkError; without an answer it is left."""
        session = None
        try:
            async with asyncio.timeout(ANSWERING + CONNECTING):
                session = await self._connected()
                yield session
        except (Error, OSError, NoResponders, Violation) as exc:
            if isinstance(exc, TimeoutError) and session is not None:
                await self._leave(session)
            raise verdict(exc, subject, urlsplit(self.url).netloc) from exc

    async def _connected(self) -> "Session":
        async with self._turn:
            if self._session is None or not self._session.client.is_connected:
                await self.close()
                async with asyncio.timeout(CONNECTING):
                    self._session = await Session.begin(self.url, self.tls, self.credentials)
            return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._leave(self._session)

    async def _leave(self, session: "Session") -> None:
        if self._session is session:
            self._session = None
        with suppress(Error, OSError):
            async with asyncio.timeout(LEAVING):
                await session.client.close()


class Session:
    """One connection, and what was sent on it and not answered yet."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.inbox = ""
        self._sent = 0
        self._deaf = False
        self._waiting: dict[str, tuple[str, asyncio.Future[Msg]]] = {}

    @classmethod
    async def begin(cls, url: str, tls: ssl.SSLContext | None, credentials: Mapping[str, str]) -> "Session":
        session = cls(Client())
        await session.client.connect(
            url,
            name="runrelay",
            tls=tls,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=5,
            error_cb=_hearing(session._heard_trouble),
            closed_cb=_hearing(session._closed),
            **credentials,  # type: ignore[arg-type]  # each is a text or a callback, here a text
        )
        session.inbox = session.client.new_inbox()
        await session.client.subscribe(f"{session.inbox}.*", cb=session._answered, pending_bytes_limit=-1)
        return session

    async def publish(self, window: Sequence[Message]) -> list[Ack]:
        """Send messages in order; returns the answer to each. Raises Error, OSError, NoResponders, Violation."""
        sent = [(one.key, one.body, {**one.headers, "Nats-Msg-Id": one.headers[ID]}) for one in window]
        return [msgspec.json.decode(answer, type=Ack) for answer in await self._exchange(sent)]

    async def ask(self, subject: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """JetStream's answer to an API request. Raises as `publish`."""
        (answer,) = await self._exchange([(subject, msgspec.json.encode(question), None)])
        return msgspec.json.decode(answer, type=dict[str, Any])

    async def _exchange(self, sent: Sequence[tuple[str, bytes, dict[str, str] | None]]) -> list[bytes]:
        if self._deaf:
            raise Violation
        tokens: list[str] = []
        answers: list[asyncio.Future[Msg]] = []
        try:
            async with asyncio.timeout(ANSWERING):
                for subject, body, headers in sent:
                    self._sent += 1
                    tokens.append(str(self._sent))
                    answers.append(asyncio.get_running_loop().create_future())
                    self._waiting[tokens[-1]] = (subject, answers[-1])
                    await self.client.publish(subject, body, reply=f"{self.inbox}.{tokens[-1]}", headers=headers)
                said = await asyncio.gather(*answers)
            return [_body(answer, subject) for answer, (subject, _, _) in zip(said, sent, strict=True)]
        finally:
            for token, answer in zip(tokens, answers, strict=True):
                self._waiting.pop(token, None)
                answer.cancel()

    async def _answered(self, message: Msg) -> None:
        _, answer = self._waiting.pop(message.subject.rpartition(".")[2], ("", None))
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _heard_trouble(self, error: Exception | None) -> None:
        """Of a missing right the server says no more than the subject, and the client that in lower case."""
        if found := _VIOLATION.search(str(error)):
            kind, subject = found.groups()
            self._deaf = self._deaf or kind == "subscription"
            self._fail(lambda sent: self._deaf or sent.lower() == subject.lower(), Violation())

    def _closed(self, _: Exception | None = None) -> None:
        self._fail(lambda _: True, ConnectionClosedError())

    def _fail(self, concerns: Callable[[str], bool], error: Exception) -> None:
        for subject, answer in list(self._waiting.values()):
            if concerns(subject) and not answer.done():
                answer.set_exception(error)


def _hearing(listen: Callable[[Exception | None], None]) -> Callable[..., Coroutine[Any, Any, None]]:
    async def hear(error: Exception | None = None) -> None:
        listen(error)

    return hear


def _body(answer: Msg, subject: str) -> bytes:
    if answer.headers and answer.headers.get("Status") == "503":
        raise NoResponders(subject)
    return answer.data


def verdict(exc: Exception, subject: str, server: str) -> WorkError:
    """What happens next after the server said no, or nothing. `server`: host and port."""
    match exc:
        case Violation():
            cure = f'permissions: {{publish: ["{subject}", "$JS.API.STREAM.>"], subscribe: ["_INBOX.>"]}}'
            return Forbidden(Reason.TARGET_REFUSED, f"our user may not publish to {subject!a}: {cure}"[:300])
        case NoResponders() if exc.subject.startswith("$JS."):
            return _no_jetstream("it does not answer")
        case NoResponders():
            cure = "`nats stream add NAME --subjects … --dupe-window 4d`, or `create: true`"
            return Unauthorized(Reason.TARGET_REFUSED, f"no stream takes {subject!a}: {cure}"[:300])
        case Error() if not isinstance(exc, NoServersError) and any(word in str(exc).lower() for word in _NOT_US):
            return Unauthorized(Reason.TOKEN_REFUSED, f"the server refuses us: {_said(exc)}; mend the credentials")
    said = _said(exc)[:100] or "it took too long"
    return Transient(Reason.TARGET_UNAVAILABLE, f"no answer of {server[:120]}: {said}: {_UP}")


def refused(refusal: Refusal, subject: str, stream: str) -> WorkError:
    """What happens next after JetStream did not take a message."""
    said = refusal.description
    if refusal.err_code in _NO_JETSTREAM:
        return _no_jetstream(said)
    if "maximum" in said:
        cure = f"let its readers catch up, or `nats stream edit {stream}` with a higher limit or `--discard old`"
        return Transient(Reason.TARGET_UNAVAILABLE, f"the stream {stream} is full ({said}): {cure}"[:300])
    if refusal.code >= 500:
        return Transient(Reason.TARGET_UNAVAILABLE, f"JetStream cannot take it now: {said}")
    return Permanent(Reason.TARGET_REFUSED, f"JetStream refuses what goes to {subject!a}: {said}"[:300])


def _no_jetstream(said: str) -> Unauthorized:
    return Unauthorized(Reason.TARGET_REFUSED, f"no JetStream ({said}): enable it for the server and our account")


def _said(exc: Exception) -> str:
    return " ".join(str(exc).removeprefix("nats: ").replace("'", "").split())[:200]
