"""Sends items and documents to a topic of Kafka, as records. At least once, each with a stable id.

A record counts once every replica that is in sync has it (`acks=all`). What is sent again has the same `runrelay-id` in
its headers, so a reader that remembers ids takes everything exactly once. All records of a run have one key, its id,
unless `key` says otherwise: they lie in one partition, in order.

The value is the item exactly as it was stored, or a JSON list of a batch's items; headers say where it comes from.
"""

import re
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, model_validator

from config.contracts.document import Document, Glimpse
from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import About, Batch, Rejected, Shipment, Surroundings, Taken, Writer
from config.language.template import Template
from config.units import Size
from workers.sinks import _message
from workers.sinks._kafka_link import ANSWERING, Link, no_topic
from workers.sinks._message import (
    ItemTemplate,
    Message,
    MessageTarget,
    letter,
    messages,
    picked,
    previewed,
    sound,
    windows,
)

TAKES = frozenset({"items", "records", "requests", "run", "log"})
WHOLE = False
ALERTS = True
NAMES = _message.NAMES
ABOUT = About(
    promise="at least once, with a stable id in the header `runrelay-id`",
    tested="Tansu 0.6 and the mock cluster of librdkafka 2.16; not Kafka itself, nor a login that succeeds",
    example="""
sinks:
  log: {type: kafka, servers: ["kafka.example.com:9093"], tls: true, username: relay, password: "${KAFKA_PASSWORD}"}
routes:
  - name: products
    when: {actor: acme/shop, status: SUCCEEDED}
    to: [{sink: log, topic: products, key: "{{ item.url }}"}]
""",
    extra="kafka",
)

#: Records, and bytes of them, that are on their way at once.
WINDOW, WINDOW_BYTES = 1000, 4 * 1024**2
#: Bytes of a record besides its value, at most: the client's limit is not to be met before ours.
_AROUND = 64 * 1024
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}", re.ASCII)
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}", re.ASCII)
_OF_THE_RUN = Template("{{ run.id }}")


def _server(written: str) -> str:
    if not _SERVER.fullmatch(written):
        raise ValueError("a server is written as host:port")
    return written


def _listed(written: object) -> object:
    return [one.strip() for one in written.split(",")] if isinstance(written, str) else written


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of a Kafka sink."""

    servers: Annotated[
        tuple[Annotated[str, AfterValidator(_server)], ...], BeforeValidator(_listed), Field(min_length=1)
    ] = Field(
        description="Some of the cluster's brokers, `host:port`.",
        examples=['servers: ["kafka-1:9092", "kafka-2:9092"]'],
    )
    username: str | None = Field(None, description="Who we are.")
    password: SecretStr | None = Field(None, description="Of that user.")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="How the password is shown."
    )
    tls: bool = Field(False, description="Whether the connection is encrypted.")
    ca: Path | None = Field(None, description="PEM file of the authorities to trust instead of the system's.")
    idempotent: bool = Field(
        True,
        description="Whether brokers drop what one connection sends twice; say `false` for those that cannot.",
    )
    compress: Literal["none", "gzip"] = Field("none", description="How records are packed.")
    max_message: Size = Field(
        1_000_000,
        gt=0,
        description="An item or document that is larger is rejected. Brokers take 1 MiB unless somebody raised "
        "`max.message.bytes` of the topic.",
    )

    @model_validator(mode="after")
    def _agrees(self) -> "Config":
        if (self.username is None) != (self.password is None):
            raise ValueError("`username` and `password` go together: say both, or neither")
        if self.ca is not None and not self.tls:
            raise ValueError("`ca` needs `tls: true`")
        return self

    def settings(self) -> dict[str, Any]:
        """As the client wants them."""
        protocol = ("SASL_" if self.username else "") + ("SSL" if self.tls else "PLAINTEXT")
        login: dict[str, Any] = {}
        if self.password is not None:
            login = {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password.get_secret_value(),
            }
        return {
            "bootstrap_servers": list(self.servers),
            "client_id": "runrelay",
            "acks": "all",
            "enable_idempotence": self.idempotent,
            "compression_type": None if self.compress == "none" else self.compress,
            "max_request_size": self.max_message + _AROUND,
            "request_timeout_ms": int(ANSWERING * 1000),
            "security_protocol": protocol,
            "ssl_context": ssl.create_default_context(cafile=self.ca) if self.tls else None,
            **login,
        }


class Target(MessageTarget, frozen=True):
    """Options of a target: its topic."""

    topic: Template = Field(description="Where records go.", examples=["topic: products"])
    key: ItemTemplate | None = Field(
        None,
        description="Key of each record, by default the run's id; empty for none. May depend on the item.",
        examples=['key: "{{ item.url }}"'],
    )


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["KafkaSink"]:
    """The connection is made when it is first needed."""
    link = Link(config.settings())
    try:
        yield KafkaSink(link, config.max_message)
    finally:
        await link.close()


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """Each message: where it goes, its headers and its body."""
    options = shipment.options
    assert isinstance(options, Target)
    topic = _topic_of(shipment)

    def place(message: Message) -> str:
        return f"record of the topic {topic}, key {message.key!r}"

    yield from previewed(what, shipment, options.key or _OF_THE_RUN, most=config.max_message, place=place)


class KafkaSink:
    """One cluster."""

    def __init__(self, link: Link, most: int) -> None:
        self.link, self.most = link, most

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        yield _Writer(self, shipment, position, _topic_of(shipment))

    async def check(self, options: BaseModel) -> None:
        """Looks for the topic. Whether we may write to it shows with the first record only."""
        assert isinstance(options, Target)
        topics = await self.link.topics()
        if not options.topic.roots and str(options.topic) not in topics:
            raise no_topic(str(options.topic))


def _topic_of(shipment: Shipment) -> str:
    """Raises Permanent."""
    assert isinstance(shipment.options, Target)
    topic = shipment.options.topic.render(shipment.scope)
    if not _TOPIC.fullmatch(topic):
        raise Permanent(Reason.TEMPLATE_FAILED, f"{topic[:100]!a} is no topic: letters, digits, `.`, `_` and `-`")
    return topic


class _Writer:
    """One stream. Brokers keep no place to go on from: the ledger's is all there is."""

    def __init__(self, sink: KafkaSink, shipment: Shipment, position: dict[str, Any] | None, topic: str) -> None:
        assert isinstance(shipment.options, Target)
        self.link, self.most, self.topic = sink.link, sink.most, topic
        self.shipment, self.position = shipment, position
        self.key = shipment.options.key or _OF_THE_RUN
        self.documents = (position or {}).get("documents", 0)

    async def items(self, batch: Batch) -> Taken:
        return await self._send(self._messages(batch), batch)

    async def document(self, document: Document) -> Taken:
        made = await letter(document, self.shipment, self.key, number=self.documents, most=self.most)
        self.documents += 1
        return await self._send([made], None)

    async def publish(self) -> Taken:
        """All records are there already."""
        self.position = {"documents": self.documents}
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    def _messages(self, batch: Batch) -> Iterable[Message | Rejected]:
        return messages(batch, self.shipment, self.key, most=self.most)

    async def _send(self, found: Iterable[Message | Rejected], batch: Batch | None) -> Taken:
        rejected = list[Rejected]()
        sent = Taken(rows=0, out=0, bytes=0)
        for window in windows(sound(found, rejected), WINDOW, WINDOW_BYTES):
            for message, trouble in zip(window, await self.link.send(window, self.topic), strict=True):
                sent = _sum(sent, await self._judge(message, trouble, batch))
        self.position = {"documents": self.documents}
        return replace(sent, position=self.position, rejected=(*rejected, *sent.rejected))

    async def _judge(self, message: Message, trouble: Exception | None, batch: Batch | None) -> Taken:
        """What came of one message. A list that the broker does not take as one is sent again in halves."""
        if trouble is None:
            return Taken(rows=len(message.rows), out=1, bytes=len(message.body))
        if batch is None or len(message.rows) == 1:
            why = f"the broker takes no message of {len(message.body)} bytes: raise `max.message.bytes`"
            return Taken(rows=0, out=0, bytes=0, rejected=(Rejected(message.rows[0], why),))
        half = len(message.rows) // 2
        first = await self._send(self._messages(picked(batch, message.rows[:half])), batch)
        return _sum(first, await self._send(self._messages(picked(batch, message.rows[half:])), batch))


def _sum(one: Taken, other: Taken) -> Taken:
    added = Taken(one.rows + other.rows, one.out + other.out, one.bytes + other.bytes)
    return replace(added, rejected=one.rejected + other.rejected)
