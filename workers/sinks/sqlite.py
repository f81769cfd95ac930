"""Writes items as rows of a SQLite database. Exactly once: each batch and our place in the stream are one transaction.

A table grows a column for each top-level member of the items, or keeps each item whole (`columns: json`). Numbers,
texts and null stay what they are, `true` and `false` become 1 and 0, lists and objects are their JSON text. So are
texts that SQLite cannot hold (with `\\u0000`, or half of a surrogate pair), and numbers beyond 64 bits their digits.

A turn begins by taking back what the one before wrote without anybody knowing: rows behind the ledger's place. A replay
takes back all that its own finish of the run had brought to this target, and `mode: replace_run` what any finish of the
run had. In the database the table
`_runrelay_checkpoints` says how far each stream got and who writes it; a writer whose place was taken stops.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from config.contracts.document import Glimpse
from config.contracts.errors import Forbidden, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import About, Batch, Shipment, Surroundings, Writer
from workers.rows import TableSink, TableTarget
from workers.sinks._sqlite_table import PATIENCE, SqliteTable
from workers.sinks._table_writer import TableWriter

TAKES = frozenset({"items", "requests"})
WHOLE = False
ABOUT = About(
    promise="exactly once: a batch and the place behind it are one transaction",
    tested="SQLite 3.40; not on network file systems, where its locks do not hold",
    example="""
sinks:
  books: {type: sqlite, path: results/shop.db}
routes:
  - name: products
    to: [{sink: books, table: products, mode: upsert, key: [url]}]
""",
)


class Config(TableSink, frozen=True):
    """Options of a SQLite sink."""

    path: Path = Field(description="The database file; made if it is missing, with its folder.")
    fsync: bool = Field(True, description="Whether a batch survives power loss, and not only a crash of ours.")


class Target(TableTarget, frozen=True):
    """Options of a target: its table."""


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["SqliteSink"]:
    """`around` is not used: a batch is staged in the database's own log."""
    yield SqliteSink(config.path.resolve(), fsync=config.fsync)


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """The statement and its rows."""
    assert isinstance(shipment.options, TableTarget)
    assert isinstance(what, Batch)
    yield from SqliteTable(config.path, shipment.options, fsync=config.fsync).preview(shipment, what)


class SqliteSink:
    """One database file."""

    def __init__(self, path: Path, *, fsync: bool) -> None:
        self.path, self.fsync = path, fsync

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        async with self._writer(shipment.options) as writer:
            await writer.run(lambda: writer.table.start(shipment, position))
            yield writer

    async def check(self, options: BaseModel) -> None:
        async with self._writer(options) as writer:
            await writer.run(writer.table.check)

    @asynccontextmanager
    async def _writer(self, options: BaseModel) -> AsyncIterator[TableWriter[sqlite3.Error]]:
        assert isinstance(options, TableTarget)
        writer = TableWriter(SqliteTable(self.path, options, fsync=self.fsync), sqlite3.Error, verdict)
        try:
            yield writer
        finally:
            await asyncio.shield(writer.close())


_ACCESS = "let the worker write the file and its folder"
_UNSOUND = "move it away, or put a sound database there"
_BUSY = f"another program has been writing to it for {PATIENCE:.0f} s"
#: SQLite's primary result codes (sqlite.org/rescode.html): what follows, and the cure. Others pass by themselves:
#: trouble with the disk, a schema that changed under our hands.
_VERDICTS: dict[int, tuple[type[WorkError], str]] = {
    sqlite3.SQLITE_BUSY: (Transient, _BUSY),
    sqlite3.SQLITE_LOCKED: (Transient, _BUSY),
    sqlite3.SQLITE_FULL: (Transient, "make room on its disk"),
    sqlite3.SQLITE_READONLY: (Unauthorized, _ACCESS),
    sqlite3.SQLITE_PERM: (Unauthorized, _ACCESS),
    sqlite3.SQLITE_CANTOPEN: (Unauthorized, _ACCESS),
    sqlite3.SQLITE_AUTH: (Unauthorized, _ACCESS),
    sqlite3.SQLITE_NOTADB: (Unauthorized, _UNSOUND),
    sqlite3.SQLITE_CORRUPT: (Unauthorized, _UNSOUND),
    sqlite3.SQLITE_ERROR: (Forbidden, ""),
    sqlite3.SQLITE_CONSTRAINT: (Forbidden, ""),
    sqlite3.SQLITE_TOOBIG: (Permanent, ""),
}


def verdict(exc: sqlite3.Error, file: str) -> WorkError:
    """What happens next after SQLite said no."""
    kind, cure = _VERDICTS.get(getattr(exc, "sqlite_errorcode", -1) & 0xFF, (Transient, ""))
    reason = Reason.TARGET_UNAVAILABLE if kind is Transient else Reason.TARGET_REFUSED
    return kind(reason, ": ".join(filter(None, (f"{file}: {exc}"[:200], cure))))
