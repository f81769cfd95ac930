"""One table of a database file as one stream of one delivery fills it: what SQLite and DuckDB have in common.

Each batch and our place in the stream are one transaction. Everything here blocks.
"""

import errno
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import structlog

from config.contracts.errors import Forbidden, Transient, Unauthorized
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Rejected, Shipment, Taken
from workers.rows import STAMPS, Columns, TableTarget, missing, origin_of
from workers.sinks import _shown

log = structlog.get_logger("runrelay.table")

Item = tuple[int, bytes]

#: Our place in a stream is forgotten when nobody wrote to it for so long.
_KEPT = timedelta(days=90)
_LONGEST_ADVICE = 190
_CHECKPOINTS = """
CREATE TABLE IF NOT EXISTS _runrelay_checkpoints (
  delivery TEXT, stream TEXT, holder TEXT, next_item BIGINT, "at" TEXT, PRIMARY KEY (delivery, stream)
)"""


class Connection(Protocol):
    """What the connections of both databases can do."""

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Any: ...

    def close(self) -> None: ...


class Column(NamedTuple):
    """A column of a table that is there. `may_be_emptied`: an upsert may write null to it."""

    type: str
    may_be_emptied: bool


class Undone(Exception):
    """Takes a transaction back in which all went well."""


class Table(ABC):
    """A connection and the table behind it. All calls come from one thread, and raise errors of the database.

    Attributes:
        position: the ledger's `{"item": number of the next row}`; None at the first row.
    """

    #: Opens a transaction.
    BEGIN: ClassVar[str]

    def __init__(self, path: Path, target: TableTarget) -> None:
        self.path, self.target = path, target
        self.name = quoted(target.table)
        self.holder = uuid.uuid4().hex
        self.position: dict[str, Any] | None = None
        self._begun = self._fresh = False

    def start(self, shipment: Shipment, position: Mapping[str, Any] | None) -> None:
        """Open the file and become the stream's writer."""
        delivery = shipment.delivery
        self.stream = (delivery.id, shipment.stream)
        self.origin = origin_of(shipment)
        _check_folder(self.path.parent)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._connect()
        self._prepare()
        with self._transaction():
            self._db.execute(_CHECKPOINTS)
            self._fresh = position is None and not delivery.generation and self._place("holder") is None
            if position is not None and not self._reaches(position):
                log.warning("table.lost", file=self.path.name, table=self.target.table)
                position = None
            self._db.execute(
                'INSERT INTO _runrelay_checkpoints (delivery, stream, holder, next_item, "at") VALUES (?, ?, ?, 0, ?)'
                " ON CONFLICT (delivery, stream) DO UPDATE SET holder = excluded.holder",
                (*self.stream, self.holder, now()),
            )
            if not self._table_columns():
                self._reach(0)
        self.position = None if position is None else dict(position)

    def write(self, batch: Batch) -> Taken:
        """One batch and our place behind it, in one transaction. Raises WorkError, too."""
        items = list(zip(batch.numbers, batch.items(), strict=False))
        behind = items[-1][0] + 1 if items else batch.offset
        there, out, rejected = self._put(items, behind)
        self._begun = True
        self.position = {"item": behind}
        rows = len(items) - len(rejected) if self.target.mode == "upsert" else there + out
        return Taken(rows=rows, out=out, bytes=len(batch.lines), position=self.position, rejected=tuple(rejected))

    def end(self) -> Taken:
        """All rows are there already. A stream without any makes its table, and takes back what a replay replaces."""
        with self._transaction():
            self._begin()
            if self.target.grows:
                self._columns()
            self._db.execute('DELETE FROM _runrelay_checkpoints WHERE "at" < ?', (now(_KEPT),))
        self._begun = True
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    def check(self) -> None:
        """Whether the file can be written, and the table is as a delivery needs it, or can be made so. Changes nothing.

        Raises WorkError, and errors of the database.
        """
        _check_folder(self.path.parent)
        if not self.path.exists():
            if not self.target.grows:
                raise self._lacking()
            return
        self._connect()
        with suppress(Undone), self._transaction():
            self._columns()
            raise Undone

    def preview(self, shipment: Shipment, batch: Batch) -> Iterator[str]:
        """What `write` would send, if the table were new, or had all that it needs. The file is not opened."""
        self.origin = origin_of(shipment)
        yield f"table {self.target.table} of {self.path}"
        yield from _shown.stamped(self.target, self.origin)
        yield from self._preview(list(zip(batch.numbers, batch.items(), strict=False)))

    # what each database does in its own way

    @property
    @abstractmethod
    def _db(self) -> Connection:
        """The open connection."""

    @abstractmethod
    def _connect(self) -> None:
        """Open the file, which stays as it is."""

    @abstractmethod
    def _prepare(self) -> None:
        """Whatever a file needs that is going to be written to."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _table_columns(self) -> dict[str, Column]:
        """The table's columns. None at all: there is no such table."""

    @abstractmethod
    def _make(self, columns: Sequence[str]) -> None:
        """Add them to the table, which is made if it is not there yet."""

    @abstractmethod
    def _declared(self, name: str) -> str:
        """A column of ours or of the key, as `ADD COLUMN` has it."""

    @abstractmethod
    def _insert(self, items: Sequence[Item]) -> tuple[int, list[Rejected]]:
        """Put the items in, one row each. Returns how many rows were written, and what cannot be one."""

    @abstractmethod
    def _preview(self, items: Sequence[Item]) -> Iterator[str]:
        """What `_insert` would send."""

    @abstractmethod
    def _unique(self) -> None:
        """See to it that no row is in the table twice. Raises Forbidden if one is."""

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        self._db.execute(self.BEGIN)
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(Exception):
                self._db.execute("ROLLBACK")
            raise

    def _put(self, items: Sequence[Item], behind: int) -> tuple[int, int, list[Rejected]]:
        """Returns how many rows were there already, how many were written, and what cannot be one."""
        with self._transaction():
            self._begin()
            new = self._new(items)
            out, rejected = self._insert(new)
            self._reach(behind)
        return len(items) - len(new), out, rejected

    # our place in the stream

    def _place(self, column: str) -> Any:
        found = self._db.execute(
            f"SELECT {column} FROM _runrelay_checkpoints WHERE delivery = ? AND stream = ?",  # noqa: S608  # our own names
            self.stream,
        ).fetchone()
        return found[0] if found else None

    def _reaches(self, position: Mapping[str, Any]) -> bool:
        """Whether the database has what the ledger knows of: a file from a backup may not."""
        item, known = self._place("next_item"), position.get("item")
        return item is not None and isinstance(known, int) and item >= known and bool(self._table_columns())

    def _reach(self, item: int) -> None:
        self._db.execute(
            'UPDATE _runrelay_checkpoints SET next_item = ?, "at" = ? WHERE delivery = ? AND stream = ?',
            (item, now(), *self.stream),
        )

    def _new(self, items: Sequence[Item]) -> Sequence[Item]:
        """Without a stamp rows cannot be taken back: then those that were written are left as they are."""
        if self.target.stamp:
            return items
        reached = self._place("next_item")
        return [item for item in items if item[0] >= reached]

    def _begin(self) -> None:
        """Raises Transient if somebody else has begun to write this stream: our lease must have run out meanwhile.

        The first transaction of a turn takes back rows behind the ledger's place, whichever generation wrote them.
        """
        if self._place("holder") != self.holder:
            raise Transient(Reason.TARGET_UNAVAILABLE, f"another worker is writing to {self.target.table}")
        if not self._begun and not missing(self._table_columns(), STAMPS):
            self._take_back()

    def _take_back(self) -> None:
        """In `upsert` rows are simply written again. `replace_run` leaves none of the run's other finishes either."""
        run, life, target, stream = self.origin
        item = self.position["item"] if self.position else 0
        if self.target.whole:
            self._db.execute(
                f"DELETE FROM {self.name}"  # noqa: S608  # a name that passed the pattern
                " WHERE _run_id = ? AND _target = ? AND _stream = ? AND NOT (_finished_at = ? AND _item < ?)",
                (run, target, stream, life, item),
            )
        elif self.target.mode == "append" and not self._fresh:
            self._db.execute(
                f"DELETE FROM {self.name}"  # noqa: S608  # a name that passed the pattern
                " WHERE _run_id = ? AND _finished_at = ? AND _target = ? AND _stream = ? AND _item >= ?",
                (*self.origin, item),
            )

    def _unless_newer(self, new: str) -> str:
        """The condition under which a row gives way to the one that SQL calls `new`, in `upsert`."""
        if not self.target.ordered:
            return "TRUE"
        finish, run = f"{self.name}._finished_at", f"{self.name}._run_id"
        return (
            f"({finish} IS NULL OR {finish} < {new}._finished_at"
            f" OR ({finish} = {new}._finished_at AND ({run} IS NULL OR {run} <= {new}._run_id)))"
        )

    # the table

    def _columns(self) -> Columns:
        """Those of the table, which is made if it may be. Raises Forbidden if it may not."""
        lacking = missing(self._table_columns(), self.target.needed)
        if self.target.grows:
            self._make(lacking)
            self._unique()
        elif lacking or not self._table_columns():
            raise self._lacking()
        return Columns(self._table_columns(), self.target)

    def _lacking(self) -> Forbidden:
        known: Collection[str] = self._table_columns() if self.path.exists() else ()
        return Forbidden(Reason.TARGET_REFUSED, self._advice(missing(known, self.target.needed), exists=bool(known)))

    def _advice(self, lacking: Sequence[str], *, exists: bool) -> str:
        """What to do about a table that we may not change."""
        table = self.target.table
        if not exists:
            return f"there is no table {table}: create it, or let `columns: evolve` do so"
        columns = [self._declared(name) for name in lacking]
        change = "; ".join(f"ALTER TABLE {table} ADD COLUMN {one}" for one in columns)
        if len(change) > _LONGEST_ADVICE:
            change = f"ALTER TABLE {table} ADD COLUMN, for each of {', '.join(columns)}"
        without = "`order: none` and `stamp: false`" if self.target.ordered else "`stamp: false`"
        ours = f" (or leave out those that begin with `_`: {without})" if set(lacking) & set(STAMPS) else ""
        return f"the table {table} lacks columns: {change}{'' if self.target.whole else ours}"

    def _doubles(self, names: Sequence[str]) -> Forbidden:
        said = f"{self.target.table} has rows with the same {', '.join(names)}: remove all but one of each"
        return Forbidden(Reason.TARGET_REFUSED, said[:300])

    def _names(self, rows: Iterable[Mapping[str, object]], known: Mapping[str, Column]) -> list[str]:
        """The columns that rows are written to. An upsert empties those that its item does not have."""
        used = dict.fromkeys(name for row in rows for name in row)
        if self.target.mode == "upsert":
            found = known.items()
            used |= dict.fromkeys(name for name, column in found if column.may_be_emptied and name not in STAMPS)
        return list(used)


def quoted(name: str) -> str:
    """A name as SQL writes it, whatever it is."""
    return '"' + name.replace('"', '""') + '"'


def listed(names: Collection[str]) -> str:
    return ", ".join(map(quoted, names))


def now(ago: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) - ago).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _check_folder(folder: Path) -> None:
    """Whether it is there or could be made, and files in it. Raises Unauthorized."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    if not there.is_dir():
        said = f"{there.name} is no folder: move it away, or write `path` differently"
        raise Unauthorized(Reason.TARGET_REFUSED, said)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except FileNotFoundError as exc:  # a file system of another kind, such as /proc
        said = f"no file can be made in {there.name}/: write `path` differently"
        raise Unauthorized(Reason.TARGET_REFUSED, said) from exc
    except OSError as exc:
        if exc.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
            exc.filename = str(there)  # and not that of our try
            raise
        said = f"{there.name}/ may not be written: let the worker write it"
        raise Unauthorized(Reason.TARGET_REFUSED, said) from exc
