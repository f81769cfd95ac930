"""Items as lines of COPY's text format (postgresql.org/docs/18/sql-copy.html), built by hand: it is what costs least.

Two things that JSON can say and Postgres cannot hold are `\\u0000` and half of a surrogate pair. They stay escapes: six
characters of text where one was meant.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from config.contracts.sink import Rejected
from workers.rows import ITEM, MORE, STAMPS, Columns, TableTarget, Unfit, joined, read

Item = tuple[int, bytes]
#: Column → JSON text.
Members = Mapping[str, bytes]

NULL = b"\\N"
#: Most columns of a table that grows: a row of so many values of any length fits a page of 8 KiB, since Postgres moves
#: what is longer than 24 bytes elsewhere (postgresql.org/docs/18/storage-toast.html).
MOST_COLUMNS = 250
#: Digits a `numeric` has at most, before the point and behind it (postgresql.org/docs/18/datatype-numeric.html).
_BEFORE, _BEHIND = 131_072, 16_383
#: Types of columns that we make, and of those of ours.
TYPES = {
    **dict.fromkeys(STAMPS, "text"),
    "_finished_at": "timestamp with time zone",
    "_item": "bigint",
    "_delivered_at": "timestamp with time zone",
    MORE: "jsonb",
    ITEM: "jsonb",
}
_OWN = frozenset({*STAMPS, MORE})
#: Every table has them (postgresql.org/docs/18/ddl-system-columns.html).
_RESERVED = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
#: Types that we make columns of: what fits them is decided without asking.
_OURS = frozenset({"text", "numeric", "boolean", "jsonb", "json"})
_ODD = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u0000|u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
_NUMBER = re.compile(rb"-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,9}))?")
_text = msgspec.json.Decoder(str).decode


class Column(NamedTuple):
    """A column of the table. `may_be_emptied`: an upsert may write null to it. `written`: by us, not by the table."""

    type: str
    may_be_emptied: bool = True
    written: bool = True

    @property
    def foreign(self) -> bool:
        """Whether only Postgres knows what fits it."""
        return self.written and self.type not in _OURS


class _Room(Columns):
    def _may_be_one(self, name: str) -> bool:
        return len(self.known) < MOST_COLUMNS and super()._may_be_one(name)


@dataclass
class Lines:
    """Items on their way into the table.

    Attributes:
        columns: what a line consists of.
        numbers: which item each line was.
        made: the lines from one index to another, without their ends.
        rejected: items that are no line.
        new: columns that have to be made first, with their types. The lines are not to be used then.
        mended: numbers of items with something that Postgres cannot hold.
        dropped: how many values were left out.
    """

    columns: Sequence[str] = ()
    numbers: list[int] = field(default_factory=list)
    made: Callable[[int, int], list[bytes]] = lambda begin, end: []
    rejected: list[Rejected] = field(default_factory=list)
    new: dict[str, str] = field(default_factory=dict)
    mended: set[int] = field(default_factory=set)
    dropped: int = 0

    def text(self, begin: int, end: int, *, counted: bool = False) -> bytes:
        """What COPY reads. `counted`: with the index of each line before it."""
        lines = self.made(begin, end)
        if counted:
            lines = [b"%d\t%s" % pair for pair in enumerate(lines, begin)]
        return b"\n".join([*lines, b""])


class Encoder:
    """Makes lines for a table as it is now.

    columns: those of the table. stamps: the cells of a line before and behind the item's number.
    """

    def __init__(self, target: TableTarget, columns: Mapping[str, Column], stamps: tuple[Sequence[str], str]) -> None:
        self.target, self.columns = target, columns
        before, behind = stamps
        self._before = b"".join(_escaped(text.encode()) + b"\t" for text in before) if target.stamp else b""
        self._behind = b"\t" + _escaped(behind.encode())

    def lines(self, items: Sequence[Item]) -> Lines:
        if self.target.columns == "json" and not self.target.key:
            return self._whole(items)
        return _Rows(self, items).lines()

    def one(self, item: Item, without: Set[str]) -> Lines:
        """The line of an item whose members of these names did not fit their columns."""
        return _Rows(self, [item], without).lines()

    def number(self, number: int) -> bytes:
        """The stamp."""
        return self._before + b"%d" % number + self._behind

    @property
    def stamps(self) -> Sequence[str]:
        return STAMPS if self.target.stamp else ()

    def _whole(self, items: Sequence[Item]) -> Lines:
        """The items as they are: nothing is parsed, and no loop is longer than it must be."""
        numbers, texts, mended = [number for number, _ in items], [item for _, item in items], set[int]()
        mending = self.columns[ITEM].type == "jsonb"

        def made(begin: int, end: int) -> list[bytes]:
            part = texts[begin:end]
            if mending and _odd(b"\n".join(part)):
                part = [mend(text) for text in part]
                mended.update(numbers[at] for at in range(begin, end) if part[at - begin] != texts[at])
            cells = _escaped(b"\n".join(part), newlines=False).split(b"\n")
            if not self.target.stamp:
                return cells
            pairs = zip(numbers[begin:end], cells, strict=True)
            return [b"%s%d%s\t%s" % (self._before, number, self._behind, cell) for number, cell in pairs]

        return Lines((*self.stamps, ITEM), numbers, made, mended=mended)


class _Rows:
    """Items whose members are columns. Columns that are new are remembered by the first value that is not null."""

    def __init__(self, encoder: Encoder, items: Sequence[Item], without: Set[str] = frozenset()) -> None:
        self.encoder, self.target, self.items, self.without = encoder, encoder.target, items, without
        self.types = {name: column.type if column.written else "" for name, column in encoder.columns.items()}
        self.settled = self.types.keys() - _OWN
        self.cells = dict[str, Callable[[bytes], bytes | None]]()
        self.room = _Room(self.types, self.target, _RESERVED)
        self.out = Lines()

    def lines(self) -> Lines:
        rows = list[dict[str, bytes]]()
        for number, item in self.items:
            try:
                rows.append(self._row(number, item))
                self.out.numbers.append(number)
            except Unfit as exc:
                self.out.rejected.append(Rejected(number, str(exc)))
        names = self._names(rows)
        self.out.columns = [*self.encoder.stamps, *names]
        lines = [self._line(*row, names) for row in zip(self.out.numbers, rows, strict=True)]
        self.out.made = lambda begin, end: lines[begin:end]
        return self.out

    def _line(self, number: int, row: Mapping[str, bytes], names: Sequence[str]) -> bytes:
        cells = [row.get(name, NULL) for name in names]
        return b"\t".join([self.encoder.number(number), *cells] if self.target.stamp else cells)

    def _names(self, rows: Iterable[Mapping[str, bytes]]) -> list[str]:
        """The columns that are written. An upsert empties those that its item does not have."""
        used = dict.fromkeys(name for row in rows for name in row)
        if self.target.mode == "upsert":
            found = self.encoder.columns.items()
            used |= dict.fromkeys(name for name, column in found if column.may_be_emptied and name not in STAMPS)
        return list(used)

    def _row(self, number: int, item: bytes) -> dict[str, bytes]:
        """Column → cell. Raises Unfit."""
        found = read(item)
        if _odd(item) and mend(item) != item:
            self.out.mended.add(number)
        placed = self._placed(found)
        if self.target.columns == "drop_extra" and not self.without:
            self.out.dropped += len(found) - len(placed)
        row, left = dict[str, bytes](), dict[str, bytes]()
        for name, written in placed.items():
            fits = (self.cells.get(name) or self._cell(name, written))(written)
            if fits is None:
                left[name] = written
            else:
                row[name] = fits
        if left:
            self._leave(row, left, placed)
        if self.target.columns == "json":
            row[ITEM] = self._cell(ITEM, item)(item) or NULL
        if not row and not self.target.stamp:
            raise Unfit("it has nothing that could stand in a row")
        return row

    def _placed(self, found: Members) -> Members:
        """Column → JSON text. A column whose type nobody can know yet is not made. Raises Unfit."""
        if found.keys() <= self.settled and self.target.columns != "json":
            self.room.keys_of(found)
            return found
        if self.target.columns == "evolve":
            found = {name: written for name, written in found.items() if written != b"null" or name in self.types}
        placed = self.room.of(found)
        if MORE in placed:
            left = [(name, written) for name, written in found.items() if name == MORE or name not in placed]
            if any(vast(written) for _, written in left):
                placed[MORE] = joined((name, _held(written)) for name, written in left)
        return placed

    def _cell(self, name: str, written: bytes) -> Callable[[bytes], bytes | None]:
        """What makes cells of a column; one that is new gets the type of this value."""
        if name not in self.types:
            self.types[name] = self.out.new[name] = TYPES.get(name) or type_of(written)
            self.settled = self.types.keys() - _OWN
        self.cells[name] = _clash if name in self.without else _CELLS.get(self.types[name], _any)
        return self.cells[name]

    def _leave(self, row: dict[str, bytes], left: Members, placed: Members) -> None:
        """Values that do not fit their columns. Raises Unfit where they may not be put elsewhere."""
        name = min(left)
        if self.target.columns == "freeze" or not left.keys().isdisjoint({*self.target.key, MORE}):
            named = self.types[name] or "generated"
            raise Unfit(f"`{name[:63]}` does not fit its column, which is {named}")
        if self.target.columns == "drop_extra":
            self.out.dropped += len(left.keys() & self.without if self.without else left)
            return
        self.room.need(MORE)
        more = joined([*_inside(placed.get(MORE)), *((name, _held(written)) for name, written in left.items())])
        row[MORE] = self._cell(MORE, more)(more) or NULL


def _inside(more: bytes | None) -> Iterable[tuple[str, bytes]]:
    return () if more is None else read(more).items()


def type_of(written: bytes) -> str:
    """The type of a column that is made for a JSON text."""
    match written[:1]:
        case b'"':
            return "text"
        case b"{" | b"[":
            return "jsonb"
        case b"t" | b"f":
            return "boolean"
        case _:
            return "numeric"


def _any(written: bytes) -> bytes:
    """A cell of a type for which texts are values: a string without its quotes, or another value's JSON text."""
    if written[:1] == b'"' and b"\\" not in written:
        return written[1:-1]
    if written == b"null":
        return NULL
    return _escaped(plain(_sound(written)).encode())


def _number(written: bytes) -> bytes | None:
    if written[:1] in b"-0123456789":
        return None if vast(_sound(written)) else written
    return NULL if written == b"null" else _clash(written)


def vast(written: bytes) -> bool:
    """Whether a JSON text is a number that neither `numeric` nor `jsonb` can hold."""
    if len(written) <= _BEHIND and b"e" not in written and b"E" not in written:
        return False
    if written[:1] not in b"-0123456789":
        return False
    if (found := _NUMBER.fullmatch(written)) is None:
        return True
    whole, part, power = found[1], found[2] or b"", int(found[3] or 0)
    digits = (whole + part).lstrip(b"0")
    before = len(digits) - len(part) + power if digits else 0
    return before > _BEFORE or len(part) - power > _BEHIND


def _held(written: bytes) -> bytes:
    """As `jsonb` can hold it: a number that it cannot is a text."""
    return b'"' + written + b'"' if vast(written) else written


def _truth(written: bytes) -> bytes | None:
    if written in {b"true", b"false"}:
        return written
    return NULL if written == b"null" else _clash(written)


def _jsonb(written: bytes) -> bytes:
    return NULL if written == b"null" else _escaped(mend(_sound(written)))


def _json(written: bytes) -> bytes:
    return NULL if written == b"null" else _escaped(_sound(written))


def _clash(written: bytes) -> bytes | None:
    """It does not fit."""
    return _sound(written) and None


def _sound(written: bytes) -> bytes:
    """Raises Unfit for what is no JSON, though some write it."""
    if written[:1] in b"NI" or written == b"-Infinity":
        raise Unfit("NaN and Infinity are no JSON")
    return written


#: Type → its cell for a JSON text; None: that does not fit. Of other types only Postgres knows. None at all has a
#: column that nobody may write to.
_CELLS: Mapping[str, Callable[[bytes], bytes | None]] = {
    "numeric": _number,
    "boolean": _truth,
    "jsonb": _jsonb,
    "json": _json,
    "": _clash,
}


def plain(written: bytes) -> str:
    """A JSON text as Postgres reads values of any type: a string without its quotes."""
    mended = mend(written)
    return _text(mended) if mended[:1] == b'"' else mended.decode()


def _odd(written: bytes) -> bool:
    """Whether it may be. Most texts have no such escape at all, and that is seen fastest."""
    return b"\\u" in written and _ODD.search(written) is not None


def mend(written: bytes) -> bytes:
    """A JSON text that Postgres takes, with the same meaning but for what it cannot hold."""
    if not _odd(written):
        return written
    return _ESCAPE.sub(lambda found: b"\\" + found[0] if found[1] else found[0], written)


def _escaped(text: bytes, *, newlines: bool = True) -> bytes:
    text = text.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\r", b"\\r")
    return text.replace(b"\n", b"\\n") if newlines else text
