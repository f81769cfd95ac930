"""One table of a MySQL or MariaDB database as one stream of one delivery fills it.

A change of a table commits whatever is open, so tables and columns are made before the transaction, and made in a way
that does not mind if another worker has just made the same.
"""

import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from pymysql.err import Error

from config.contracts.errors import Forbidden, Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Shipment, Taken
from workers.rows import STAMPS, TableTarget, missing, origin_of
from workers.sinks._mysql_rows import Inserts, Rows
from workers.sinks._mysql_session import Session, code_of
from workers.sinks._mysql_values import TEXT, Column, moment, name

log = structlog.get_logger("runrelay.mysql")

#: Our place in a stream is forgotten when nobody wrote to it for so long.
_KEPT = timedelta(days=90)
#: A deadlock undoes one of those that are in it: so often it is begun again at once.
_DEADLOCK, _TRIES = 1213, 4
#: Bytes of a key that InnoDB can have in an index, four for each letter.
_INDEXED = 3072
_CHECKPOINTS = """
CREATE TABLE IF NOT EXISTS _runrelay_checkpoints (
  delivery VARCHAR(64), stream VARCHAR(400), holder CHAR(32) NOT NULL, next_item BIGINT NOT NULL,
  at DATETIME(6) NOT NULL, PRIMARY KEY (delivery, stream)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"""
_STAMP_TYPES = {
    "_run_id": "VARCHAR(128)",
    "_finished_at": "DATETIME(6)",
    "_target": "VARCHAR(255)",
    "_stream": "VARCHAR(255)",
    "_item": "BIGINT",
    "_delivered_at": "DATETIME(6)",
}
_COLUMNS = """
SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"""
_UNIQUE = """
SELECT INDEX_NAME, GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX SEPARATOR '\\n') FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s AND NON_UNIQUE = 0 GROUP BY INDEX_NAME"""
_ENGINE = "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"
#: "Table already exists", "duplicate column name", "duplicate key name": another worker was faster.
_MADE_ALREADY = frozenset({1050, 1060, 1061})


class Table:
    """A session and the table behind it. All calls raise WorkError, and what `Session.run` raises.

    Attributes:
        position: the ledger's `{"item": number of the next row}`; None at the first row.
    """

    def __init__(self, session: Session, target: TableTarget) -> None:
        self.session, self.target = session, target
        self.name = name(target.table)
        self.holder = uuid.uuid4().hex
        self.position: dict[str, Any] | None = None
        self._begun = self._fresh = False
        self._columns: dict[str, Column] = {}

    async def start(self, shipment: Shipment, position: Mapping[str, Any] | None) -> None:
        """Become the stream's writer."""
        delivery = shipment.delivery
        self.stream = (delivery.id, shipment.stream)
        self.origin = stamp_of(shipment)
        await self._make(_CHECKPOINTS)
        await self._look()
        reached = await self._place("next_item")
        self._fresh = position is None and not delivery.generation and reached is None
        if position is not None and not self._reaches(reached, position):
            log.warning("mysql.lost", table=self.target.table)
            position = None
        await self.session.run(
            "INSERT INTO _runrelay_checkpoints VALUES (%s, %s, %s, 0, %s)"
            " ON DUPLICATE KEY UPDATE holder = VALUES(holder)",
            *(*self.stream, self.holder, now()),
        )
        self.position = None if position is None else dict(position)

    async def write(self, batch: Batch) -> Taken:
        """One batch and our place behind it, in one transaction. One that a deadlock undid is begun again."""
        for left in reversed(range(_TRIES)):
            try:
                return await self._write(batch)
            except Error as exc:
                if code_of(exc) != _DEADLOCK or not left:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _write(self, batch: Batch) -> Taken:
        items = list(zip(batch.numbers, batch.items(), strict=False))
        behind = items[-1][0] + 1 if items else batch.offset
        await self._fit()
        rows = await self._rows(items)
        async with self._transaction() as reached:
            await self._stay()
            new = rows if self.target.stamp else rows.beginning_at(reached)
            inserts = Inserts(self.session, self.target, self._columns)
            out = await inserts.put(new)
            await self._reach(behind)
        self._begun = True
        self.position = {"item": behind}
        rejected = tuple(sorted([*rows.rejected, *inserts.rejected], key=lambda one: one.offset))
        there = len(rows.rows) - len(new.rows)
        written = len(items) - len(rejected) if self.target.mode == "upsert" else there + out
        return Taken(rows=written, out=out, bytes=len(batch.lines), position=self.position, rejected=rejected)

    async def end(self) -> Taken:
        """All rows are there already. A stream without any makes its table, and takes back what a replay replaces."""
        await self._fit()
        async with self._transaction():
            pass
        await self.session.run("DELETE FROM _runrelay_checkpoints WHERE at < %s", now(_KEPT))
        self._begun = True
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    async def check(self) -> None:
        """Whether the table is as a delivery needs it, or may be made so. Changes nothing."""
        await self._look()
        await self._keeps()
        await self._suits()

    # our place in the stream

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[int]:
        """All of it or nothing; gives the place the stream has reached. Raises Transient if somebody else has begun to
        write this stream: our lease must have run out meanwhile.

        The first one of a turn takes back rows behind the ledger's place, whichever generation wrote them.
        """
        await self.session.run("START TRANSACTION")
        try:
            reached = await self._hold()
            if not self._begun and not missing(self._columns, STAMPS):
                await self._take_back()
            yield reached
            await self.session.run("COMMIT")
        except BaseException:
            if self.session.sound:
                await self.session.run("ROLLBACK")
            raise

    async def _hold(self) -> int:
        found = await self.session.run(
            "SELECT holder, next_item FROM _runrelay_checkpoints WHERE delivery = %s AND stream = %s FOR UPDATE",
            *self.stream,
        )
        if not found or found[0][0] != self.holder:
            raise Transient(Reason.TARGET_UNAVAILABLE, f"another worker is writing to {self.target.table}")
        return int(found[0][1])

    async def _place(self, column: str) -> Any:
        found = await self.session.run(
            f"SELECT {column} FROM _runrelay_checkpoints WHERE delivery = %s AND stream = %s",  # noqa: S608  # our own names
            *self.stream,
        )
        return found[0][0] if found else None

    def _reaches(self, reached: int | None, position: Mapping[str, Any]) -> bool:
        """Whether the database has what the ledger knows of: one from a backup may not."""
        known = position.get("item")
        return reached is not None and isinstance(known, int) and reached >= known and bool(self._columns)

    async def _stay(self) -> None:
        """Until the end of the transaction nobody changes the table's columns, and we know all of them: an upsert
        empties those that its item does not have, and another run may just have added one and filled it."""
        if self.target.mode == "upsert":
            await self.session.run(f"SELECT 1 FROM {self.name} LIMIT 0 FOR UPDATE")  # noqa: S608  # a name that passed the pattern
            await self._look()

    async def _reach(self, item: int) -> None:
        await self.session.run(
            "UPDATE _runrelay_checkpoints SET next_item = %s, at = %s WHERE delivery = %s AND stream = %s",
            *(item, now(), *self.stream),
        )

    async def _take_back(self) -> None:
        """In `upsert` rows are simply written again; `replace_run` takes back those of all finishes of the run."""
        item = self.position["item"] if self.position else 0
        run, life, *rest = self.origin
        if self.target.whole:
            where, values = "", [run, *rest, item]
        elif self.target.mode == "append" and not self._fresh:
            where, values = " AND _finished_at = %s", [run, *rest, item, life]
        else:
            return
        await self.session.run(
            f"DELETE FROM {self.name}"  # noqa: S608  # a name that passed the pattern
            f" WHERE _run_id = %s AND _target = %s AND _stream = %s AND _item >= %s{where}",
            *values,
        )

    # the table

    async def _look(self) -> None:
        """Learn the table as it is now. No columns at all: there is no such table."""
        found = await self.session.run(_COLUMNS, self.target.table)
        self._columns = {column: _column(*facts) for column, *facts in found}

    async def _fit(self) -> None:
        """Make the table what it has to be, if it may be made. Raises Forbidden if it may not, or cannot be used."""
        if self._begun and not missing(self._columns, self.target.needed):
            return
        await self._look()
        await self._keeps()
        if self.target.grows:
            await self._add(
                {column: type_for(self.target, column) for column in missing(self._columns, self.target.needed)}
            )
            await self._index()
        await self._suits()

    async def _rows(self, items: Sequence[tuple[int, bytes]]) -> Rows:
        """The items as rows of the table, which gets the columns they need."""
        while True:
            rows = Rows(self.target, self._columns, (*self.origin, now()), self.session.packet)
            rows.take(items)
            if not rows.new:
                return rows
            await self._add(rows.new)

    async def _add(self, columns: Mapping[str, str]) -> None:
        """Add them to the table, which is made if it is not there yet."""
        defined = [f"{name(column)} {self._compared(type)}" for column, type in columns.items()]
        if defined and not self._columns:
            made = f"CREATE TABLE {self.name} ({', '.join(defined)}) ENGINE = InnoDB ROW_FORMAT = DYNAMIC"
            await self._make(f"{made} CHARACTER SET utf8mb4 COLLATE {self.session.collation}")
            await self._look()
            defined = [
                f"{name(column)} {self._compared(columns[column])}" for column in missing(self._columns, columns)
            ]
        for column in defined:
            await self._make(f"ALTER TABLE {self.name} ADD COLUMN {column}")
        if columns:
            await self._look()

    def _compared(self, type: str) -> str:
        """A text needs its collation: the table may have another one."""
        if not type.upper().startswith(("VARCHAR", "LONGTEXT")):
            return type
        kind, _, rest = type.partition(" ")
        return f"{kind} CHARACTER SET utf8mb4 COLLATE {self.session.collation} {rest}".rstrip()

    async def _index(self) -> None:
        """No row twice; and what a later turn takes back is found without reading the whole table."""
        upsert = self.target.mode == "upsert"
        unique = self.target.key if upsert else STAMPS[:5] if self.target.stamp else ()
        if not unique or set(unique) in (await self._unique()).values():
            return
        index = "_".join(["_runrelay", *(unique if upsert else ["origin"])])[:64]
        kind = "UNIQUE INDEX" if upsert or not self.target.whole else "INDEX"
        try:
            await self._make(f"CREATE {kind} {name(index)} ON {self.name} ({', '.join(map(name, unique))})")
        except Exception as exc:
            if code_of(exc) not in {1062, 1170}:
                raise
            raise Forbidden(Reason.TARGET_REFUSED, self._no_index(code_of(exc), unique)) from exc

    def _no_index(self, code: int, unique: Collection[str]) -> str:
        listed = ", ".join(unique)
        if code == 1062:
            return f"{self.target.table} has rows with the same {listed}: remove all but one of each"
        return (
            f"{self.target.table} can have no unique index on {listed}: ALTER TABLE … MODIFY the texts to VARCHAR(255)"
        )

    async def _unique(self) -> dict[str, set[str]]:
        found = await self.session.run(_UNIQUE, self.target.table)
        return {index: set(columns.split("\n")) for index, columns in found}

    async def _suits(self) -> None:
        """Raises Forbidden, with the cure, for a table that cannot be used as it is."""
        lacking = missing(self._columns, self.target.needed)
        if not self.target.grows and (lacking or not self._columns):
            raise Forbidden(Reason.TARGET_REFUSED, _advice(self.target.table, lacking, self._columns))
        if self.target.mode == "upsert" and self._columns:
            self._one_key(await self._unique())

    async def _keeps(self) -> None:
        """Raises Forbidden if there is such a table, and it has no transactions. A view has no engine."""
        table = self.target.table
        for (engine,) in await self.session.run(_ENGINE, table):
            if engine is None:
                raise Forbidden(Reason.TARGET_REFUSED, f"{table} is no table of InnoDB: drop it, or name another one")
            if engine != "InnoDB":
                cure = f"ALTER TABLE {table} ENGINE = InnoDB"
                raise Forbidden(Reason.TARGET_REFUSED, f"{table} has no transactions: {cure}")

    def _one_key(self, unique: Mapping[str, Collection[str]]) -> None:
        """ON DUPLICATE KEY UPDATE asks every unique index: with another one it would change a row of another key."""
        key, table = ", ".join(self.target.key), self.target.table
        if not self.target.grows and set(self.target.key) not in unique.values():
            raise Forbidden(Reason.TARGET_REFUSED, f"{table} lacks the index: ALTER TABLE {table} ADD UNIQUE ({key})")
        for index, columns in unique.items():
            if set(columns) != set(self.target.key) and any(self._columns[column].written for column in columns):
                said = f"{table} has another unique index, {index}: an upsert by {key} would follow it, too; drop it"
                raise Forbidden(Reason.TARGET_REFUSED, said)

    async def _make(self, statement: str) -> None:
        try:
            await self.session.run(statement)
        except Exception as exc:
            if code_of(exc) not in _MADE_ALREADY:
                raise


def stamp_of(shipment: Shipment) -> tuple[str, ...]:
    """What stands before the number and the time."""
    run, life, *rest = origin_of(shipment)
    return run, moment(life), *rest


def type_for(target: TableTarget, column: str) -> str:
    """The type of a column that every row is written to."""
    if column in target.key:
        return f"VARCHAR({_INDEXED // 4 // len(target.key)}) NOT NULL"
    return _STAMP_TYPES.get(column, TEXT)


def _column(type: str, nullable: str, default: str | None, extra: str) -> Column:
    """MariaDB writes the default NULL as a word. What a table fills by itself we do not write."""
    filled = "auto_increment" in extra.lower() or "GENERATED" in extra.upper().replace("DEFAULT_GENERATED", "")
    plain = default is None or default == "NULL"
    return Column(type.lower(), may_be_emptied=nullable == "YES" and plain and not filled, written=not filled)


def now(ago: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) - ago).strftime("%Y-%m-%d %H:%M:%S.%f")


def _advice(table: str, lacking: Sequence[str], known: Collection[str]) -> str:
    if not known:
        return f"there is no table {table}: create it, or let `columns: evolve` do so"
    change = ", ".join(f"ADD COLUMN {column} {_STAMP_TYPES.get(column, '…')}" for column in lacking)
    return f"the table {table} lacks columns: ALTER TABLE {table} {change}"[:300]
