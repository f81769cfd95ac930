"""Writes items as rows of a SQLite database. Exactly once: each batch and our place in the stream are one transaction.

A table grows a column for each top-level member of the items, or keeps each item whole (`columns: json`). Numbers,
texts and null stay what they are, `true` and `false` become 1 and 0, lists and objects are their JSON text. So are
texts that SQLite cannot hold (with `\\u0000`, or half of a surrogate pair), and numbers beyond 64 bits their digits.

A turn begins by taking back what the one before wrote without anybody knowing: rows behind the ledger's place. A replay
takes back all that its own finish of the run had brought to this target. In the database the table
`_runrelay_checkpoints` says how far each stream got and who writes it; a writer whose place was taken stops.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field

from config.contracts.document import Document
from config.contracts.errors import Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Shipment, Surroundings, Taken, Writer
from workers.rows import TableTarget
from workers.sinks._sqlite_table import PATIENCE, Table
from workers.staging import blocking, disk_verdict

TAKES = frozenset({"items", "requests"})
WHOLE = False

T = TypeVar("T")


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of a SQLite sink."""

    path: Path = Field(description="The database file; made if it is missing, with its folder.")
    fsync: bool = Field(True, description="Whether a batch survives power loss, and not only a crash of ours.")


class Target(TableTarget, frozen=True):
    """Options of a target: its table."""


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["SqliteSink"]:
    """`around` is not used: a batch is staged in the database's own log."""
    await blocking(lambda: config.path.parent.mkdir(parents=True, exist_ok=True))
    yield SqliteSink(config.path.resolve(), fsync=config.fsync)


class SqliteSink:
    """One database file."""

    def __init__(self, path: Path, *, fsync: bool) -> None:
        self.path, self.fsync = path, fsync

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        writer = _SqliteWriter(Table(self.path, shipment, fsync=self.fsync))
        try:
            await writer.run(lambda: writer.table.start(position))
            yield writer
        finally:
            await asyncio.shield(writer.close())


class _SqliteWriter:
    """One stream. Its connection lives in a thread of its own: it may have to wait for the lock of the file, and a call
    that is cancelled comes to its end before the next one begins."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")

    @property
    def position(self) -> dict[str, Any] | None:
        return self.table.position

    async def items(self, batch: Batch) -> Taken:
        return await self.run(lambda: self.table.write(batch))

    async def document(self, document: Document) -> Taken:
        raise TypeError("a table holds no documents")

    async def publish(self) -> Taken:
        return await self.run(self.table.end)

    async def run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self.thread, work)
        except sqlite3.Error as exc:
            raise verdict(exc, self.table.path.name) from exc
        except OSError as exc:
            raise disk_verdict(exc) from exc

    async def close(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self.thread, self.table.close)
        finally:
            self.thread.shutdown(wait=False)


def verdict(exc: sqlite3.Error, file: str) -> WorkError:
    """What happens next after SQLite said no. Its primary result codes: sqlite.org/rescode.html."""
    code: int | None = getattr(exc, "sqlite_errorcode", None)
    said = f"{file}: {exc}"[:300]
    match None if code is None else code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            why = f"another program has been writing to it for {PATIENCE:.0f} s"
            return Transient(Reason.TARGET_UNAVAILABLE, f"{said}: {why}")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_AUTH:
            return Unauthorized(Reason.TARGET_REFUSED, f"{said}: let the worker write the file and its folder")
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            cure = "put a sound database there or move this file away, then `runrelay dlq retry`"
            return Permanent(Reason.TARGET_REFUSED, f"{said}: {cure}")
        case sqlite3.SQLITE_ERROR | sqlite3.SQLITE_CONSTRAINT | sqlite3.SQLITE_TOOBIG:
            return Permanent(Reason.TARGET_REFUSED, said)
        case _:  # a full disk, trouble with it, a schema that changed under our hands
            return Transient(Reason.TARGET_UNAVAILABLE, said)
