"""One stream of one delivery on its way into a table. A chunk and our place behind it are one transaction."""

# ruff: noqa: S608  # names are quoted, values are literals
import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import structlog

from config.contracts.errors import Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Rejected, Shipment, Taken
from workers.rows import MORE, STAMPS, TableTarget, missing, origin_of, read
from workers.sinks._postgres_errors import of_rows, said, too_large
from workers.sinks._postgres_rows import Column, Encoder, Item, Lines, plain
from workers.sinks._postgres_table import PATIENCE, Shape, Table, listed, literal, quoted

log = structlog.get_logger("runrelay.postgres")

#: Where a chunk waits for its conflicts to be settled.
_CHUNK = "_runrelay_chunk"
_ORDER = "_runrelay_order"
#: Lines that are handed over at once.
_PIECE = 50
#: Our place in a stream is forgotten when nobody wrote to it for so long.
_KEPT = "90 days"
#: Of the time a step has, what may be spent on looking for items that are refused.
SEARCHING = 0.5
_RETRIES = 3


class Stream:
    """What `Table` is filled by. All calls raise errors of the database, and WorkError.

    Attributes:
        position: the ledger's `{"item": number of the next row}`; None at the first row.
    """

    def __init__(self, table: Table, shipment: Shipment, patience: float) -> None:
        delivery = shipment.delivery
        self.table, self.target, self.patience = table, table.target, patience
        self.stream = f"delivery = {literal(delivery.id)} AND stream = {literal(shipment.stream)}"
        self.key = (delivery.id, shipment.stream)
        self.origin = origin_of(shipment)
        self.replay = delivery.generation > 0
        self.holder = uuid.uuid4().hex
        self.position: dict[str, Any] | None = None
        self.committing: tuple[int, Taken] | None = None
        self._columns: Mapping[str, Column] = {}
        self._begun = self._fresh = False
        self._reached = 0

    async def start(self, db: Any, position: Mapping[str, Any] | None) -> None:
        """Become the stream's writer."""
        before = await self.table.shape(db)
        self._columns = await self.table.ready(db, {})
        await db.execute(self._begin_transaction())
        place = await db.fetchrow(f"SELECT * FROM {self.table.checkpoints} WHERE {self.stream} FOR UPDATE")
        self._fresh = position is None and not self.replay and place is None
        self._reached = place["next_item"] if place else 0
        if position is not None and not _reaches(before, self._reached if place else None, position):
            log.warning("postgres.lost", table=self.table.spoken)
            position = None
        values = f"{literal(self.key[0])}, {literal(self.key[1])}, {literal(self.holder)}, 0, 0, now()"
        await db.execute(
            f"INSERT INTO {self.table.checkpoints} (delivery, stream, holder, batches, next_item, at)"
            f" VALUES ({values}) ON CONFLICT (delivery, stream) DO UPDATE SET holder = excluded.holder; COMMIT"
        )
        self.position = None if position is None else dict(position)

    async def write(self, db: Any, batch: Batch) -> Taken:
        """One chunk and our place behind it; or behind what there was time for."""
        self.committing = None
        items = list(zip(batch.numbers, batch.items(), strict=False))
        new = items if self.target.stamp else [item for item in items if item[0] >= self._reached]
        lines = await self._lines(db, new)
        behind = items[-1][0] + 1 if items else batch.offset
        await self._enter(db, batch.index + 1, behind)
        chunk = _Insertion(self, db, new, lines)
        out, rejected = await chunk.all()
        left = 0
        if chunk.cut is not None:
            behind, left = chunk.cut, sum(number >= chunk.cut for number, _ in items)
            await db.execute(self._moved(batch.index + 1, behind))
        looked = len(items) - left
        taken = Taken(
            rows=looked - len(rejected) if self.target.mode == "upsert" else out + len(items) - len(new),
            out=out,
            bytes=sum(len(item) + 1 for _, item in items[:looked]),
            position={"item": behind},
            rejected=tuple(rejected),
            left=left,
        )
        self.committing = (batch.index + 1, taken)
        await db.execute("COMMIT")
        self._tell(lines)
        return self.committed(taken)

    def committed(self, taken: Taken) -> Taken:
        assert taken.position is not None
        self._begun = True
        self.position = dict(taken.position)
        self._reached = max(self._reached, taken.position["item"])
        return taken

    async def arrived(self, db: Any) -> Taken | None:
        """What the last chunk wrote, if the transaction whose answer never came was committed after all."""
        if self.committing is None:
            return None
        batches, taken = self.committing
        assert taken.position is not None
        found = await db.fetchrow(
            f"SELECT holder, batches, next_item FROM {self.table.checkpoints} WHERE {self.stream}"
        )
        if found is None or tuple(found) != (self.holder, batches, taken.position["item"]):
            return None
        return self.committed(taken)

    async def end(self, db: Any) -> Taken:
        """All rows are there already. A stream without any takes back what a replay replaces."""
        await self._enter(db)
        await db.execute(f"DELETE FROM {self.table.checkpoints} WHERE at < now() - interval '{_KEPT}'; COMMIT")
        self._begun = True
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    def _begin_transaction(self) -> str:
        limit = f"{900 * self.patience:.0f}ms"  # before we stop listening
        return (
            f"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '{PATIENCE}s';"
            f" SET LOCAL statement_timeout = '{limit}';"
            f" SET LOCAL idle_in_transaction_session_timeout = '{limit}'; SET CONSTRAINTS ALL IMMEDIATE"
        )

    async def _enter(self, db: Any, batches: int | None = None, item: int | None = None) -> None:
        """Begin a transaction that moves our place. The first one of a turn takes back rows behind the ledger's place.

        Raises Transient if somebody else has begun to write this stream: our lease must have run out meanwhile.
        """
        status = await db.execute(f"{self._begin_transaction()}; {self._moved(batches, item)}")
        if status != "UPDATE 1":
            await db.execute("ROLLBACK")
            raise Transient(Reason.TARGET_UNAVAILABLE, f"another worker is writing to {self.table.spoken}")
        if not self._begun:
            await self._take_back(db)

    def _moved(self, batches: int | None, item: int | None) -> str:
        moved = "" if item is None else f", batches = {batches}, next_item = {item}"
        mine = f"{self.stream} AND holder = {literal(self.holder)}"
        return f"UPDATE {self.table.checkpoints} SET at = now(){moved} WHERE {mine}"

    async def _take_back(self, db: Any) -> None:
        """Rows behind the ledger's place, whichever generation wrote them; in `replace_run` those of earlier finishes,
        too. In `upsert` they are simply written again."""
        if self.target.mode == "upsert" or missing(self._columns, STAMPS) or (self._fresh and not self.target.whole):
            return
        run, life, target, stream = map(literal, self.origin)
        these = [f"_run_id = {run}", f"_target = {target}", f"_stream = {stream}"]
        if not self.target.whole:
            these.append(f"_finished_at = {life}")
        if self.position is not None:
            these.append(f"_item >= {int(self.position['item'])}")
        await db.execute(f"DELETE FROM {self.table.name} WHERE {' AND '.join(these)}")

    async def _lines(self, db: Any, items: Sequence[Item]) -> Lines:
        """The items as lines for the table, which gets the columns they need."""
        for _ in range(_RETRIES):
            lines = await asyncio.to_thread(self.encoder.lines, items)
            if not lines.new:
                return lines
            self._columns = await self.table.ready(db, lines.new)
        raise Transient(Reason.TARGET_UNAVAILABLE, f"{self.table.spoken} changes while it is written to")

    @property
    def encoder(self) -> Encoder:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return Encoder(self.target, self._columns, (self.origin, now))

    def _tell(self, lines: Lines) -> None:
        if lines.mended or lines.dropped:
            log.warning("postgres.odd", table=self.table.spoken, mended=len(lines.mended), dropped=lines.dropped)


class _Insertion:
    """The lines of one chunk within its transaction: all at once, or where Postgres refuses, in ever smaller parts.

    Attributes:
        cut: number of the first item there was no time for.
    """

    def __init__(self, stream: Stream, db: Any, items: Sequence[Item], lines: Lines) -> None:
        self.stream, self.db, self.items, self.lines = stream, db, items, lines
        self.table, self.target = stream.table, stream.target
        self.rejected = list(lines.rejected)
        self.cut: int | None = None
        self._until = time.monotonic() + SEARCHING * stream.patience

    async def all(self) -> tuple[int, list[Rejected]]:
        """Returns how many rows were written, and what cannot be one."""
        out = await self._insert(0, len(self.lines.numbers))
        behind = [one for one in self.rejected if self.cut is None or one.offset < self.cut]
        return out, sorted(behind, key=lambda one: one.offset)

    async def _insert(self, begin: int, end: int) -> int:
        if begin and begin < end and self.cut is None and time.monotonic() > self._until:
            self.cut = self.lines.numbers[begin]
        if begin == end or self.cut is not None:
            return 0
        try:
            return await self._attempt(self.lines, begin, end)
        except asyncpg.PostgresError as exc:
            if not of_rows(exc):
                raise
            if end - begin == 1:
                return await self._mend(self.lines.numbers[begin], exc)
        middle = (begin + end) // 2
        return await self._insert(begin, middle) + await self._insert(middle, end)

    async def _attempt(self, lines: Lines, begin: int, end: int) -> int:
        """All of it, or an error and nothing."""
        await self.db.execute("SAVEPOINT lines")
        try:
            done = await (self._upsert if self.target.mode == "upsert" else self._append)(lines, begin, end)
        except asyncpg.PostgresError as exc:
            if of_rows(exc):
                await self.db.execute("ROLLBACK TO lines; RELEASE lines")
            raise
        await self.db.execute("RELEASE lines")
        return done

    async def _mend(self, number: int, error: asyncpg.PostgresError) -> int:
        """One item that was refused. A value that is none of its column's type may have to go elsewhere, and of an item
        that is too large for a row all that is not its key."""
        item = next(item for other, item in self.items if other == number)
        try:
            if refused := self._movable(item) if too_large(error) else await self._refused(item):
                lines = self.stream.encoder.one((number, item), refused)
                self.lines.dropped += lines.dropped
                self.rejected += lines.rejected
                return await self._attempt(lines, 0, len(lines.numbers)) if lines.numbers else 0
        except asyncpg.PostgresError as exc:
            if not of_rows(exc):
                raise
            error = exc
        self.rejected.append(Rejected(number, said(error)))
        return 0

    async def _refused(self, item: bytes) -> frozenset[str]:
        """Columns of types that are not ours which do not take the item's value."""
        if self.target.columns == "json":
            return frozenset()
        found, columns = read(item), self.stream._columns
        asked = [name for name in found if name in columns and columns[name].foreign and found[name] != b"null"]
        return frozenset([name for name in asked if not await self._takes(name, plain(found[name]))])

    def _movable(self, item: bytes) -> frozenset[str]:
        """Columns whose values may as well stand in `_more`."""
        columns = self.stream._columns
        if self.target.columns != "evolve" or MORE not in columns:
            return frozenset()
        found = read(item)
        there = [name for name in found.keys() & columns.keys() if found[name] != b"null"]
        return frozenset([name for name in there if columns[name].may_be_emptied and name not in self.target.key])

    async def _takes(self, column: str, text: str) -> bool:
        """Whether the column's type has such a value: Postgres reads it before it sees that no row is asked for."""
        written = f"INSERT INTO {self.table.name} ({quoted(column)}) SELECT {literal(text)} WHERE false"
        try:
            await self.db.execute(f"SAVEPOINT lines; {written}; RELEASE lines")
        except asyncpg.PostgresError as exc:
            if not of_rows(exc):
                raise
            await self.db.execute("ROLLBACK TO lines; RELEASE lines")
            return False
        return True

    async def _append(self, lines: Lines, begin: int, end: int) -> int:
        source = _pieces(lines, begin, end, counted=False)
        return await self._copy(source, self.target.table, self.table.schema, lines.columns)

    async def _upsert(self, lines: Lines, begin: int, end: int) -> int:
        """One row cannot be written twice by one statement: of several with one key the last one is taken."""
        columns = listed(lines.columns)
        await self.db.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS {_CHUNK} ON COMMIT DROP AS"
            f" SELECT 0::bigint AS {_ORDER}, {columns} FROM {self.table.name} WITH NO DATA; TRUNCATE pg_temp.{_CHUNK}"
        )
        await self._copy(_pieces(lines, begin, end, counted=True), _CHUNK, "pg_temp", [_ORDER, *lines.columns])
        status = await self.db.execute(upsert(self.table, lines.columns, await self._unknown(lines)))
        await self.db.execute(f"DROP TABLE pg_temp.{_CHUNK}")
        return _count(status)

    async def _unknown(self, lines: Lines) -> list[str]:
        """Columns that others made since we looked, which no row of ours may keep. We hold the table: no more come."""
        columns = (await self.table.shape(self.db)).columns or {}
        emptied = {name for name, column in columns.items() if column.may_be_emptied}
        return sorted(emptied.difference(lines.columns, STAMPS))

    async def _copy(self, source: AsyncIterator[bytes], table: str, schema: str, columns: Sequence[str]) -> int:
        return _count(await self.db.copy_to_table(table, schema_name=schema, columns=columns, source=source))


def upsert(table: Table, columns: Sequence[str], emptied: Iterable[str] = ()) -> str:
    """The chunk becomes rows of the table. `emptied`: columns that no row of the chunk has."""
    names, keys = listed(columns), listed(table.target.key)
    changed = [f"{name} = excluded.{name}" for name in map(quoted, columns)]
    changed += [f"{quoted(name)} = NULL" for name in emptied]
    return (
        f"INSERT INTO {table.name} AS there ({names}) SELECT {names} FROM"
        f" (SELECT DISTINCT ON ({keys}) * FROM pg_temp.{_CHUNK} ORDER BY {keys}, {_ORDER} DESC) AS last"
        f" ON CONFLICT ({keys}) DO UPDATE SET {', '.join(changed)} WHERE {_newer(table.target)}"
    )


def _newer(target: TableTarget) -> str:
    """Whether the row in the table may be overwritten: an older run never overwrites a newer one's."""
    if not target.ordered:
        return "true"
    which = '{0}._finished_at, {0}._run_id COLLATE "C"'
    return f"(({which.format('there')}) > ({which.format('excluded')})) IS NOT TRUE"


async def _pieces(lines: Lines, begin: int, end: int, *, counted: bool) -> AsyncIterator[bytes]:
    """The lines bit by bit: while Postgres takes one piece the next one is made."""
    for at in range(begin, end, _PIECE):
        yield lines.text(at, min(at + _PIECE, end), counted=counted)


def _count(status: str) -> int:
    """The rows that Postgres says it wrote: `COPY 5`, `INSERT 0 5`."""
    return int(status.rsplit(" ", 1)[1])


def _reaches(shape: Shape, reached: int | None, position: Mapping[str, Any]) -> bool:
    """Whether the database has what the ledger knows of: one from a backup may not."""
    known = position.get("item")
    return bool(shape.columns) and reached is not None and isinstance(known, int) and reached >= known
