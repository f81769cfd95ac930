"""A table of a SQLite database, and values as SQLite has them. Everything here blocks."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from config.contracts.sink import Rejected
from workers.rows import ITEM, STAMPS, Columns, TableTarget, Unfit, assumed, decoded, read
from workers.sinks import _shown
from workers.sinks._table import Column, Item, Table, listed, now, quoted

Value = int | float | str | None
#: The item's number, and column → value.
Row = tuple[int, dict[str, Value]]

#: Seconds to wait for another program that writes, until the try counts as failed.
PATIENCE = 20.0


class SqliteTable(Table):
    """Columns have no type, so that every value stays what it is."""

    #: As a writer: a transaction that began as a reader can be told it came too late.
    BEGIN = "BEGIN IMMEDIATE"

    def __init__(self, path: Path, target: TableTarget, *, fsync: bool) -> None:
        super().__init__(path, target)
        self.fsync = fsync
        self._connection: sqlite3.Connection | None = None

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError("the database is not open")
        return self._connection

    def _connect(self) -> None:
        self._connection = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)

    def _prepare(self) -> None:
        """A write-ahead log lets others read while we write (sqlite.org/wal.html). Any other mode is as safe, for
        instance where somebody else has the file open just now."""
        if self._db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            with suppress(sqlite3.OperationalError):
                self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {'FULL' if self.fsync else 'NORMAL'}")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    # the table

    def _table_columns(self) -> dict[str, Column]:
        found = self._db.execute(f"PRAGMA table_info({self.name})").fetchall()
        return {
            name: Column(kind, not (needed or default is not None or key))
            for _, name, kind, needed, default, key in found
        }

    def _make(self, columns: Sequence[str]) -> None:
        if columns and not self._table_columns():
            self._db.execute(f"CREATE TABLE {self.name} ({listed(columns)})")
            return
        for name in columns:
            self._db.execute(f"ALTER TABLE {self.name} ADD COLUMN {quoted(name)}")

    def _unique(self) -> None:
        """By an index; and what a later turn takes back is found without reading the whole table."""
        upsert = self.target.mode == "upsert"
        unique = self.target.key if upsert else STAMPS[:5] if self.target.stamp else ()
        if not unique:
            return
        name = quoted("_".join(["_runrelay", self.target.table, *(unique if upsert else ["origin"])]))
        try:
            self._db.execute(f"CREATE UNIQUE INDEX IF NOT EXISTS {name} ON {self.name} ({listed(unique)})")
        except sqlite3.IntegrityError:
            raise self._doubles(unique) from None

    def _declared(self, name: str) -> str:
        return name

    # rows

    def _insert(self, items: Sequence[Item]) -> tuple[int, list[Rejected]]:
        columns = self._columns()
        rows, rejected = _rows(items, columns)
        self._make(columns.new)
        before = self._db.total_changes
        rejected += self._execute(rows)
        return self._db.total_changes - before, sorted(rejected, key=lambda one: one.offset)

    def _execute(self, rows: Sequence[Row]) -> Iterator[Rejected]:
        names, moment = self._names((row for _, row in rows), self._table_columns()), now()
        statement = self._statement(names)
        for number, row in rows:
            stamps = (*self.origin, number, moment) if self.target.stamp else ()
            try:
                self._db.execute(statement, [*stamps, *map(row.get, names)])
            except (sqlite3.IntegrityError, sqlite3.DataError) as exc:
                if not self._db.in_transaction:  # the table's own rule undid the whole batch
                    raise
                yield Rejected(number, str(exc)[:200])

    def _preview(self, items: Sequence[Item]) -> Iterator[str]:
        columns = Columns(assumed(self.target, (item for _, item in items)), self.target)
        rows, rejected = _rows(items, columns)
        names = self._names((row for _, row in rows), {})
        yield _shown.columns(self.target, [*self.target.needed, *columns.new])
        yield self._statement(names)
        for number, row in rows:
            yield _shown.numbered(self.target, number, {name: row.get(name) for name in names})
        yield from map(_shown.refusal, rejected)

    def _statement(self, names: Sequence[str]) -> str:
        every = [*(STAMPS if self.target.stamp else ()), *names]
        insert = f"INSERT INTO {self.name} ({listed(every)}) VALUES ({', '.join('?' * len(every))})"  # noqa: S608  # quoted names, values apart
        if self.target.mode != "upsert":
            return insert
        changed = ", ".join(f"{name} = excluded.{name}" for name in map(quoted, every))
        keys, condition = listed(self.target.key), self._unless_newer("excluded")
        return f"{insert} ON CONFLICT ({keys}) DO UPDATE SET {changed} WHERE {condition}"


def _rows(items: Sequence[Item], columns: Columns) -> tuple[list[Row], list[Rejected]]:
    """Rows, and the items that cannot be one."""
    rows, rejected = list[Row](), list[Rejected]()
    for number, item in items:
        try:
            rows.append((number, _row(item, columns)))
        except Unfit as exc:
            rejected.append(Rejected(number, str(exc)))
    return rows, rejected


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
