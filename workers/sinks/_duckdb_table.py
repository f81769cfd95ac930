"""A table of a DuckDB file. Everything here blocks.

One process may write a file, so it is opened when a delivery begins and closed with the last one. Within our process
all connections to a file share one instance of DuckDB, and one transaction runs at a time: two that change a table at
once would only undo each other (duckdb.org/docs/current/connect/concurrency).
"""

import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb

from config.contracts.errors import Forbidden, Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Rejected
from workers.rows import STAMPS, Columns, TableTarget, assumed
from workers.sinks import _shown
from workers.sinks._duckdb_rows import TYPES, Rows, kind_of
from workers.sinks._table import Column, Item, Table, Undone, listed, now, quoted

#: Seconds to wait for another process, or another delivery of ours, until the try counts as failed.
PATIENCE = 10.0
#: Seconds to look for the items of one batch that a table refuses.
_SIFTING = 15.0
_PAUSE = 0.1
#: Rows on their way into the table, and our number of each within its batch.
_NEW, _NTH = "_runrelay_new", "_runrelay_nth"
_REFUSED = (duckdb.ConstraintException, duckdb.DataError)
#: Where DuckDB repeats a value that it does not take.
_VALUE = re.compile(r"""(?<=uplicate key) ".*"|(?<=string) '.*'(?= to )""", re.DOTALL)

_alone: defaultdict[Path, Lock] = defaultdict(Lock)


class DuckdbTable(Table):
    """Columns have the type of the first value that is not null."""

    BEGIN = "BEGIN TRANSACTION"

    def __init__(self, path: Path, target: TableTarget, settings: Mapping[str, str]) -> None:
        super().__init__(path, target)
        self.settings: dict[str, Any] = dict(settings)
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._seen: dict[str, Column] | None = None  # within a transaction nobody else changes the table

    @property
    def _db(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            raise RuntimeError("the database is not open")
        return self._connection

    def _connect(self) -> None:
        until = time.monotonic() + PATIENCE
        while self._connection is None:
            try:
                with self._turn():
                    self._create()
                    self._connection = duckdb.connect(self.path, config=self.settings)
            except duckdb.IOException as exc:
                if "Could not set lock" not in str(exc) or time.monotonic() > until:
                    raise
                time.sleep(_PAUSE)

    def _create(self) -> None:
        """Under another name first: a process that is killed here leaves no half of a database in its place. Where the
        file system has no links, DuckDB makes it in place."""
        if not self.path.exists():
            new = self.path.with_name(f"{self.path.name}.{self.holder}.new")
            duckdb.connect(new, config=self.settings).close()
            with suppress(OSError):
                os.link(new, self.path)
            new.unlink()

    def _prepare(self) -> None:
        """Nothing: DuckDB makes every commit durable."""

    def close(self) -> None:
        if self._connection is not None:
            with _alone[self.path]:
                self._connection.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not _alone[self.path].acquire(timeout=PATIENCE):
            why = f"{self.path.name}: other deliveries have been writing to it for {PATIENCE:.0f} s"
            raise Transient(Reason.TARGET_UNAVAILABLE, why)
        try:
            yield
        finally:
            _alone[self.path].release()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._turn(), super()._transaction():
            self._seen = None
            yield

    # the table

    def _table_columns(self) -> dict[str, Column]:
        if self._seen is None:
            found = self._db.execute(
                "SELECT column_name, data_type, is_nullable AND column_default IS NULL FROM duckdb_columns() WHERE"
                " database_name = current_database() AND schema_name = current_schema() AND lower(table_name) = ?"
                " ORDER BY column_index",
                [self.target.table],
            )
            self._seen = {name: Column(kind, may) for name, kind, may in found.fetchall()}
        return self._seen

    def _make(self, columns: Sequence[str]) -> None:
        """Those of ours. The others wait for their first value, which tells the type."""
        self._make_typed({name: TYPES[name] for name in columns if name in TYPES})

    def _make_typed(self, types: Mapping[str, str]) -> None:
        made = [f"{quoted(name)} {kind}" for name, kind in types.items()]
        if not made:
            return
        if self._table_columns():
            for column in made:
                self._db.execute(f"ALTER TABLE {self.name} ADD COLUMN {column}")
        else:
            self._db.execute(f"CREATE TABLE {self.name} ({', '.join(made)})")
        self._seen = None

    def _unique(self) -> None:
        """DuckDB would keep an index in memory. We are the only ones who write, so it is enough to look once."""
        key = self.target.key
        if self._begun or not key or not set(key) <= self._table_columns().keys():
            return
        keys = listed(key)
        if self._db.execute(f"SELECT 1 FROM {self.name} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1").fetchone():  # noqa: S608  # quoted names
            raise self._doubles(key)

    def _declared(self, name: str) -> str:
        return f"{name} {TYPES.get(name, 'VARCHAR')}"

    # rows

    def _put(self, items: Sequence[Item], behind: int) -> tuple[int, int, list[Rejected]]:
        try:
            return super()._put(items, behind)
        except _REFUSED:
            good, refused = self._sift(items)
            there, out, rejected = super()._put(good, behind)
            return there, out, sorted([*rejected, *refused], key=lambda one: one.offset)

    def _sift(self, items: Sequence[Item]) -> tuple[list[Item], list[Rejected]]:
        """Tell those that the table takes from those that it refuses, by trying halves: an error in a transaction of
        DuckDB is the end of it. Raises Forbidden if that takes too long, since there are too many."""
        good, refused, parts = list[Item](), list[Rejected](), [list(items)]
        until = time.monotonic() + _SIFTING
        while parts:
            part = parts.pop()
            why = self._refusal([*good, *part])
            half = len(part) // 2
            if why is None:
                good += part
            elif not half:
                refused.append(Rejected(part[0][0], why))
            elif time.monotonic() > until:
                said = f"the table {self.target.table} refuses too many items of a batch, for instance: {why}"
                raise Forbidden(Reason.TARGET_REFUSED, said[:300])
            else:
                parts += [part[half:], part[:half]]
        return good, refused

    def _refusal(self, items: Sequence[Item]) -> str | None:
        """Why the table refuses these items; None if it takes them."""
        try:
            with suppress(Undone), self._transaction():
                self._begin()
                self._insert(self._new(items))
                raise Undone
        except _REFUSED as exc:
            return told(exc)[:200]
        return None

    def _insert(self, items: Sequence[Item]) -> tuple[int, list[Rejected]]:
        columns = self._columns()
        rows = Rows(columns, {name: column.type for name, column in self._table_columns().items()})
        for number, item in items:
            rows.add(number, item)
        for name in list(rows.unsure):
            for number in self._misfits(rows, name):
                rows.misfit(number, name)
        self._make_typed({name: rows.types[name] for name in rows.new})
        out = self._execute(rows) if rows.rows else 0
        return out, sorted(rows.rejected, key=lambda one: one.offset)

    def _misfits(self, rows: Rows, name: str) -> list[int]:
        """Numbers of the items whose value DuckDB cannot make what the column is."""
        texts = {number: row[name] for number, row in rows.rows.items() if number in rows.unsure[name] and name in row}
        found = self._db.execute(
            "SELECT n FROM (SELECT unnest(?::BIGINT[]) AS n, unnest(?::VARCHAR[]) AS v)"  # noqa: S608  # DuckDB's own type
            f" WHERE TRY_CAST(v AS {rows.types[name]}) IS NULL",
            [list(texts), list(texts.values())],
        )
        return [number for (number,) in found.fetchall()]

    def _execute(self, rows: Rows) -> int:
        names = self._names(rows.rows.values(), self._table_columns())
        stamps = dict(zip(STAMPS, (*self.origin, list(rows.rows), now()), strict=True)) if self.target.stamp else {}
        values = [[row.get(name) for row in rows.rows.values()] for name in names]
        how_many = [len(rows.rows)] if self.target.mode == "upsert" else []
        done = self._db.execute(self._statement(rows, names), [*stamps.values(), *values, *how_many])
        (out,) = done.fetchone() or (0,)
        return int(out)

    def _preview(self, items: Sequence[Item]) -> Iterator[str]:
        """Of types that only DuckDB knows, it says what fits."""
        known = assumed(self.target, (item for _, item in items))
        types = {one: kind_of(one, written) for one, written in known.items() if one in TYPES or not self.target.grows}
        rows = Rows(Columns(types, self.target), types)
        for number, item in items:
            rows.add(number, item)
        names = self._names(rows.rows.values(), {})
        yield _shown.columns(self.target, (f"{name} {kind}" for name, kind in rows.types.items()))
        yield self._statement(rows, names)
        for number, row in rows.rows.items():
            yield _shown.numbered(self.target, number, {name: row.get(name) for name in names})
        yield from map(_shown.refusal, rows.rejected)

    def _statement(self, rows: Rows, names: Sequence[str]) -> str:
        stamps = STAMPS if self.target.stamp else ()
        every = [*stamps, *names]
        cast = ", ".join(_cast(name, rows.types[name], whole=name in stamps and name != "_item") for name in every)
        return (self._merge if self.target.mode == "upsert" else self._append)(cast, every)

    def _append(self, cast: str, names: Sequence[str]) -> str:
        return f"INSERT INTO {self.name} ({listed(names)}) SELECT {cast}"  # quoted names, values apart

    def _merge(self, cast: str, names: Sequence[str]) -> str:
        """The last item of each key takes the place of its row, or becomes one."""
        keys = self.target.key
        same = " AND ".join(f"{self.name}.{name} = {_NEW}.{name}" for name in map(quoted, keys))
        changed = ", ".join(f"{name} = {_NEW}.{name}" for name in map(quoted, names) if name not in map(quoted, keys))
        update = f" WHEN MATCHED AND {self._unless_newer(_NEW)} THEN UPDATE SET {changed}" if changed else ""
        return (
            f"MERGE INTO {self.name} USING (SELECT * FROM (SELECT {cast}, unnest(range(?)) AS {_NTH})"  # noqa: S608  # as above
            f" QUALIFY row_number() OVER (PARTITION BY {listed(keys)} ORDER BY {_NTH} DESC) = 1) AS {_NEW} ON {same}"
            f"{update} WHEN NOT MATCHED THEN INSERT ({listed(names)})"
            f" VALUES ({', '.join(f'{_NEW}.{quoted(name)}' for name in names)})"
        )


def _cast(name: str, kind: str, *, whole: bool) -> str:
    """A column out of a parameter: one value for all rows, or a list with one for each."""
    given = "?::VARCHAR" if whole else f"unnest(?::{'BIGINT' if name == '_item' else 'VARCHAR'}[])"
    return f"CAST({given} AS {kind}) AS {quoted(name)}"


def told(exc: duckdb.Error) -> str:
    """The first line of what DuckDB says, without its kind and without a value."""
    return _VALUE.sub("", str(exc)).split("\n")[0].removeprefix("Constraint Error: ")
