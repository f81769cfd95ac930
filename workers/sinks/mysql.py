"""Writes items as rows of a MySQL or MariaDB database. Exactly once: each batch and our place are one transaction.

A table grows a column for each top-level member of the items, of the type of its first value: DECIMAL(65,30), BOOLEAN,
or LONGTEXT for texts, lists and objects (as JSON text). A value that does not fit its column stands, under its name, in
the column `_more`; nothing is cut or rounded. With `columns: json` the item is kept whole, as text.

A turn begins by taking back what the one before wrote without anybody knowing: rows behind the ledger's place. The
table `_runrelay_checkpoints` says how far each stream got and who writes it; a writer whose place was taken stops.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, SecretStr
from pymysql.err import Error

from config.contracts.document import Document, Glimpse
from config.contracts.sink import About, Batch, Shipment, Surroundings, Taken, Writer
from workers.rows import TableSink, TableTarget
from workers.sinks._mysql_preview import previewed
from workers.sinks._mysql_session import Place, Sessions, verdict
from workers.sinks._mysql_table import Table

TAKES = frozenset({"items", "requests"})
WHOLE = False
ABOUT = About(
    promise="exactly once: each batch and our place in the stream are one transaction",
    tested="MariaDB 10.11; MySQL itself was not run",
    example="""
sinks:
  books: {type: mysql, host: db.example.com, user: relay, password: "${DB_PASSWORD}", database: scrapes}
routes:
  - name: products
    when: {actor: acme/shop, status: SUCCEEDED}
    to: [{sink: books, table: products, mode: upsert, key: [url]}]
""",
    extra="mysql",
    synonyms=("mariadb",),
)

T = TypeVar("T")
#: Seconds that one call of a writer may take.
LONGEST = 28.0


class Config(TableSink, frozen=True):
    """Options of a MySQL or MariaDB sink."""

    host: str = Field(min_length=1, description="Name or address of the server.")
    port: int = Field(3306, ge=1, le=65535, description="Its port.")
    user: str = Field(min_length=1, description="Who writes.")
    password: SecretStr = Field(SecretStr(""), description="Of that user.")
    database: str = Field(min_length=1, max_length=64, description="The database; it has to exist.")
    tls: bool = Field(False, description="Whether the connection is encrypted, and the server's certificate checked.")
    ca: Path | None = Field(None, description="File of the authority whose certificate the server has; means `tls`.")


class Target(TableTarget, frozen=True):
    """Options of a target: its table."""


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["MysqlSink"]:
    """Connections are made by the deliveries, and kept for those that follow."""
    tls = ssl.create_default_context(cafile=config.ca) if config.tls or config.ca else None
    place = Place(config.host, config.port, config.user, config.database)
    sessions = Sessions(place, config.password.get_secret_value(), tls)
    try:
        yield MysqlSink(sessions)
    finally:
        sessions.close()


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """The statement with its rows."""
    assert isinstance(shipment.options, TableTarget)
    assert isinstance(what, Batch)
    yield from previewed(shipment.options, shipment, what)


class MysqlSink:
    """One database."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        assert isinstance(shipment.options, TableTarget)
        async with self._table(shipment.options) as table:
            writer = _MysqlWriter(self.sessions.place, table)
            await writer.run(table.start(shipment, position))
            yield writer

    async def check(self, options: Target) -> None:
        """Whether the database lets us in, and the table is as a delivery needs it, or may be made."""
        async with self._table(options) as table:
            await _MysqlWriter(self.sessions.place, table).run(table.check())

    @asynccontextmanager
    async def _table(self, target: TableTarget) -> AsyncIterator[Table]:
        """A table with a session of its own. Raises WorkError if there is none to be had."""
        with _trouble(self.sessions.place):
            session = await self.sessions.take()
        try:
            yield Table(session, target)
        finally:
            self.sessions.give_back(session)


class _MysqlWriter:
    """One stream."""

    def __init__(self, place: Place, table: Table) -> None:
        self.place, self.table = place, table

    @property
    def position(self) -> dict[str, Any] | None:
        return self.table.position

    async def items(self, batch: Batch) -> Taken:
        return await self.run(self.table.write(batch))

    async def document(self, document: Document) -> Taken:
        raise TypeError("a table holds no documents")

    async def publish(self) -> Taken:
        return await self.run(self.table.end())

    async def run(self, work: Awaitable[T]) -> T:
        with _trouble(self.place, self.table.target.table):
            async with asyncio.timeout(LONGEST):
                return await work


@contextmanager
def _trouble(place: Place, table: str = "") -> Iterator[None]:
    try:
        yield
    except (Error, OSError, EOFError) as exc:
        raise verdict(exc, place, table) from exc
