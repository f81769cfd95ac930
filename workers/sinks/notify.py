"""Tells people: Slack, Teams, Discord, Telegram, e-mail and 160 other services, one message per run. At least once.

A storm is two messages: with `collect`, the first of a target goes at once, and those that follow within its time go
out together at the end of it, a line each. Before a message is sent that is written down, and so is that it went out: a
delivery that is tried again sends nothing twice. If a process dies between the two nobody knows whether it arrived;
`on_unknown` says what then happens.

Text that you write in `text` may use the markup of the service; values in it never become markup, links with another
name, mentions or commands.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from config.contracts.alert import STREAM
from config.contracts.document import Document, Glimpse
from config.contracts.errors import NotYet, Permanent, Transient, WorkError
from config.contracts.event import digest
from config.contracts.reasons import Reason
from config.contracts.sink import About, Batch, Box, Bundle, Shipment, Surroundings, Taken, Writer
from config.units import Duration, Rate
from workers.sinks._notify_sending import Address, Unsure, loaded
from workers.sinks._notify_wording import MOST_LOG, Text, Wording, Words, about_alert, composed, kept, tail, together

TAKES = frozenset({"run", "log"})
WHOLE = True
ALERTS = True
#: What our own text tells of a run.
NAMES = ("actor",)
ABOUT = About(
    promise="at least once; a try that is repeated sends nothing that is known to have arrived",
    tested="real HTTP and SMTP servers (apprise 2.2: json, mailto, mmost, and Slack, Discord, Telegram and Google Chat "
    "with their requests led to 127.0.0.1); not the services themselves",
    example="""\
sinks:
  oncall: {type: notify, url: "${SLACK_URL}", collect: {for: 5m, most: 20}}
routes:
  - name: something-broke
    when: {status: [FAILED, TIMED-OUT, ABORTED]}
    read: {log_tail: 20}
    to: [{sink: oncall}]
""",
    extra="notify",
)

_READ_MOST = 256 * 1024
_BUNDLE = msgspec.json.Decoder(dict[str, Words])


def _usable(url: SecretStr) -> SecretStr:
    loaded(url.get_secret_value())
    return url


Url = Annotated[SecretStr, AfterValidator(_usable)]


class Collect(BaseModel, extra="forbid", frozen=True):
    """What makes many messages one."""

    window: Duration = Field(alias="for", gt=0, le=86_400, description="For so long after a message others wait.")
    most: int = Field(20, ge=1, le=100, description="Lines of what then goes out as one; the others are counted.")


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of a notify sink."""

    url: Url | None = Field(
        None,
        description="Who is told: a URL of apprise, or the webhook address that Slack, Discord or Teams showed you.",
        examples=['url: "${SLACK_URL}"', 'url: "mailtos://me:${MAIL_PASSWORD}@example.com?to=ops@example.com"'],
    )
    urls: tuple[Url, ...] = Field((), description="Several who are told the same.")
    text: Text | None = Field(
        None,
        description="What is said of a run, where a target has no `text`. By default its Actor, status, time and cost, "
        "a link, and the end of the log where the route reads that.",
    )
    title: Text | None = Field(None, description="Title or subject of it. E-mail has one by default.")
    collect: Collect | None = Field(None, description="Makes a storm one message.", examples=["collect: {for: 5m}"])
    rate: Rate | None = Field(None, description="Most messages per time, over all workers.", examples=["rate: 1/s"])
    on_unknown: Literal["resend", "dead_letter"] = Field(
        "resend",
        description="What follows if nobody knows whether a message arrived: it is sent again, or its delivery ends as "
        "a dead letter.",
    )
    timeout: Duration = Field(15.0, gt=0, le=60, description="For one message to one address.")

    @model_validator(mode="after")
    def _somebody(self) -> "Config":
        if (self.url is None) == (not self.urls):
            raise ValueError("say who is told: either `url` or `urls`")
        return self

    @property
    def told(self) -> tuple[SecretStr, ...]:
        """All URLs, each once."""
        return tuple(dict.fromkeys((self.url,) if self.url else self.urls))


class Target(BaseModel, extra="forbid", frozen=True):
    """Options of a target."""

    text: Text | None = Field(
        None,
        description="What is said, instead of the sink's own `text`.",
        examples=['text: "*{{ actor.name }}* {{ run.status }} {{ run.console_url }}"'],
    )
    title: Text | None = Field(None, description="Title or subject, instead of the sink's own.")


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["NotifySink"]:
    """Nothing is connected before there is something to say."""
    yield NotifySink(config, around)


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """The message to each address, by the name of its service."""
    assert isinstance(what, Glimpse)
    audience = Audience(config)
    words = audience.words(shipment, what.start.decode(errors="replace") if shipment.stream == "log" else "")
    for address in audience.addresses:
        title, text = composed(words[address.medium.name], address)
        yield f"message to {address.name}"
        yield from [f"title: {title}"] if title else []
        yield from text.split("\n")


class Audience:
    """Those who are told, and what: all of it before anything is sent."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.addresses = [Address(url) for url in config.told]
        self.media = {address.medium.name: address.medium for address in self.addresses}

    def words(self, shipment: Shipment, log: str) -> dict[str, Words]:
        """The message in each medium that is needed. `log`: empty unless the stream is one. Raises Permanent
        (template_failed)."""
        target, alert = shipment.options, shipment.stream == STREAM
        assert isinstance(target, Target)
        wording = Wording(
            target.text or (None if alert else self.config.text),
            target.title or (None if alert else self.config.title),
            alert,
        )
        return {name: wording.words(self._scope(shipment, log, name), one) for name, one in self.media.items()}

    def room(self, medium: str) -> int:
        """Characters that fit into a message of every address with this medium."""
        return min(address.room for address in self.addresses if address.medium.name == medium)

    def _scope(self, shipment: Shipment, log: str, medium: str) -> Mapping[str, Any]:
        if shipment.stream == STREAM:
            return about_alert(shipment.scope["alert"])
        return {**shipment.scope, "log_tail": tail(log, max(200, min(MOST_LOG, self.room(medium) - 800)))}


class NotifySink:
    """Some people."""

    def __init__(self, config: Config, around: Surroundings) -> None:
        self.config, self.around, self.audience = config, around, Audience(config)

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        yield _Telling(self, shipment, position)

    async def check(self, options: BaseModel) -> None:
        """Reaches the servers that a URL names itself. That a service takes the token shows only when it is told
        something."""
        for address in self.audience.addresses:
            if address.server is not None:
                await _reach(address.name, *address.server, self.config.timeout)

    def box(self, shipment: Shipment) -> Box:
        """Alerts wait for nobody: a storm of them is one message already."""
        delivery, again = shipment.delivery, self.config.on_unknown == "resend"
        collect = self.config.collect
        if collect is None or shipment.stream == STREAM:
            return Box(delivery.id, again=again)
        return Box(f"{delivery.sink}/{delivery.target}", collect.window, collect.most, again)


class _Telling:
    """One message."""

    def __init__(self, sink: NotifySink, shipment: Shipment, position: dict[str, Any] | None) -> None:
        self.sink, self.audience, self.shipment, self.position = sink, sink.audience, shipment, position

    async def items(self, batch: Batch) -> Taken:
        raise TypeError("TAKES names no items")

    async def document(self, document: Document) -> Taken:
        """Say it, unless it was said. What waits in the same box may have to go first."""
        words = self.audience.words(self.shipment, await _log(document) if self.shipment.stream == "log" else "")
        box, text = self.sink.box(self.shipment), _packed(self.audience, words)
        self.position = {}
        while bundle := await self.sink.around.collecting.ask(box, self.shipment.delivery.id, text):
            size = await self._send(box, bundle, words)
            if bundle.mine:
                return Taken(rows=1, out=1, bytes=size, position={})
        return Taken(rows=1, out=0, bytes=0, position={})

    async def publish(self) -> Taken:
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    async def _send(self, box: Box, bundle: Bundle, words: Mapping[str, Words]) -> int:
        """Returns the bytes that were sent. Raises the verdict on addresses that cannot be told, after all others have
        been; what is refused is the end of a bundle, and no trouble of who had nothing in it."""
        whole = self._whole(bundle, words)
        id = self.shipment.delivery.id if bundle.mine and bundle.count == 1 else digest(bundle.name)
        left = [address for address in self.audience.addresses if address.digest not in bundle.reached]
        told = await asyncio.gather(
            *(self._tell(box, bundle, address, whole[address.medium.name], id) for address in left),
            return_exceptions=True,
        )
        troubles = [one for one in told if isinstance(one, BaseException)]
        if not troubles:
            await self.sink.around.collecting.sent(box, bundle)
            return sum(one for one in told if isinstance(one, int))
        worst = min(troubles, key=_urgency)
        if isinstance(worst, Permanent):
            await self.sink.around.collecting.refused(box, bundle)
            if not bundle.mine:
                return 0
        elif isinstance(worst, WorkError) and (box.again or not any(isinstance(one, Unsure) for one in troubles)):
            await self.sink.around.collecting.failed(box, bundle)
        raise worst

    async def _tell(self, box: Box, bundle: Bundle, address: Address, words: Words, id: str) -> int:
        if rate := self.sink.config.rate:
            await self.sink.around.pace(self.shipment.delivery.sink, rate)
        title, text = composed(words, address)
        await address.tell(title, text, id, self.sink.config.timeout)
        if len(self.audience.addresses) > 1:
            await self.sink.around.collecting.reached(box, bundle, address.digest)
        return len(f"{title}{text}".encode())

    def _whole(self, bundle: Bundle, words: Mapping[str, Words]) -> Mapping[str, Words]:
        """What a bundle says, in each medium: one message as it is, many as a list."""
        if bundle.count == 1 and bundle.mine:
            return words
        first = [_BUNDLE.decode(text) for text in bundle.texts if text]
        heading = f"{bundle.count} messages to {self.shipment.delivery.target}"
        found = {}
        for name, medium in self.audience.media.items():
            messages = [_in(one, name, medium.data) for one in first]
            single, room = bundle.count == 1 and messages, self.audience.room(name)
            found[name] = messages[0] if single else together(heading, messages, bundle.count, medium, room)
        return found


def _packed(audience: Audience, words: Mapping[str, Words]) -> bytes:
    """What others need to send the message with theirs."""
    if audience.config.collect is None:
        return b""
    return msgspec.json.encode({name: kept(one, audience.media[name]) for name, one in words.items()})


def _in(message: Mapping[str, Words], medium: str, data: Any) -> Words:
    """The message in a medium; kept by a sink that had others, it is escaped whole."""
    if medium in message:
        return message[medium]
    other = next(iter(message.values()))
    return msgspec.structs.replace(other, text=data(other.text), link=data(other.link))


async def _log(document: Document) -> str:
    """The last part of the log."""
    end = b""
    async for chunk in document.chunks:
        end = (end + chunk)[-_READ_MOST:]
    return end.decode(errors="replace")


def _urgency(trouble: BaseException) -> int:
    """What is worth another try comes first: the others are then told again, too."""
    order: tuple[type[BaseException], ...] = (NotYet, Transient, WorkError)
    return next((index for index, kind in enumerate(order, 1) if isinstance(trouble, kind)), 0)


async def _reach(name: str, host: str, port: int, timeout: float) -> None:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as exc:
        said = f"{name} cannot be reached at port {port} of its host: is its address right, is it up?"
        raise Transient(Reason.TARGET_UNAVAILABLE, said) from exc
    writer.close()
