"""Writes items as rows of a DuckDB file. Exactly once: each batch and our place in the stream are one transaction.

A table grows a column for each top-level member of the items, of the type of its first value that is not null: texts
are VARCHAR, numbers DOUBLE, `true` and `false` BOOLEAN, objects and lists JSON. Or it keeps each item whole, as text
(`columns: json`). A value that does not fit its column, such as a text where numbers are, or a number that a DOUBLE
would change, is kept under its name in the column `_more`. Tables that you make yourself have the types you like.

A turn begins by taking back what the one before wrote without anybody knowing: rows behind the ledger's place. A replay
takes back all that its own finish of the run had brought to this target, and `mode: replace_run` what any finish of the
run had. In the database the table
`_runrelay_checkpoints` says how far each stream got and who writes it; a writer whose place was taken stops.

DuckDB lets one process at a time open a file that it writes. It is open while deliveries use it, and closed with the
last one: read it then. Several workers take turns, and wait for each other; better give the file to one of them.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel, Field

from config.contracts.document import Glimpse
from config.contracts.errors import Forbidden, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import About, Batch, Shipment, Surroundings, Writer
from config.units import Size
from workers.rows import TableSink, TableTarget
from workers.sinks._duckdb_table import DuckdbTable, told
from workers.sinks._table_writer import TableWriter
from workers.staging import blocking

TAKES = frozenset({"items", "requests"})
WHOLE = False
ABOUT = About(
    promise="exactly once: a batch and the place behind it are one transaction",
    tested="DuckDB 2.0; not with MotherDuck, nor on network file systems",
    example="""
sinks:
  lake: {type: duckdb, path: results/shop.duckdb}
routes:
  - name: products
    to: [{sink: lake, table: products, mode: upsert, key: [url]}]
""",
    extra="duckdb",
)
#: Nothing is fetched from the network, whatever stands in the file; JSON is built in.
_SETTINGS = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "threads": "2"}


class Config(TableSink, frozen=True):
    """Options of a DuckDB sink."""

    path: Path = Field(
        description="The database file; made if it is missing, with its folder.", examples=["path: results/shop.duckdb"]
    )
    memory: Size = Field(
        128 * 1024**2,
        ge=64 * 1024**2,
        description="Most memory that DuckDB uses for the file; what is more goes to a folder under the spool.",
        examples=["memory: 2GiB"],
    )


class Target(TableTarget, frozen=True):
    """Options of a target: its table."""


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["DuckdbSink"]:
    """The file is opened by deliveries, and closed when none of them uses it."""
    await blocking(lambda: around.spool.mkdir(parents=True, exist_ok=True))  # DuckDB makes one folder, not its parents
    path = config.path.resolve()
    spill = around.spool.resolve() / f"duckdb-{hashlib.sha256(bytes(path)).hexdigest()[:16]}"  # nobody else's
    yield DuckdbSink(path, {**_SETTINGS, "memory_limit": f"{config.memory}B", "temp_directory": str(spill)})


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """The statement and its rows."""
    assert isinstance(shipment.options, TableTarget)
    assert isinstance(what, Batch)
    yield from DuckdbTable(config.path, shipment.options, {}).preview(shipment, what)


class DuckdbSink:
    """One database file."""

    def __init__(self, path: Path, settings: dict[str, str]) -> None:
        self.path, self.settings = path, settings

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        async with self._writer(shipment.options) as writer:
            await writer.run(lambda: writer.table.start(shipment, position))
            yield writer

    async def check(self, options: BaseModel) -> None:
        async with self._writer(options) as writer:
            await writer.run(writer.table.check)

    @asynccontextmanager
    async def _writer(self, options: BaseModel) -> AsyncIterator[TableWriter[duckdb.Error]]:
        assert isinstance(options, TableTarget)
        writer = TableWriter(DuckdbTable(self.path, options, self.settings), duckdb.Error, verdict)
        try:
            yield writer
        finally:
            await asyncio.shield(writer.close())


_WAIT, _PERSON = Transient, Unauthorized
#: What DuckDB's lines tell of, before their classes do: what follows, and the cure.
_TOLD: tuple[tuple[str, type[WorkError], str], ...] = (
    (
        r"Could not set lock",
        _WAIT,
        "another process has it open: let one worker write it, and read it between deliveries or in a copy",
    ),
    (r"Permission denied|[Rr]ead-only", _PERSON, "let the worker write the file and its folder"),
    (r"different configuration", _PERSON, "another sink has it open with another `memory`: give both the same"),
    (r"version number", _PERSON, "another version of DuckDB wrote it: pip install -U duckdb"),
    (r"No space left|quota|too large", _WAIT, "make room on its disk"),
    (r"Out of Memory", _WAIT, "raise the sink's `memory`"),
    (
        r"not a valid DuckDB|directory$|[Cc]orrupt|read enough bytes|[Ee]xtension",
        _PERSON,
        "it is no sound DuckDB database: move it away, or put one there",
    ),
)
_TABLES_OWN = (duckdb.CatalogException, duckdb.BinderException, duckdb.IntegrityError, duckdb.DataError)


def verdict(exc: duckdb.Error, file: str) -> WorkError:
    """What happens next after DuckDB said no."""
    said = str(exc).split("\n")[0]
    for pattern, kind, cure in _TOLD:
        if re.search(pattern, said):
            return kind(_reason(kind), f"{file}: {cure}")
    kind = Forbidden if isinstance(exc, _TABLES_OWN) else Transient
    return kind(_reason(kind), f"{file}: {told(exc)}"[:300])


def _reason(kind: type[WorkError]) -> Reason:
    return Reason.TARGET_UNAVAILABLE if kind is Transient else Reason.TARGET_REFUSED
