"""Publishes to RabbitMQ (AMQP 0-9-1), each item or batch as a message. At least once, each with a stable id.

A message counts once the broker has confirmed it: a quorum queue does so when most of its members have it on disk.
What is sent again has the same `message_id`, so a reader that remembers ids takes everything exactly once. Messages
are persistent, and one that no queue would get is an error, never lost. Nothing is declared unless `declare` says so.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import aio_pika
from aio_pika.abc import AbstractExchange, DeliveryMode, HeadersType
from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator
from yarl import URL

from config.contracts.document import Document, Glimpse
from config.contracts.sink import About, Batch, Rejected, Shipment, Surroundings, Taken, Writer
from config.units import Size
from workers.sinks import _message, _tally
from workers.sinks._message import ItemTemplate, Message, MessageTarget, letter, messages, previewed
from workers.sinks._rabbitmq_broker import CONNECTING, Link, Outgoing, Place, TooLarge, publish
from workers.sinks._tally import Tally, fitting

TAKES = frozenset({"items", "records", "requests", "run", "log"})
WHOLE = False
ALERTS = True
NAMES = _message.NAMES
ABOUT = About(
    promise="at least once, with a stable id in `message_id`",
    tested="RabbitMQ 3.10, quorum and classic queues",
    example="""
sinks:
  broker: {type: rabbitmq, url: "amqps://relay@rabbit.example.com/shop", password: "${RABBIT_PASSWORD}"}
routes:
  - name: products
    when: {actor: acme/shop, status: SUCCEEDED}
    to: [{sink: broker, exchange: products, routing_key: "shop.{{ item.country }}"}]
""",
    extra="rabbitmq",
)

_LONGEST_KEY = 255


def _usable(url: SecretStr) -> SecretStr:
    try:
        read = URL(url.get_secret_value())
        good = read.scheme in {"amqp", "amqps"} and read.host and not read.query
    except ValueError:
        good = False
    if not good:
        raise ValueError("write it as amqp://user@host:5672/vhost, or amqps:// for TLS, without a `?`")
    return url


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of a RabbitMQ sink."""

    url: Annotated[SecretStr, AfterValidator(_usable)] = Field(
        description="`amqp://` or, with TLS, `amqps://`; what follows the host is the virtual host.",
        examples=["url: amqps://relay@rabbit.example.com:5671/shop"],
    )
    password: SecretStr | None = Field(None, description="Of the user, if `url` does not say it.")
    ca: Path | None = Field(None, description="File of the authority whose certificate a server with TLS must have.")
    max_message: Size = Field(
        16 * 1024**2, gt=0, le=128 * 1024**2, description="A larger message is not sent; the broker may take less."
    )


class Target(MessageTarget, frozen=True):
    """Options of a target."""

    exchange: str = Field("", max_length=255, description="The exchange; by default the one that leads to `queue`.")
    routing_key: ItemTemplate | None = Field(
        None, description="Of each message.", examples=['routing_key: "shop.{{ item.country }}"']
    )
    queue: str | None = Field(None, min_length=1, max_length=255, description="The queue, without an exchange.")
    declare: bool = Field(False, description="Whether `queue` is made if it is missing: durable, a quorum queue.")

    @model_validator(mode="after")
    def _one_way(self) -> "Target":
        if bool(self.exchange) == bool(self.queue):
            raise ValueError("say where messages go: either `exchange`, or `queue`")
        if self.queue and self.routing_key:
            raise ValueError("`routing_key` is for an `exchange`: a queue is reached by its name")
        if self.declare and not self.queue:
            raise ValueError("`declare` makes a `queue`: an exchange and its bindings are yours to declare")
        return self


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["RabbitSink"]:
    """The connection is made by the first delivery, and made again after it broke."""
    url = URL(config.url.get_secret_value())
    if config.password is not None:
        url = url.with_password(config.password.get_secret_value())
    link = Link(url, ssl.create_default_context(cafile=config.ca) if url.scheme == "amqps" else None)
    try:
        yield RabbitSink(link, config.max_message)
    finally:
        await link.close()


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """Each message: where it goes, its headers and its body."""
    options = shipment.options
    assert isinstance(options, Target)

    def place(message: Message) -> str:
        if options.exchange:
            return f"message to the exchange {options.exchange}, routing key {message.key!r}"
        return f"message to the queue {options.queue}"

    yield from previewed(what, shipment, options.routing_key, most=config.max_message, place=place, fault=_fault)


class RabbitSink:
    """One virtual host.

    Attributes:
        most: bytes of the largest message, by `max_message` and what the broker said so far.
    """

    def __init__(self, link: Link, most: int) -> None:
        self.link, self.most = link, most
        self.declared: set[str] = set()

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        assert isinstance(shipment.options, Target)
        yield _RabbitWriter(self, shipment, shipment.options, position)

    async def check(self, options: Target) -> None:
        """Whether the exchange or the queue is there. Whether a routing key leads anywhere only a message can tell."""
        async with self.link.channel() as channel:
            with self.link.trouble(self.place(options)):
                if options.exchange:
                    await channel.declare_exchange(options.exchange, passive=True, timeout=CONNECTING)
                elif not options.declare:
                    await channel.declare_queue(options.queue, passive=True, timeout=CONNECTING)

    def place(self, options: Target) -> Place:
        return self.link.place(options.exchange)

    @asynccontextmanager
    async def exchange(self, options: Target) -> AsyncIterator[AbstractExchange]:
        """Where a target's messages go, on a channel of its own. Raises WorkError."""
        if options.declare and options.queue and options.queue not in self.declared:
            await self._declare(options.queue, self.place(options))
        async with self.link.channel() as channel:
            with self.link.trouble(self.place(options)):
                if options.exchange:
                    yield await channel.get_exchange(options.exchange, ensure=False)
                else:
                    yield channel.default_exchange

    async def _declare(self, queue: str, place: Place) -> None:
        """One that is there stays as it is, of whatever type."""
        if not await self.link.has_queue(queue):
            async with self.link.channel() as channel:
                with self.link.trouble(place):
                    await channel.declare_queue(
                        queue, durable=True, arguments={"x-queue-type": "quorum"}, timeout=CONNECTING
                    )
        self.declared.add(queue)


class _RabbitWriter:
    """One stream. The broker keeps no place to go on from: what was not confirmed is sent again."""

    def __init__(self, sink: RabbitSink, shipment: Shipment, options: Target, position: dict[str, Any] | None) -> None:
        self.sink, self.shipment, self.options, self.position = sink, shipment, options, position

    async def items(self, batch: Batch) -> Taken:
        try:
            tally = await self._send(batch)
        except TooLarge as exc:  # now we know how much it takes
            self.sink.most = min(self.sink.most, exc.limit)
            tally = await self._send(batch)
        self.position = {"batches": batch.index + 1}
        return tally.taken(self.position, left=len(batch.items()) - tally.seen)

    async def document(self, document: Document) -> Taken:
        number = (self.position or {}).get("documents", 0)
        made = await letter(document, self.shipment, self.options.routing_key, number=number, most=self.sink.most)
        tally = Tally()
        try:
            await self._through([made], tally)
        except TooLarge as exc:
            self.sink.most = min(self.sink.most, exc.limit)
            tally.refuse(Rejected(number, f"the broker takes no message of more than {exc.limit} bytes"))
        self.position = {"documents": number + 1}
        return tally.taken(self.position)

    async def publish(self) -> Taken:
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    async def _send(self, batch: Batch) -> Tally:
        tally = Tally()
        await self._through(messages(batch, self.shipment, self.options.routing_key, most=self.sink.most), tally)
        return tally

    async def _through(self, made: Iterable[Message | Rejected], tally: Tally) -> None:
        """Publish them window by window, until all are or it takes too long."""
        clock = asyncio.get_running_loop().time
        began = clock()
        async with self.sink.exchange(self.options) as exchange:
            for window in fitting(made, _fault, tally):
                await publish(exchange, [self._outgoing(one) for one in window])
                tally.confirm(window)
                if self.options.per != "batch" and clock() - began > _tally.ENOUGH:
                    return

    def _outgoing(self, message: Message) -> Outgoing:
        headers: HeadersType = {name: value for name, value in message.headers.items() if name != "content-type"}
        described = aio_pika.Message(
            message.body,
            headers=headers,
            message_id=message.id,
            content_type=message.headers["content-type"],
            delivery_mode=DeliveryMode.PERSISTENT,
            app_id="runrelay",
        )
        return Outgoing(described, self.options.queue or message.key)


def _fault(message: Message) -> str | None:
    """What AMQP cannot carry."""
    if len(message.key.encode("utf-8", "replace")) > _LONGEST_KEY:
        return f"its routing key is longer than {_LONGEST_KEY} bytes"
    return None
