"""One table of a SQLite database as one stream of one delivery fills it. Everything here blocks."""

import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog

from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Rejected, Shipment, Taken
from workers.rows import ITEM, STAMPS, Columns, TableTarget, Unfit, decoded, missing, read

log = structlog.get_logger("runrelay.sqlite")
Value = int | float | str | None

#: Seconds to wait for another program that writes, until the try counts as failed.
PATIENCE = 20.0
#: Our place in a stream is forgotten when nobody wrote to it for so long.
_KEPT = timedelta(days=90)
_CHECKPOINTS = """
CREATE TABLE IF NOT EXISTS _runrelay_checkpoints (
  delivery TEXT, stream TEXT, holder TEXT, batches INTEGER, next_item INTEGER, at TEXT, PRIMARY KEY (delivery, stream)
) WITHOUT ROWID"""


class Table:
    """A connection and the table behind it. All calls come from one thread, and raise sqlite3.Error.

    Attributes:
        position: the ledger's `{"item": number of the next row}`; None at the first row.
    """

    def __init__(self, path: Path, shipment: Shipment, *, fsync: bool) -> None:
        assert isinstance(shipment.options, TableTarget)
        self.path, self.target, self.fsync = path, shipment.options, fsync
        self.name = _quoted(self.target.table)
        delivery = shipment.delivery
        self.stream = (delivery.id, shipment.stream)
        self.origin = (delivery.run_id, delivery.life, f"{delivery.route}/{delivery.target}", shipment.stream)
        self.replay = delivery.generation > 0
        self.holder = uuid.uuid4().hex
        self.position: dict[str, Any] | None = None
        self._begun = self._fresh = False
        self._connection: sqlite3.Connection | None = None

    def start(self, position: Mapping[str, Any] | None) -> None:
        """Open the file and become the stream's writer."""
        self._connection = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        self._durable()
        with self._transaction() as db:
            db.execute(_CHECKPOINTS)
            self._fresh = position is None and not self.replay and self._place("holder") is None
            if position is not None and not self._reaches(position):
                log.warning("sqlite.lost", file=self.path.name, table=self.target.table)
                position = None
            db.execute(
                "INSERT INTO _runrelay_checkpoints VALUES (?, ?, ?, 0, 0, ?)"
                " ON CONFLICT DO UPDATE SET holder = excluded.holder",
                (*self.stream, self.holder, _now()),
            )
        self.position = None if position is None else dict(position)

    def write(self, batch: Batch) -> Taken:
        """One batch and our place behind it, in one transaction. Raises WorkError, too."""
        items = list(zip(batch.numbers, batch.items(), strict=False))
        behind = items[-1][0] + 1 if items else batch.offset
        rejected, out = list[Rejected](), 0
        with self._transaction() as db:
            self._begin()
            known = self._known(batch)
            if not known:
                before = db.total_changes
                rejected = self._insert(items)
                out = db.total_changes - before
                self._reach(batch.index + 1, behind)
        self._begun = True
        self.position = {"item": behind}
        rows = len(items) - len(rejected) if known or self.target.mode == "upsert" else out
        return Taken(rows=rows, out=out, bytes=len(batch.lines), position=self.position, rejected=tuple(rejected))

    def end(self) -> Taken:
        """All rows are there already. A stream without any makes its table, and takes back what a replay replaces."""
        with self._transaction() as db:
            self._begin()
            if self.target.grows:
                self._columns()
            db.execute("DELETE FROM _runrelay_checkpoints WHERE at < ?", (_now(_KEPT),))
        self._begun = True
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError("the database is not open")
        return self._connection

    def _durable(self) -> None:
        """A write-ahead log lets others read while we write (sqlite.org/wal.html). Any other mode is as safe, for
        instance where somebody else has the file open just now."""
        if self._db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            with suppress(sqlite3.OperationalError):
                self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {'FULL' if self.fsync else 'NORMAL'}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing. It begins as a writer: one that began as a reader can be told it came too late."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

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

    def _reach(self, batches: int, item: int) -> None:
        self._db.execute(
            "UPDATE _runrelay_checkpoints SET batches = ?, next_item = ?, at = ? WHERE delivery = ? AND stream = ?",
            (batches, item, _now(), *self.stream),
        )

    def _known(self, batch: Batch) -> bool:
        """Without a stamp rows cannot be taken back: then a batch that was written is left as it is."""
        return not self.target.stamp and batch.index < (self._place("batches") or 0)

    def _begin(self) -> None:
        """Raises Transient if somebody else has begun to write this stream: our lease must have run out meanwhile.

        In the first transaction of a turn, take back rows behind the ledger's place, whichever generation wrote them.
        In `upsert` they are simply written again.
        """
        if self._place("holder") != self.holder:
            raise Transient(Reason.TARGET_UNAVAILABLE, f"another worker is writing to {self.target.table}")
        if self._begun or self._fresh or self.target.mode == "upsert" or missing(self._table_columns(), STAMPS):
            return
        self._db.execute(
            f"DELETE FROM {self.name}"  # noqa: S608  # a name that passed the pattern
            " WHERE _run_id = ? AND _finished_at = ? AND _target = ? AND _stream = ? AND _item >= ?",
            (*self.origin, self.position["item"] if self.position else 0),
        )

    # the table

    def _table_columns(self) -> dict[str, bool]:
        """Column → whether an upsert may empty it. None at all: there is no such table."""
        found = self._db.execute(f"PRAGMA table_info({self.name})").fetchall()
        return {name: not (needed or default is not None or key) for _, name, _, needed, default, key in found}

    def _columns(self) -> Columns:
        """Those of the table, which is made if it may be. Raises Permanent if it may not."""
        known = self._table_columns()
        ours = [*(STAMPS if self.target.stamp else ()), *self.target.key]
        lacking = missing(known, [*ours, *([ITEM] if self.target.columns == "json" else [])])
        if self.target.grows:
            self._make(lacking)
            self._index()
        elif lacking or not known:
            raise Permanent(Reason.TARGET_REFUSED, _advice(self.target.table, lacking, exists=bool(known)))
        return Columns(self._table_columns(), self.target)

    def _make(self, columns: Sequence[str]) -> None:
        """Columns have no type, so that every value stays what it is."""
        if columns and not self._table_columns():
            self._db.execute(f"CREATE TABLE {self.name} ({', '.join(map(_quoted, columns))})")
            return
        for name in columns:
            self._db.execute(f"ALTER TABLE {self.name} ADD COLUMN {_quoted(name)}")

    def _index(self) -> None:
        """No row twice; and what a later turn takes back is found without reading the whole table."""
        upsert = self.target.mode == "upsert"
        unique = self.target.key if upsert else STAMPS[:5] if self.target.stamp else ()
        if not unique:
            return
        name = "_".join(["_runrelay", self.target.table, *(unique if upsert else ["origin"])])
        columns = ", ".join(map(_quoted, unique))
        try:
            self._db.execute(f"CREATE UNIQUE INDEX IF NOT EXISTS {_quoted(name)} ON {self.name} ({columns})")
        except sqlite3.IntegrityError:
            said = f"{self.target.table} has rows with the same {', '.join(unique)}: remove all but one of each"
            raise Permanent(Reason.TARGET_REFUSED, said) from None

    # rows

    def _insert(self, items: Sequence[tuple[int, bytes]]) -> list[Rejected]:
        """Put the items in, one row each. Returns what cannot be one."""
        columns = self._columns()
        rows, rejected = [], []
        for number, item in items:
            try:
                rows.append((number, _row(item, columns)))
            except Unfit as exc:
                rejected.append(Rejected(number, str(exc)))
        self._make(columns.new)
        rejected += self._execute(rows)
        return sorted(rejected, key=lambda one: one.offset)

    def _execute(self, rows: Sequence[tuple[int, dict[str, Value]]]) -> Iterator[Rejected]:
        names, now = self._names(rows), _now()
        statement = self._statement(names)
        for number, row in rows:
            stamps = (*self.origin, number, now) if self.target.stamp else ()
            try:
                self._db.execute(statement, [*stamps, *map(row.get, names)])
            except (sqlite3.IntegrityError, sqlite3.DataError) as exc:
                if not self._db.in_transaction:  # the table's own rule undid the whole batch
                    raise
                yield Rejected(number, str(exc)[:200])

    def _names(self, rows: Sequence[tuple[int, Mapping[str, Value]]]) -> list[str]:
        """The columns that rows are written to. An upsert empties those that its item does not have."""
        used = dict.fromkeys(name for _, row in rows for name in row)
        if self.target.mode == "upsert":
            used |= dict.fromkeys(name for name, may in self._table_columns().items() if may and name not in STAMPS)
        return list(used)

    def _statement(self, names: Sequence[str]) -> str:
        every = [*(STAMPS if self.target.stamp else ()), *names]
        columns, marks = ", ".join(map(_quoted, every)), ", ".join("?" * len(every))
        insert = f"INSERT INTO {self.name} ({columns}) VALUES ({marks})"  # noqa: S608  # quoted names, values apart
        if self.target.mode == "append":
            return insert
        keys = ", ".join(map(_quoted, self.target.key))
        changed = ", ".join(f"{name} = excluded.{name}" for name in map(_quoted, every))
        older = f"{self.name}._finished_at IS NULL OR {self.name}._finished_at <= excluded._finished_at"
        return f"{insert} ON CONFLICT ({keys}) DO UPDATE SET {changed} WHERE {older}"


def _row(item: bytes, columns: Columns) -> dict[str, Value]:
    """Column → value of one item. Raises Unfit."""
    target = columns.target
    whole: dict[str, Value] = {ITEM: decoded(item)} if target.columns == "json" else {}
    if whole and not target.key:
        return whole
    row = whole | {name: value(written) for name, written in columns.of(read(item)).items()}
    if not row and not target.stamp:
        raise Unfit("it has nothing that could stand in a row")
    return row


def value(written: bytes) -> Value:
    """A JSON text as SQLite's own value, where there is one that says the same."""
    match written[:1]:
        case b"n":
            return None
        case b"t" | b"f":
            return int(written == b"true")
        case b'"':
            return _text(written)
        case b"{" | b"[":
            return written.decode()
        case _:
            return _number(written.decode())


def _text(written: bytes) -> str:
    try:
        text: str = msgspec.json.decode(written, type=str)
    except msgspec.DecodeError:  # half of a surrogate pair
        return written.decode()
    return written.decode() if "\0" in text else text


def _number(written: str) -> int | float | str:
    if written.lstrip("-").isdecimal():
        number = int(written) if len(written) <= 20 else 1 << 64
        return number if -(1 << 63) <= number < 1 << 63 else written
    real = float(written)
    return written if real in {float("inf"), float("-inf")} else real


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _now(ago: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) - ago).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _advice(table: str, lacking: Sequence[str], *, exists: bool) -> str:
    if not exists:
        return f"there is no table {table}: create it, or let `columns: evolve` do so"
    change = "; ".join(f"ALTER TABLE {table} ADD COLUMN {name}" for name in lacking)
    return f"the table {table} lacks columns: {change} (those that begin with `_` are left out with `stamp: false`)"
