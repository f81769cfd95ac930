"""Adds items and documents to a stream of Redis or Valkey, as entries. Exactly once.

An entry has the fields `data` (the item exactly as it was stored, or a JSON list of a batch's items), `content-type`,
`runrelay-id`, `runrelay-run`, `runrelay-actor` and where else it comes from. One script adds entries and moves our
place in a hash beside the stream, `runrelay:{<stream>}:<delivery>:…`, which is kept for 30 days: what is sent again is
there already.

That server promises as much as its own disk does: with `appendonly yes` and `appendfsync always` an entry that counts
survives a crash; with the usual `everysec` its last second may be lost (a delivery that is still under way sends it
again), and a fail-over to a replica may lose more. `maxlen` trims what nobody has read as well.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, SecretStr
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterCrossSlotError,
    ConnectionError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from config.contracts.document import Document, Glimpse
from config.contracts.errors import Forbidden, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import About, Batch, Rejected, Shipment, Surroundings, Taken, Writer
from config.language.template import Template
from config.units import Size
from workers.sinks import _message
from workers.sinks._message import Message, MessageTarget, letter, messages, previewed, sound
from workers.sinks._redis_ledger import Place

TAKES = frozenset({"items", "records", "requests", "run", "log"})
WHOLE = False
ALERTS = True
NAMES = _message.NAMES
ABOUT = About(
    promise="exactly once: entries and our place behind them are one script; durable as far as that server's disk is",
    tested="Valkey 9.1; not Redis Cluster, whose redirects are not followed",
    example="""
sinks:
  events: {type: redis_stream, url: "redis://relay@cache.example.com:6379/0", password: "${CACHE_PASSWORD}"}
routes:
  - name: products
    when: {actor: acme/shop, status: SUCCEEDED}
    to: [{sink: events, stream: products, maxlen: 100000}]
""",
)

#: Seconds for a connection, for one answer, and for a whole call.
CONNECTING, ANSWERING, STEP = 5.0, 15.0, 25.0
CONNECTIONS = 16
#: Errors of a server in trouble that passes, by their first word (redis.io: "Redis serialization protocol", errors).
_PASSING = ("LOADING", "MISCONF", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS", "UNBLOCKED")
#: What a script that meets a missing right breaks off with: Redis 6.2, and later ones.
_NOT_ALLOWED = ("can't run this command", "ACL failure")


def _usable_url(url: str) -> str:
    parse_url(url)
    return url


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of a Redis stream sink."""

    url: Annotated[str, AfterValidator(_usable_url)] = Field(
        description="The server: `redis://`, `rediss://` (TLS) or `unix://`, with user and number of the database.",
        examples=["url: rediss://relay@cache.example.com:6379/0"],
    )
    password: SecretStr | None = Field(None, description="Of the user in `url`, or of the server.")
    max_message: Size = Field(32 * 1024**2, gt=0, description="An item or document that is larger is rejected.")


class Target(MessageTarget, frozen=True):
    """Options of a target: its stream."""

    stream: Template = Field(description="Key of the stream; made by the first entry.", examples=["stream: products"])
    maxlen: int | None = Field(
        None, gt=0, description="About how many entries the stream keeps: older ones are trimmed, read or not."
    )


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["RedisStreamSink"]:
    """Connections are made as they are needed."""
    more = {"password": config.password.get_secret_value()} if config.password else {}
    pool = BlockingConnectionPool.from_url(
        config.url,
        **more,
        max_connections=CONNECTIONS,
        timeout=ANSWERING,
        socket_connect_timeout=CONNECTING,
        socket_timeout=ANSWERING,
        retry=Retry(NoBackoff(), 1),
        retry_on_error=[ConnectionError],
    )
    async with Redis(connection_pool=pool) as redis:
        try:
            yield RedisStreamSink(redis, config)
        finally:
            await pool.disconnect()


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """Each message: where it goes, its headers and its body."""
    options = shipment.options
    assert isinstance(options, Target)
    stream = options.stream.render(shipment.scope)

    def place(message: Message) -> str:
        return f"entry of the stream {stream}"

    yield from previewed(what, shipment, None, most=config.max_message, place=place)


class RedisStreamSink:
    """One database of one server."""

    def __init__(self, redis: Redis, config: Config) -> None:
        self.redis, self.most = redis, config.max_message

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        options = shipment.options
        assert isinstance(options, Target)
        writer = _Writer(Place(self.redis, options.stream.render(shipment.scope), shipment, options.maxlen), self.most)
        await writer.start(shipment, position)
        yield writer

    async def check(self, options: BaseModel) -> None:
        """An entry with an id that no entry can have is refused, but only to those who may add one."""
        assert isinstance(options, Target)
        stream = str(options.stream)
        async with _step(stream):
            await self.redis.eval("return 1", 0)  # type: ignore[misc]  # typed for both kinds of clients
            if options.stream.roots:
                return
            if await self.redis.type(stream) not in {b"stream", b"none"}:
                raise _other_type(stream)
            try:
                await self.redis.xadd(stream, {"data": ""}, id="0-0", nomkstream=True)
            except ResponseError as exc:
                if "greater than 0-0" not in str(exc):
                    raise


class _Writer:
    """One stream.

    Attributes:
        documents: how many documents of it were handed over.
    """

    def __init__(self, place: Place, most: int) -> None:
        self.place, self.most = place, most
        self.position: dict[str, Any] | None = None
        self.documents = 0

    async def start(self, shipment: Shipment, position: dict[str, Any] | None) -> None:
        self.shipment = shipment
        async with _step(self.place.target):
            await self.place.start()
        if position is not None and self.place.reached >= position.get("reached", 0):
            self.position, self.documents = position, position.get("documents", 0)

    async def items(self, batch: Batch) -> Taken:
        rejected = list[Rejected]()
        return await self._add(sound(messages(batch, self.shipment, most=self.most), rejected), rejected)

    async def document(self, document: Document) -> Taken:
        made = await letter(document, self.shipment, number=self.documents, most=self.most)
        self.documents += 1
        if isinstance(made, Rejected):
            return await self._add([], [made])
        return await self._add([made], [], documents=True)

    async def publish(self) -> Taken:
        """All entries are there already."""
        self._moved()
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    async def _add(self, found: Iterable[Message], rejected: list[Rejected], *, documents: bool = False) -> Taken:
        async with _step(self.place.target):
            added = await self.place.add(found, documents=documents)
        self._moved()
        return Taken(added.rows, added.messages, added.bytes, self.position, tuple(rejected))

    def _moved(self) -> None:
        self.position = {"reached": self.place.reached, "documents": self.documents}


@asynccontextmanager
async def _step(stream: str) -> AsyncIterator[None]:
    """What the server does, in time. Errors become what happens next."""
    try:
        async with asyncio.timeout(STEP):
            yield
    except (RedisError, OSError) as exc:
        raise verdict(exc, stream) from exc


def verdict(exc: RedisError | OSError, stream: str) -> WorkError:
    """What happens next after the server said no, or nothing. The client wraps what it hears while it connects."""
    if exc.args and isinstance(exc.args[0], RedisError):
        return verdict(exc.args[0], stream)
    match exc:
        case AuthenticationError():
            cure = "mend `password`, or the user in `url`"
            return Unauthorized(Reason.TOKEN_REFUSED, f"the server refuses our user or password: {cure}")
        case ConnectionError() | TimeoutError() | OSError():
            return _trouble(f"does not answer: {_line(exc) or 'it took too long'}: is it up? If so, mend `url`")
        case AskError() | ClusterCrossSlotError():
            cure = "let `url` name the node that holds its slot, or a proxy"
            return Unauthorized(Reason.TARGET_REFUSED, f"{stream!a} lies on another node of a cluster: {cure}")
    return _refusal(exc, stream)


def _refusal(exc: RedisError, stream: str) -> WorkError:
    said = _line(exc)
    if isinstance(exc, ReadOnlyError):
        return _trouble("is a replica that may not be written to: let `url` name the primary")
    if isinstance(exc, OutOfMemoryError) or "OOM command not allowed" in said:
        return _trouble("has reached its `maxmemory`: raise it, or trim streams with `maxlen`")
    if said.startswith("WRONGTYPE"):
        return _other_type(stream)
    if isinstance(exc, NoPermissionError) or any(words in said for words in _NOT_ALLOWED):
        return Unauthorized(Reason.TARGET_REFUSED, _grant(stream))
    if said.startswith(_PASSING):
        return _trouble(f"cannot take it now: {said}")
    return Permanent(Reason.TARGET_REFUSED, f"the server refuses entries of {stream!a}: {said}"[:300])


def _trouble(what: str) -> Transient:
    return Transient(Reason.TARGET_UNAVAILABLE, f"the server {what}")


def _other_type(stream: str) -> Forbidden:
    cure = "name another `stream`, or move that key away (RENAME)"
    return Forbidden(Reason.TARGET_REFUSED, f"the key {stream!a} is no stream: {cure}")


def _grant(stream: str) -> str:
    cure = "+eval +evalsha +script|load +xadd +type +hset +hget +hexists +pexpire"
    return f"our user may not add to {stream!a}: ACL SETUSER <user> ~{ascii(stream)[1:-1]} ~runrelay:* {cure}"[:300]


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())[:200]
