"""A connection to RabbitMQ that many deliveries share, and what the broker's answers mean."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from ssl import SSLContext

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aio_pika.exceptions import (
    AMQPError,
    ChannelClosed,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    InvalidFrameError,
    ProbableAuthenticationError,
    PublishError,
)
from aiormq.exceptions import ChannelAccessRefused, ConnectionNotAllowed
from yarl import URL

from config.contracts.errors import Forbidden, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason

log = structlog.get_logger("runrelay.rabbitmq")
# What the client has to say comes as verdicts; it would say it on every try, past the form of our log.
for _talker in ("aio_pika", "aiormq"):
    logging.getLogger(_talker).setLevel(logging.CRITICAL)

#: Seconds for a connection, and for a window of messages to be confirmed.
CONNECTING = 10.0
CONFIRMING = 20.0
#: Seconds to take leave: a broker that is blocked reads nothing.
LEAVING = 3.0
_LIMIT = re.compile(r"message size \d+ is larger than configured max size (\d+)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where messages go. `server`: host and port. `exchange`: empty for the default one, whose routing keys are names
    of queues."""

    server: str
    vhost: str
    user: str
    exchange: str

    @property
    def access(self) -> str:
        """The words of `rabbitmqctl` for the virtual host."""
        return f'-p "{self.vhost}"'

    def __str__(self) -> str:
        return f'the exchange "{self.exchange}"' if self.exchange else "the default exchange"


class TooLarge(Exception):
    """A message is larger than the broker takes. `limit`: bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message and where it is routed."""

    message: aio_pika.Message
    routing_key: str


class Link:
    """The connection. It is opened when it is first used, and anew after it broke."""

    def __init__(self, url: URL, tls: SSLContext | None) -> None:
        self.url, self.tls = url, tls
        self.vhost, self.user = url.path.removeprefix("/") or "/", url.user or "guest"
        self._turn = asyncio.Lock()
        self._connection: AbstractConnection | None = None

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        """One of our own, with confirms: an error of one delivery closes no other's. Raises WorkError."""
        with self.trouble():
            channel = await self._opened(await self._connected())
        try:
            yield channel
        finally:
            with suppress(AMQPError, ChannelInvalidStateError, OSError, RuntimeError):
                async with asyncio.timeout(LEAVING):
                    await channel.close()

    async def _opened(self, connection: AbstractConnection) -> AbstractChannel:
        """A connection on which this fails is of no use to anybody."""
        try:
            async with asyncio.timeout(CONNECTING):
                return await connection.channel(publisher_confirms=True, on_return_raises=True)
        except BaseException:
            if self._connection is connection:
                await self.close()
            raise

    async def _connected(self) -> AbstractConnection:
        async with self._turn:
            if self._connection is None or not self._connection.connected.is_set():
                await self.close()
                async with asyncio.timeout(CONNECTING):
                    self._connection = await aio_pika.connect(self.url, ssl_context=self.tls, timeout=CONNECTING)
            return self._connection

    async def has_queue(self, name: str) -> bool:
        """Raises WorkError."""
        async with self.channel() as channel:
            try:
                with self.trouble():
                    await channel.declare_queue(name, passive=True, timeout=CONNECTING)
            except Forbidden as exc:
                if isinstance(exc.__cause__, ChannelNotFoundEntity):
                    return False
                raise
        return True

    def place(self, exchange: str = "") -> Place:
        port = self.url.port or (5671 if self.url.scheme == "amqps" else 5672)
        return Place(f"{self.url.host}:{port}", self.vhost, self.user, exchange)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(AMQPError, OSError, RuntimeError):
                async with asyncio.timeout(LEAVING):
                    await connection.close()

    @contextmanager
    def trouble(self, place: Place | None = None) -> Iterator[None]:
        """Errors of the client as what happens next."""
        try:
            yield
        except (AMQPError, ChannelInvalidStateError, OSError, RuntimeError, asyncio.CancelledError) as exc:
            if isinstance(exc, asyncio.CancelledError) and _are_cancelled():
                raise
            raise verdict(exc, place or self.place()) from exc


def _are_cancelled() -> bool:
    """Whether we are meant, and not a future of the client's whose connection went away."""
    task = asyncio.current_task()
    return task is not None and bool(task.cancelling())


async def publish(exchange: AbstractExchange, outgoing: Sequence[Outgoing]) -> None:
    """Publish these side by side, and wait until the broker has confirmed each. Raises TooLarge, or the client's error
    that tells most: one refused message closes the channel under the others."""

    async def one(out: Outgoing) -> None:
        await exchange.publish(out.message, out.routing_key, mandatory=True, timeout=CONFIRMING)

    said = await asyncio.gather(*map(one, outgoing), return_exceptions=True)
    if errors := [answer for answer in said if isinstance(answer, BaseException)]:
        raise min(map(_named, errors), key=_rank)


def _named(exc: BaseException) -> BaseException:
    found = _LIMIT.search(str(exc)) if isinstance(exc, ChannelPreconditionFailed) else None
    return TooLarge(int(found[1])) if found else exc


def _rank(exc: BaseException) -> int:
    telling = (TooLarge, ChannelClosed, DeliveryError, AMQPError, TimeoutError)
    return next((rank for rank, kind in enumerate(telling) if isinstance(exc, kind)), len(telling))


def verdict(exc: BaseException, place: Place) -> WorkError:
    """What happens next after the broker, or the way to it, said no. Reply codes: AMQP 0-9-1, and RabbitMQ's page on
    access control."""
    return _at_the_door(exc, place) or _of_the_target(exc, place) or _trouble(exc, place)


def _at_the_door(exc: BaseException, place: Place) -> WorkError | None:
    """Nothing of this sink gets in."""
    if isinstance(exc, ProbableAuthenticationError):
        said = f'RabbitMQ refused the name or password of the user "{place.user}": mend `url` or `password`'
        return Unauthorized(Reason.TOKEN_REFUSED, said)
    if isinstance(exc, InvalidFrameError | ConnectionNotAllowed):  # the client does not read why it was closed
        said = f'RabbitMQ did not let the user "{place.user}" into the virtual host "{place.vhost}"'
        cure = f"`rabbitmqctl add_vhost` makes it, `rabbitmqctl set_permissions {place.access}` lets somebody in"
        return Unauthorized(Reason.TARGET_REFUSED, f"{said}: {cure}")
    return None


def _of_the_target(exc: BaseException, place: Place) -> WorkError | None:
    """Other targets of the sink may well go on."""
    match exc:
        case ChannelAccessRefused():
            cure = f"`rabbitmqctl set_permissions {place.access}` with it in `write`"
            said = f'the user "{place.user}" may not write to {place}: {cure}'
        case ChannelNotFoundEntity():
            said = f"RabbitMQ says {_told(exc)}: declare it, or mend the target"
        case PublishError():
            said = f'{place} has no queue for the routing key "{_told(exc, -1)}": declare one and bind it'
        case ChannelPreconditionFailed():
            said = f"RabbitMQ says {_told(exc)}: mend the target"
        case _:
            return None
    return Forbidden(Reason.TARGET_REFUSED, said)


def _trouble(exc: BaseException, place: Place) -> WorkError:
    """Worth another try."""
    match exc:
        case DeliveryError():
            said = "a queue takes no more messages: it is full until somebody reads it"
        case TimeoutError():
            said = "RabbitMQ did not answer in time: see `rabbitmqctl status`, for an alarm of memory or disk, too"
        case _:  # the kind of trouble and no more: its text may have an address in it
            cause = exc.__cause__ if isinstance(exc.__cause__, OSError) else exc
            why = getattr(cause, "strerror", None) or type(cause).__name__
            said = f"no connection to RabbitMQ at {place.server} ({why}): is it up? If so, mend `url`"
    return Transient(Reason.TARGET_UNAVAILABLE, said[:300])


def _told(exc: BaseException, which: int = 0) -> str:
    """What the broker wrote, on one line."""
    words = str(exc.args[which]) if exc.args else type(exc).__name__
    return " ".join(words.split())[:150]
