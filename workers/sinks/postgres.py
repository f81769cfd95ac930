"""Writes items as rows of a Postgres table. Exactly once: each chunk and our place in the stream are one transaction.

A table grows a column for each top-level member of the items, or keeps each item whole in one column (`columns: json`).
Columns that we make have the type of their first value: numbers `numeric`, exact; texts `text`; `true` and `false`
`boolean`; lists and objects `jsonb`. A member that has only been null so far has no column yet. A `text` column takes
any value, as its JSON text; a value that does not fit its column stands in `_more`, under its name, a number that
`numeric` cannot hold (`1e200000`) as text. In a table of your own with other types, Postgres decides what fits them.
Where columns are not made, an item with a value that does not fit is rejected (`freeze`), or the value is left out and
counted (`drop_extra`).

Postgres cannot hold `\\u0000` and half of a surrogate pair: they become the six characters of their escape. Items that
contain one are counted in the worker's log (`postgres.odd`). With `columns: json` the item is `jsonb`, which keeps
neither the order of members nor blanks; a column `item` of the type `json`, in a table of your own, keeps every byte.

A turn begins by taking back what the one before wrote without anybody knowing: rows behind the ledger's place. A replay
takes back all that its own finish of the run had brought to this target; in `upsert` it writes it again. In the schema
the table `_runrelay_checkpoints` says how far each stream got and who writes it; a writer whose place was taken stops.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
from pydantic import AfterValidator, BaseModel, Field, SecretStr

from config.contracts.document import Document, Glimpse
from config.contracts.errors import WorkError
from config.contracts.sink import About, Batch, Shipment, Surroundings, Taken, Writer
from config.units import Duration
from workers.rows import TableSink, TableTarget
from workers.sinks._postgres_errors import lost, no_right, rights, verdict
from workers.sinks._postgres_preview import previewed
from workers.sinks._postgres_stream import Stream
from workers.sinks._postgres_table import Table

TAKES = frozenset({"items", "requests"})
WHOLE = False
ABOUT = About(
    promise="exactly once: a chunk and the place behind it are one transaction",
    tested="PostgreSQL 18; made for PgBouncer's `transaction` mode, but not tested with it; not on services that only"
    " speak its protocol",
    example="""
sinks:
  warehouse: {type: postgres, url: "${DATABASE_URL}", schema: scrapes}
routes:
  - name: products
    to: [{sink: warehouse, table: products, mode: upsert, key: [url]}]
""",
    extra="postgres",
    synonyms=("postgresql",),
)

#: Connections of one worker to one server, at most.
MOST = 8
#: Seconds until a server that does not take a connection counts as unreachable.
_CONNECTING = 10.0
#: Seconds for looking whether a transaction went through, and for taking leave.
_SHORT = 5.0

T = TypeVar("T")
Work = Callable[[Any], Awaitable[T]]


def _url(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        sound = parts.scheme in {"postgres", "postgresql"} and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ValueError("it looks like postgresql://user:password@host:5432/database, special characters as %40")
    return url


def _schema(name: str) -> str:
    if not name or len(name.encode()) > 63 or not name.isprintable() or name.startswith("pg_"):
        raise ValueError("a schema's name has at most 63 bytes and does not begin with `pg_`")
    return name


class Config(TableSink, frozen=True):
    """Options of a Postgres sink."""

    url: Annotated[SecretStr, AfterValidator(_url)] = Field(
        description="Where the database is, and as whom: `postgresql://user:password@host:5432/database`, for an "
        "encrypted connection with `?sslmode=verify-full`."
    )
    schema_: Annotated[str, AfterValidator(_schema)] = Field(
        "public", alias="schema", description="The schema of its tables; made if it is missing."
    )
    timeout: Duration = Field(
        30.0,
        ge=1,
        le=80,
        description="For one chunk. Raise it where a replay has to take back millions of rows.",
    )


class Target(TableTarget, frozen=True):
    """Options of a target: its table."""


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["PostgresSink"]:
    """`around` is not used: a chunk waits in memory. Connections are made as they are needed, and anew when they broke.

    No statement is prepared under a name, so that a pooler between us and the server may hand out other connections.
    """
    pool = await asyncpg.create_pool(
        config.url.get_secret_value(),
        min_size=0,
        max_size=MOST,
        timeout=_CONNECTING,
        statement_cache_size=0,
        reset=_nothing,
    )
    try:
        yield PostgresSink(pool, config)
    finally:
        with suppress(TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with asyncio.timeout(_SHORT):
                await pool.close()
        pool.terminate()


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """The statement and its rows."""
    assert isinstance(shipment.options, TableTarget)
    assert isinstance(what, Batch)
    yield from previewed(Table(config.schema_, shipment.options), shipment, what)


class PostgresSink:
    """One database, and a few connections to it that all deliveries share."""

    def __init__(self, pool: Any, config: Config) -> None:
        self.pool, self.schema, self.patience = pool, config.schema_, config.timeout
        self.url = config.url.get_secret_value()

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        table = self._table(shipment.options)
        stream = Stream(table, shipment, self.patience)
        await self.run(table, lambda db: stream.start(db, position))
        yield _PostgresWriter(self, stream)

    async def check(self, options: BaseModel) -> None:
        table = self._table(options)
        await self.run(table, table.check)

    async def run(self, table: Table, work: Work[T]) -> T:
        """Work with a connection, for as long as a step may last. Raises WorkError."""
        try:
            return await self.attempt(work, self.patience)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as exc:
            raise await self._verdict(exc, table) from exc

    async def attempt(self, work: Work[T], patience: float) -> T:
        async with asyncio.timeout(patience), self.pool.acquire() as db:
            try:
                return await work(db)
            except (asyncio.CancelledError, OSError):
                db.terminate()  # asking it to stop may take as long as what it was doing
                raise
            except (asyncpg.PostgresError, WorkError):
                await _undo(db)
                raise

    async def _verdict(self, error: Exception, table: Table) -> WorkError:
        if no_right(error):
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                return await self.attempt(lambda db: rights(db, table, error), _SHORT)
        return verdict(error, self.url)

    def _table(self, options: BaseModel) -> Table:
        assert isinstance(options, TableTarget)
        return Table(self.schema, options)


class _PostgresWriter:
    """One stream. It has a connection while it works."""

    def __init__(self, sink: PostgresSink, stream: Stream) -> None:
        self.sink, self.stream = sink, stream

    @property
    def position(self) -> dict[str, Any] | None:
        return self.stream.position

    async def items(self, batch: Batch) -> Taken:
        try:
            return await self.sink.run(self.stream.table, lambda db: self.stream.write(db, batch))
        except WorkError as error:
            if lost(error.__cause__) and (taken := await self._arrived()):
                return taken
            raise

    async def document(self, document: Document) -> Taken:
        raise TypeError("a table holds no documents")

    async def publish(self) -> Taken:
        return await self.sink.run(self.stream.table, self.stream.end)

    async def _arrived(self) -> Taken | None:
        """What was committed although the answer got lost."""
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            return await self.sink.attempt(self.stream.arrived, _SHORT)
        return None


async def _undo(db: Any) -> None:
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        if db.is_in_transaction():
            await db.execute("ROLLBACK")


async def _nothing(connection: Any) -> None:
    """All settings end with their transaction."""
