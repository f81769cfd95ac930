"""Publishes items and documents to a stream of NATS JetStream, as messages. Exactly once within the stream's window.

Each message has a `Nats-Msg-Id` that is the same on every try: JetStream keeps one of them, as long as the ids lie no
further apart than the stream's duplicate window. That is two minutes unless somebody widened it, and retries go on for
three days: `nats stream edit NAME --dupe-window 4d`. Beyond the window a message may be there twice, with one id. A
message counts once the stream has acknowledged it.

The body is the item exactly as it was stored, or a JSON list of a batch's items; headers say where it comes from.
"""

import re
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import structlog
from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from config.contracts.document import Document, Glimpse
from config.contracts.errors import Permanent, Unauthorized
from config.contracts.reasons import Reason
from config.contracts.sink import About, Batch, Rejected, Shipment, Surroundings, Taken, Writer
from config.units import Size
from workers.sinks import _message
from workers.sinks._message import ItemTemplate, Message, MessageTarget, letter, messages, previewed, sound, windows
from workers.sinks._nats_link import HEADERS, Link, NoResponders, Refusal, Session, Violation, refused

TAKES = frozenset({"items", "records", "requests", "run", "log"})
WHOLE = False
ALERTS = True
NAMES = _message.NAMES
ABOUT = About(
    promise="exactly once within the stream's duplicate window (`--dupe-window 4d`), at least once with a stable id "
    "beyond it",
    tested="NATS 2.15 with JetStream, one server; not a cluster",
    example="""
sinks:
  bus: {type: nats, url: "tls://nats.example.com:4222", user: relay, password: "${NATS_PASSWORD}"}
routes:
  - name: products
    when: {actor: acme/shop, status: SUCCEEDED}
    to: [{sink: bus, subject: "shop.{{ run.id }}"}]
""",
    extra="nats",
)

#: Messages, and bytes of them, that are on their way at once.
WINDOW, WINDOW_BYTES = 500, 4 * 1024**2
#: A stream that remembers ids for so long sees no message twice: retries end within 75 hours. Seconds.
REMEMBERED = 75 * 3600
_KEPT = 4 * 86_400
#: Words without spaces and wildcards, parted by dots; what begins with `$` or `_INBOX` is the server's own.
_SUBJECT = re.compile(r"(?!\$|_INBOX)[^\s.*>\x00-\x1f\x7f]+(\.[^\s.*>\x00-\x1f\x7f]+)*")

log = structlog.get_logger("runrelay.nats")


def _usable_url(url: str) -> str:
    split = urlsplit(url)
    if split.scheme not in {"nats", "tls"} or not split.hostname:
        raise ValueError("a URL of NATS begins with nats:// or tls://")
    if "@" in split.netloc:
        raise ValueError("say `user` and `password`, or `token`, as options outside of the URL")
    return url


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of a NATS sink."""

    url: Annotated[str, AfterValidator(_usable_url)] = Field(
        description="The server: `nats://` or `tls://`, host and port.", examples=["url: tls://nats.example.com:4222"]
    )
    user: str | None = Field(None, description="Who we are.")
    password: SecretStr | None = Field(None, description="Of that user.")
    token: SecretStr | None = Field(None, description="Instead of user and password.")
    ca: Path | None = Field(None, description="PEM file of the authorities to trust instead of the system's.")
    max_message: Size = Field(
        32 * 1024**2,
        gt=0,
        description="An item or document that is larger is rejected; so is what is larger than the server's "
        "`max_payload`, 1 MiB unless somebody raised it.",
    )

    @model_validator(mode="after")
    def _agrees(self) -> "Config":
        if (self.user is None) != (self.password is None) or (self.user and self.token):
            raise ValueError("say `user` and `password`, or `token`")
        return self

    @property
    def credentials(self) -> dict[str, str]:
        """As the client wants them."""
        if self.token is not None:
            return {"token": self.token.get_secret_value()}
        if self.user is not None and self.password is not None:
            return {"user": self.user, "password": self.password.get_secret_value()}
        return {}


class Target(MessageTarget, frozen=True):
    """Options of a target: its subject."""

    subject: ItemTemplate = Field(
        description="Where messages go; a stream must take it. May depend on the item.",
        examples=['subject: "shop.{{ run.id }}"'],
    )
    create: bool = Field(
        False,
        description="Make a stream for the subject, named after it, if none takes it: on disk, without limits, with a "
        "duplicate window of 4 days.",
    )
    window: Literal["warn", "refuse"] = Field(
        "warn",
        description="What happens if the stream's duplicate window is shorter than retries may take: a warning in the "
        "log, or the target pauses until it is wider.",
    )

    @model_validator(mode="after")
    def _creates_one(self) -> "Target":
        if self.create and self.subject.roots:
            raise ValueError("`create: true` needs a `subject` without `{{ … }}`")
        return self


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["NatsSink"]:
    """The connection is made when it is first needed."""
    secure = config.ca is not None or config.url.startswith("tls://")
    tls = ssl.create_default_context(cafile=config.ca) if secure else None
    link = Link(config.url, tls, **config.credentials)
    try:
        yield NatsSink(link, config.max_message)
    finally:
        await link.close()


@dataclass(frozen=True, slots=True)
class Stream:
    """What we need to know of one. `max_size`: bytes of a message with its headers; below 1 for any."""

    name: str
    window: float
    max_size: int


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """Each message: where it goes, its headers and its body."""
    options = shipment.options
    assert isinstance(options, Target)
    _subject_of(shipment)

    def place(message: Message) -> str:
        return f"message to the subject {message.key}"

    yield from previewed(what, shipment, options.subject, most=config.max_message, place=place, fault=_fault)


class NatsSink:
    """One server, or cluster of them."""

    def __init__(self, link: Link, most: int) -> None:
        self.link, self.most = link, most

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        options = shipment.options
        assert isinstance(options, Target)
        subject = _subject_of(shipment)
        async with self.link.session(subject) as session:
            stream = await _stream_of(session, subject, options) if subject else None
            most = _most(session, self.most, stream)
        yield _Writer(self, shipment, position, most)

    async def check(self, options: BaseModel) -> None:
        """Asks which stream takes the subject. Whether we may publish shows with the first message only."""
        assert isinstance(options, Target)
        subject = "" if options.subject.roots else str(options.subject)
        async with self.link.session(subject) as session:
            if subject:
                await _stream_of(
                    session, subject, options.model_copy(update={"create": False}), may_lack=options.create
                )


async def _stream_of(session: Session, subject: str, options: Target, *, may_lack: bool = False) -> Stream | None:
    """The stream that takes a subject, which is made if it may be. None if we may not ask.

    Raises Unauthorized if there is none, or (`window: refuse`) if it forgets ids too soon; NoResponders.
    """
    try:
        found = await session.ask("$JS.API.STREAM.NAMES", {"subject": subject})
        if names := _answer(found, subject).get("streams"):
            known = await session.ask(f"$JS.API.STREAM.INFO.{names[0]}", {})
        elif may_lack:
            return None
        elif options.create:
            known = await session.ask(*_wanted(subject))
        else:
            raise NoResponders(subject)
    except Violation:
        log.warning("nats.window_unknown", subject=subject, cure='let our user publish to "$JS.API.STREAM.>"')
        return None
    about = _answer(known, subject)["config"]
    stream = Stream(about["name"], about.get("duplicate_window", 0) / 1e9, about.get("max_msg_size", -1))
    _judge(stream, options)
    return stream


def _answer(said: dict[str, Any], subject: str) -> dict[str, Any]:
    if error := said.get("error"):
        raise refused(
            Refusal(error.get("code", 0), error.get("err_code", 0), error.get("description", "")), subject, ""
        )
    return said


def _wanted(subject: str) -> tuple[str, dict[str, Any]]:
    name = re.sub(r"[^A-Za-z0-9_-]", "_", subject)
    stream = {"name": name, "subjects": [subject], "storage": "file", "retention": "limits"}
    limits = {"max_msgs": -1, "max_bytes": -1, "max_age": 0, "max_consumers": -1, "num_replicas": 1}
    return f"$JS.API.STREAM.CREATE.{name}", {**stream, **limits, "duplicate_window": int(_KEPT * 1e9)}


def _judge(stream: Stream, options: Target) -> None:
    if stream.window >= REMEMBERED:
        return
    cure = f"nats stream edit {stream.name} --dupe-window 4d"
    if options.window == "refuse":
        said = f"the stream {stream.name} remembers ids for {stream.window:.0f} s, retries take longer: `{cure}`"
        raise Unauthorized(Reason.TARGET_REFUSED, said)
    log.warning("nats.window_short", stream=stream.name, window=stream.window, cure=cure)


def _most(session: Session, most: int, stream: Stream | None) -> int:
    """Bytes a body may have. A message that is larger with its headers would cost us the connection."""
    limits = [session.client.max_payload, *([stream.max_size] if stream and stream.max_size > 0 else [])]
    return min(most, *(limit - HEADERS for limit in limits))


def _subject_of(shipment: Shipment) -> str:
    """Of all messages; empty if it depends on the item. Raises Permanent."""
    assert isinstance(shipment.options, Target)
    template = shipment.options.subject
    subject = "" if "item" in template.roots else template.render(shipment.scope)
    if subject and not _SUBJECT.fullmatch(subject):
        raise Permanent(Reason.TEMPLATE_FAILED, f"{subject[:100]!a} is no subject: words parted by dots")
    return subject


class _Writer:
    """One stream of a delivery. What is sent again is recognised by its id: the ledger's place is all we need."""

    def __init__(self, sink: NatsSink, shipment: Shipment, position: dict[str, Any] | None, most: int) -> None:
        assert isinstance(shipment.options, Target)
        self.link, self.shipment, self.position, self.most = sink.link, shipment, position, most
        self.subject = shipment.options.subject
        self.documents = (position or {}).get("documents", 0)

    async def items(self, batch: Batch) -> Taken:
        return await self._publish(messages(batch, self.shipment, self.subject, most=self.most))

    async def document(self, document: Document) -> Taken:
        made = await letter(document, self.shipment, self.subject, number=self.documents, most=self.most)
        self.documents += 1
        return await self._publish([made])

    async def publish(self) -> Taken:
        """All messages are there already."""
        self.position = {"documents": self.documents}
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    async def _publish(self, found: Iterable[Message | Rejected]) -> Taken:
        rejected = list[Rejected]()
        rows = out = size = 0
        for window in windows(_addressed(sound(found, rejected), rejected), WINDOW, WINDOW_BYTES):
            async with self.link.session(window[0].key) as session:
                acks = await session.publish(window)
            for message, ack in zip(window, acks, strict=True):
                if ack.error is None:
                    rows, out, size = rows + len(message.rows), out + 1, size + len(message.body)
                elif ack.error.too_large:
                    why = f"{len(message.body)} bytes are more than the stream takes"
                    rejected += [Rejected(row, why) for row in message.rows]
                else:
                    raise refused(ack.error, message.key, ack.stream)
        self.position = {"documents": self.documents}
        return Taken(rows, out, size, self.position, tuple(rejected))


def _addressed(found: Iterable[Message], rejected: list[Rejected]) -> Iterator[Message]:
    """Those whose subject is one: a subject that an item names may be anything."""
    for message in found:
        if why := _fault(message):
            rejected += [Rejected(row, why) for row in message.rows]
        else:
            yield message


def _fault(message: Message) -> str | None:
    return None if _SUBJECT.fullmatch(message.key) else "its subject is empty, or no words parted by dots"
