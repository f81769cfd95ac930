"""Which columns a file gets: found by reading all of it once, so that no member is lost that only late items have."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workers.formats.layout import Layout
from workers.formats.lines import Json, Rows
from workers.rows import ITEM, MORE

#: Bytes of a column's name; members with longer ones go to `_more`.
_LONGEST_NAME = 255
#: Cells that are looked at together: what bounds memory where there are many columns.
_CELLS = 1 << 20
NULL = b"null"


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one file.

    Attributes:
        names: of the members that have a column, in order.
        rest: the last column, of JSON texts: `_more` for what has no column, `item` for whole items; empty for none.
    """

    names: tuple[str, ...]
    rest: str

    @property
    def header(self) -> list[str]:
        return [*self.names, *([self.rest] if self.rest else [])]

    @property
    def most_rows(self) -> int:
        """How many rows may be worked on at a time."""
        return max(1, _CELLS // len(self.header))

    def rests(self, rows: Rows) -> list[str | None]:
        """The cells of the last column. The whole item, if there is no other column."""
        if not self.names:
            return list(rows.lines.decode().split("\n")[:-1])
        known = frozenset(self.names)
        return [
            rows.others[at].decode() if at in rows.others else _left(members, known)
            for at, members in enumerate(rows.members)
        ]


def column(rows: Rows, name: str) -> list[Json]:
    """The cells of one member."""
    return [members.get(name, NULL) for members in rows.members]


class Finding:
    """Gathers the columns while it is shown all rows."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.names: dict[str, None] = {}
        self.more = False

    def look(self, rows: Rows) -> None:
        self.more = self.more or bool(rows.others)
        known = self.names.keys()
        for members in rows.members:
            if not members.keys() <= known:
                self._add(members)

    def found(self) -> Columns:
        return Columns(tuple(self.names), MORE if self.more or not self.names else "")

    def _add(self, members: Iterable[str]) -> None:
        for name in members:
            if name in self.names:
                continue
            if len(self.names) < self.most and _may_be_one(name):
                self.names[name] = None
            else:
                self.more = True


def find(rows: Iterable[Rows], layout: Layout, most: int) -> Columns:
    """The columns that these rows need, at most so many and one for the rest."""
    if layout.columns == "json":
        return Columns((), ITEM)
    finding = Finding(most)
    for some in rows:
        finding.look(some)
    return finding.found()


def _may_be_one(name: str) -> bool:
    """Half of a surrogate pair cannot be written, a NUL ends a name for many readers, and `_more` is ours."""
    size = len(name.encode("utf-8", "replace")) if len(name) <= _LONGEST_NAME else _LONGEST_NAME + 1
    return size <= _LONGEST_NAME and name != MORE and "\0" not in name and not _halved(name)


def _halved(name: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in name)


def _left(members: Mapping[str, Json], known: frozenset[str]) -> str | None:
    """JSON of the members without a column."""
    left = members.keys() - known
    if not left:
        return None
    written = (f"{json.dumps(name)}:{bytes(value).decode()}" for name, value in members.items() if name in left)
    return f"{{{','.join(written)}}}"
