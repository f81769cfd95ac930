"""Reads finished JSON Lines, a few mebibytes at a time, as rows of JSON texts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

import msgspec

from workers.packing import unpacked
from workers.rows import decoded, read

#: One JSON text as it was written.
Json = msgspec.Raw | bytes

_PIECE = 4 << 20
_rows = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode_lines


@dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive items.

    Attributes:
        lines: as they lie in the file, each with its newline.
        members: of each item, name → JSON text.
        others: place in `members` → JSON text, of items that are no objects; they have no members.
    """

    lines: bytes
    members: Sequence[Mapping[str, Json]]
    others: Mapping[int, bytes]

    def cut(self, most: int) -> Iterator["Rows"]:
        """The same in stretches of at most so many rows."""
        if len(self.members) <= most:
            yield self
            return
        # Not `splitlines`: an item may have a bare CR among its spaces.
        lines = [line + b"\n" for line in self.lines.split(b"\n")[:-1]]
        for begin in range(0, len(lines), most):
            there = range(begin, min(begin + most, len(lines)))
            others = {at - begin: self.others[at] for at in there if at in self.others}
            yield Rows(b"".join(lines[there.start : there.stop]), self.members[there.start : there.stop], others)


class Staged:
    """Finished JSON Lines, packed or not. They can be read again and again."""

    def __init__(self, path: Path, pulse: Callable[[], None]) -> None:
        """`pulse`: called now and then while it is read; what it raises ends the work."""
        self.path, self.pulse = path, pulse

    def rows(self) -> Iterator[Rows]:
        """Raises OSError; Unfit for a line that `sift` would not have left there; what `pulse` raises."""
        with unpacked(self.path) as file:
            for lines in pieces(file):
                self.pulse()
                yield parsed(lines)


class Held:
    """JSON Lines in memory, to be read like those that lie in a file."""

    def __init__(self, lines: bytes) -> None:
        self.lines = lines

    def rows(self) -> Iterator[Rows]:
        """Raises Unfit."""
        yield parsed(self.lines)


def pieces(file: BufferedIOBase) -> Iterator[bytes]:
    """Whole lines, about four mebibytes at a time, or one that is longer."""
    while piece := file.read(_PIECE):
        yield piece if piece.endswith(b"\n") else piece + file.readline()


def parsed(lines: bytes) -> Rows:
    """Raises Unfit."""
    try:
        members = _rows(lines)
        if len(members) == lines.count(b"\n"):
            return Rows(lines, members, {})
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return _parsed_singly(lines)


def _parsed_singly(lines: bytes) -> Rows:
    items = lines.split(b"\n")[:-1]
    each = [members_of(item) for item in items]
    others = {at: items[at] for at, members in enumerate(each) if members is None}
    return Rows(lines, [members or {} for members in each], others)


def members_of(item: bytes) -> Mapping[str, bytes] | None:
    """Name → JSON text of each member; None for what is no object. Raises Unfit."""
    if item.lstrip(b" \t\r").startswith(b"{"):
        return read(item)
    decoded(item)
    return None
