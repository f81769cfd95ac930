"""Publishes to an MQTT 5 broker, each item or batch as a message of QoS 1. At least once, each with a stable id.

A message counts once the broker has acknowledged it. What is sent again has the same id, in the user property
`runrelay-id` and as correlation data, so a reader that remembers ids takes everything exactly once. A broker keeps
messages for those who have subscribed with a session that outlasts their connection, and for nobody else: that nobody
has subscribed is no error, but the worker's log says so (`mqtt.nobody`).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import structlog
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import AfterValidator, BaseModel, Field, SecretStr
from yarl import URL

from config.contracts.document import Document, Glimpse
from config.contracts.errors import WorkError
from config.contracts.sink import About, Batch, Rejected, Shipment, Surroundings, Taken, Writer
from config.units import Duration, Size
from workers.sinks import _message, _mqtt_broker, _tally
from workers.sinks._message import ItemTemplate, Message, MessageTarget, letter, messages, previewed
from workers.sinks._mqtt_broker import NOBODY, Link, Outgoing, refusal
from workers.sinks._tally import Tally, fitting

TAKES = frozenset({"items", "records", "requests", "run", "log"})
WHOLE = False
ALERTS = True
NAMES = _message.NAMES
ABOUT = About(
    promise="at least once, with a stable id in the user property `runrelay-id`",
    tested="Mosquitto 2.0; a broker has to speak MQTT 5",
    example="""
sinks:
  plant: {type: mqtt, url: "mqtts://relay@mqtt.example.com", password: "${MQTT_PASSWORD}"}
routes:
  - name: prices
    when: {actor: acme/shop, status: SUCCEEDED}
    to: [{sink: plant, topic: "shop/prices/{{ item.sku }}", retain: true}]
""",
    extra="mqtt",
)

#: What the headers and the topic of a message may need of the largest packet.
_AROUND = 8192
_LONGEST_TOPIC = 2048

log = structlog.get_logger("runrelay.mqtt")


def _usable(url: SecretStr) -> SecretStr:
    try:
        read = URL(url.get_secret_value())
        good = read.scheme in {"mqtt", "mqtts"} and read.host and read.path in {"", "/"} and not read.query
    except ValueError:
        good = False
    if not good:
        raise ValueError("write it as mqtt://user@host:1883, or mqtts:// for TLS")
    return url


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of an MQTT sink."""

    url: Annotated[SecretStr, AfterValidator(_usable)] = Field(
        description="`mqtt://` (port 1883) or, with TLS, `mqtts://` (port 8883).",
        examples=["url: mqtts://relay@mqtt.example.com"],
    )
    password: SecretStr | None = Field(None, description="Of the user, if `url` does not say it.")
    ca: Path | None = Field(None, description="File of the authority whose certificate a broker with TLS must have.")
    max_message: Size = Field(
        16 * 1024**2, gt=0, le=128 * 1024**2, description="A larger message is not sent; the broker may take less."
    )


class Target(MessageTarget, frozen=True):
    """Options of a target."""

    topic: ItemTemplate = Field(description="Of each message.", examples=['topic: "shop/prices/{{ item.sku }}"'])
    retain: bool = Field(False, description="Whether the broker keeps the last message of a topic for who comes later.")
    expires: Duration | None = Field(
        None, ge=1, le=2**32 - 1, description="How long the broker keeps a message that nobody has read."
    )


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["MqttSink"]:
    """The connection is made by the first delivery, and made again after it broke."""
    url, password = URL(config.url.get_secret_value()), config.password
    safe = url.scheme == "mqtts"
    link = Link(
        url.host or "",
        url.port or (8883 if safe else 1883),
        url.user,
        password.get_secret_value() if password else url.password,
        ssl.create_default_context(cafile=config.ca) if safe else None,
    )
    try:
        yield MqttSink(link, config.max_message)
    finally:
        await link.close()


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """Each message: where it goes, its headers and its body."""
    options = shipment.options
    assert isinstance(options, Target)

    def place(message: Message) -> str:
        return f"message to the topic {message.key}{', which keeps it' if options.retain else ''}"

    yield from previewed(what, shipment, options.topic, most=config.max_message, place=place, fault=_fault)


class MqttSink:
    """One broker."""

    def __init__(self, link: Link, most: int) -> None:
        self.link, self.most = link, most

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        assert isinstance(shipment.options, Target)
        yield _MqttWriter(self, shipment, shipment.options, position)

    async def check(self, options: Target) -> None:
        """Whether the broker lets us in. Whether it takes a topic only a message can tell."""
        await self.link.client()

    async def largest(self) -> int:
        """Bytes of the largest body, by `max_message` and what the broker says. Raises WorkError."""
        told = (await self.link.client()).largest
        return self.most if told is None else max(min(self.most, told - _AROUND), 1)

    async def publish(self, sent: Sequence[Outgoing]) -> list[ReasonCode | BaseException]:
        """What the broker says of each, or why it says nothing. Raises WorkError."""
        client = await self.link.client()
        with self.link.trouble():
            try:
                async with asyncio.timeout(_mqtt_broker.CONFIRMING):
                    return await asyncio.gather(*map(client.send, sent), return_exceptions=True)
            except TimeoutError:
                await self.link.close()
                raise


class _MqttWriter:
    """One stream. The broker keeps no place to go on from: what was not acknowledged is sent again."""

    def __init__(self, sink: MqttSink, shipment: Shipment, options: Target, position: dict[str, Any] | None) -> None:
        self.sink, self.shipment, self.options, self.position = sink, shipment, options, position

    async def items(self, batch: Batch) -> Taken:
        tally = Tally()
        most = await self.sink.largest()
        await self._through(messages(batch, self.shipment, self.options.topic, most=most), tally)
        self.position = {"batches": batch.index + 1}
        return tally.taken(self.position, left=len(batch.items()) - tally.seen)

    async def document(self, document: Document) -> Taken:
        tally = Tally()
        number = (self.position or {}).get("documents", 0)
        most = await self.sink.largest()
        made = await letter(document, self.shipment, self.options.topic, number=number, most=most)
        await self._through([made], tally)
        self.position = {"documents": number + 1}
        return tally.taken(self.position)

    async def publish(self) -> Taken:
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    async def _through(self, made: Iterable[Message | Rejected], tally: Tally) -> None:
        """Publish them window by window, until all are or it takes too long."""
        clock = asyncio.get_running_loop().time
        began = clock()
        for window in fitting(made, _fault, tally):
            codes = await self.sink.publish([self._outgoing(one) for one in window])
            self._judge(window, codes, tally)
            if self.options.per != "batch" and clock() - began > _tally.ENOUGH:
                return

    def _judge(self, window: Sequence[Message], said: Sequence[ReasonCode | BaseException], tally: Tally) -> None:
        """A broker may close the connection after it has refused one message: its answer tells more than the others'
        lack of one."""
        lost = [one for one in said if isinstance(one, BaseException)]
        answers = [(one, code) for one, code in zip(window, said, strict=True) if isinstance(code, ReasonCode)]
        for one, code in answers:
            self._take(one, refusal(code, one.key, self.sink.link.user), tally)
        if lost:
            with self.sink.link.trouble():
                raise lost[0]
        if nobody := [one for one, code in answers if code.value == NOBODY]:
            topic = nobody[0].key[:200]
            log.warning("mqtt.nobody", delivery_id=self.shipment.delivery.id, topic=topic, count=len(nobody))

    def _take(self, message: Message, refused: WorkError | str | None, tally: Tally) -> None:
        if isinstance(refused, WorkError):
            raise refused
        if refused:
            tally.refuse(*(Rejected(row, refused) for row in message.rows))
        else:
            tally.confirm([message])

    def _outgoing(self, message: Message) -> Outgoing:
        expires = self.options.expires
        return Outgoing(
            topic=message.key,
            body=message.body,
            id=message.id,
            content_type=message.headers["content-type"],
            headers=[(name, value) for name, value in message.headers.items() if name != "content-type"],
            retain=self.options.retain,
            expires=None if expires is None else int(expires),
        )


def _fault(message: Message) -> str | None:
    """What cannot be a topic: section 4.7 of the standard."""
    topic = message.key
    if not topic or set(topic) & {"+", "#", "\0"}:
        return "its topic is empty, or has a `+`, a `#` or U+0000 in it"
    try:
        long = len(topic.encode()) > _LONGEST_TOPIC
    except UnicodeEncodeError:
        return "its topic is no text"
    return f"its topic is longer than {_LONGEST_TOPIC} bytes" if long else None
