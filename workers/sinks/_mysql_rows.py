"""Items as rows of a table, and the statements that put many of them in at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pymysql.err import Error

from config.contracts.sink import Rejected
from workers.rows import ITEM, MORE, STAMPS, Columns, TableTarget, Unfit, decoded, joined, read
from workers.sinks._mysql_refusals import why
from workers.sinks._mysql_session import Session, code_of
from workers.sinks._mysql_values import NULL, TEXT, Column, literal, name, quoted, type_of

#: Most columns of a table that grows: so many texts of any length fit InnoDB's row of half a page of 16 KiB.
MOST_COLUMNS = 180
#: Bytes of a statement with many rows.
STATEMENT = 1 << 20
#: Errors that are a row's own: its values, its key, the table's rules for it, its size.
_OF_A_ROW = frozenset(
    {1048, 1062, 1118, 1216, 1264, 1265, 1292, 1364, 1366, 1367, 1406, 1411, 1452, 1525, 1526, 1644, 1690, 1748}
    | {3140, 3819, 4025, 4078, 1139, 1690, 3156, 3903}
)
#: Whether a row may be overwritten: it is of an older run. Of two that finished at the same time the larger id stays,
#: compared byte for byte, so that it does not matter which one writes first.
_NEWER = (
    "_finished_at IS NULL OR _finished_at < VALUES(_finished_at) OR (_finished_at = VALUES(_finished_at)"
    " AND (_run_id IS NULL OR CAST(_run_id AS BINARY) <= CAST(VALUES(_run_id) AS BINARY)))"
)


class Row(NamedTuple):
    """`cells`: column → literal."""

    number: int
    cells: Mapping[str, str]

    def text(self, names: Iterable[str]) -> str:
        """As a statement has it."""
        return f"({', '.join(self.cells.get(column, NULL) for column in names)})"


class _Columns(Columns):
    """Names of columns are compared without case and accents: only plain ones become columns of their own."""

    def _may_be_one(self, name: str) -> bool:
        plain = name.isascii() and name == name.rstrip(" ")
        return plain and len(self.known) < MOST_COLUMNS and super()._may_be_one(name)


@dataclass
class Rows:
    """Items on their way into the table.

    Attributes:
        columns: those of the table as it is now.
        stamps: the values of a stamp, without the item's number.
        packet: bytes of the largest statement the server takes.
        new: columns that have to be made first, with their types. The rows are not to be used then.
    """

    target: TableTarget
    columns: Mapping[str, Column]
    stamps: Sequence[str]
    packet: int
    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    new: dict[str, str] = field(default_factory=dict)

    def take(self, items: Sequence[tuple[int, bytes]]) -> None:
        self._room = _Columns(self.columns, self.target)
        self._types = dict(self.columns)
        *before, behind = (quoted(text) for text in self.stamps)
        for number, item in items:
            try:
                cells = self._cells(item)
            except Unfit as exc:
                self.rejected.append(Rejected(number, str(exc)))
                continue
            if self.target.stamp:
                cells |= dict(zip(STAMPS, (*before, str(number), behind), strict=True))
            if (size := sum(map(len, cells.values())) * 4 // 3 + 8192) > self.packet:
                size = len(", ".join(cells.values()).encode()) + 8192
            if size > self.packet:
                why = f"it is larger than max_allowed_packet of the server ({self.packet} bytes)"
                self.rejected.append(Rejected(number, why))
                continue
            self.rows.append(Row(number, cells))

    def beginning_at(self, number: int) -> "Rows":
        """Without those that were written already."""
        left = [row for row in self.rows if row.number >= number]
        return Rows(self.target, self.columns, self.stamps, self.packet, left)

    def _cells(self, item: bytes) -> dict[str, str]:
        """Column → literal, of one item. Raises Unfit."""
        cells: dict[str, str] = {}
        if self.target.columns != "json" or self.target.key:
            cells = self._members(item)
        if self.target.columns == "json":
            cells[ITEM] = quoted(decoded(item))
        if not cells and not self.target.stamp:
            raise Unfit("it has nothing that could stand in a row")
        return cells

    def _members(self, item: bytes) -> dict[str, str]:
        found = read(item)
        if self.target.columns == "evolve":  # a column whose type nobody can know yet is not made
            found = {one: written for one, written in found.items() if written != b"null" or one in self._types}
        placed = self._room.of(found)
        cells, left = dict[str, str](), dict[str, bytes]()
        for column, written in placed.items():
            fits = literal(written, self._type(column, written))
            if fits is None:
                left[column] = written
            else:
                cells[column] = fits
        if left:
            self._leave(cells, left, placed)
        return cells

    def _type(self, column: str, written: bytes) -> Column:
        if column not in self._types:
            self.new[column] = TEXT if column == MORE else type_of(written)
            self._types[column] = Column(self.new[column])
        return self._types[column]

    def _leave(self, cells: dict[str, str], left: Mapping[str, bytes], placed: Mapping[str, bytes]) -> None:
        """Values that do not fit their columns. Raises Unfit where they may not be put elsewhere."""
        first = min(left)
        if self.target.columns == "freeze" or not left.keys().isdisjoint({*self.target.key, MORE}):
            raise Unfit(f"`{first[:63]}` does not fit its column, which is {self._types[first].type}")
        if self.target.columns == "drop_extra":
            return
        self._room.need(MORE)
        more = placed.get(MORE)
        inside: Iterable[tuple[str, bytes]] = read(more).items() if more else ()
        whole = joined([*inside, *left.items()])
        cells[MORE] = literal(whole, self._type(MORE, whole)) or NULL


@dataclass
class Inserts:
    """Puts rows in by statements with many of them, within the session's transaction. A refused statement is halved
    until the row that is refused stands alone."""

    session: Session
    target: TableTarget
    columns: Mapping[str, Column]
    rejected: list[Rejected] = field(default_factory=list)

    async def put(self, rows: Rows) -> int:
        """How many rows the server says it wrote."""
        names = names_of(self.target, rows.rows, self.columns)
        head, tail = statement(self.target, names)
        out, part, size = 0, list[tuple[int, str]](), 0
        most = min(STATEMENT, self.session.packet - 8192)
        for row in rows.rows:
            text = row.text(names)
            if part and size + len(text) * 4 > most:
                out += await self._insert(head, tail, part)
                part, size = [], 0
            part.append((row.number, text))
            size += len(text.encode()) + 2
        return out + (await self._insert(head, tail, part) if part else 0)

    async def _insert(self, head: str, tail: str, part: Sequence[tuple[int, str]]) -> int:
        await self.session.run("SAVEPOINT _runrelay")
        try:
            changed = await self.session.change(f"{head} {', '.join(text for _, text in part)} {tail}")
        except Error as exc:
            if code_of(exc) not in _OF_A_ROW:
                raise
            await self.session.run("ROLLBACK TO SAVEPOINT _runrelay")
            if len(part) == 1:
                self.rejected.append(Rejected(part[0][0], why(exc, self.columns)))
                return 0
        else:
            return min(changed, len(part)) if self.target.mode == "upsert" else changed
        half = len(part) // 2
        return await self._insert(head, tail, part[:half]) + await self._insert(head, tail, part[half:])


def names_of(target: TableTarget, rows: Iterable[Row], columns: Mapping[str, Column]) -> list[str]:
    """The columns that are written. An upsert empties those that its item does not have."""
    used = dict.fromkeys(column for row in rows for column in row.cells)
    if target.mode == "upsert":
        found = columns.items()
        used |= dict.fromkeys(column for column, facts in found if facts.may_be_emptied and column not in STAMPS)
    return list(used)


def statement(target: TableTarget, names: Sequence[str]) -> tuple[str, str]:
    """What stands before and behind the rows. Assignments are made from left to right, each seeing those before it:
    the run has to stand before the time. Once it is the new one the rest is as new, whichever was compared."""
    columns = ", ".join(map(name, names))
    head = f"INSERT INTO {name(target.table)} ({columns}) VALUES"
    if target.mode != "upsert":
        return head, ""
    changed = []
    for column in map(name, names):
        value = f"VALUES({column})"
        changed.append(f"{column} = IF({_NEWER}, {value}, {column})" if target.ordered else f"{column} = {value}")
    return head, f"ON DUPLICATE KEY UPDATE {', '.join(changed)}"
