"""Some rows in a row, wherever they come from, ready to be streamed."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Protocol

from emulator.items.generated import BLOCK_ROWS, Generated

ENTRY = struct.Struct("<Q")
"""One entry of `items.index`: where a row's line ends in `items.jsonl`."""

_PIECE = 1024 * 1024


class Window(Protocol):
    """Rows `start … stop` of a dataset; memory stays near 1 MiB or one row, whichever is larger."""

    @property
    def size(self) -> int:
        """About as many bytes as the rows have."""

    def __len__(self) -> int: ...

    def pieces(self) -> Iterator[bytes]:
        """The rows' lines, oldest first, in pieces that need not end at a line break."""

    def rows(self, *, desc: bool = False) -> Iterator[bytes]:
        """The rows one by one, without their line breaks."""


@dataclass(frozen=True)
class StoredWindow:
    """Rows out of a dataset's two files."""

    folder: Path
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def size(self) -> int:
        """The rows' bytes, line breaks included."""
        return self._end_of(self.stop) - self._end_of(self.start)

    def pieces(self) -> Iterator[bytes]:
        """See `Window`."""
        left = self.size
        if not left:
            return
        with (self.folder / "items.jsonl").open("rb") as file:
            file.seek(self._end_of(self.start))
            while left:
                piece = file.read(min(_PIECE, left))
                left -= len(piece)
                yield piece

    def rows(self, *, desc: bool = False) -> Iterator[bytes]:
        """See `Window`."""
        if not len(self):
            return
        starts = range(self.start, self.stop, BLOCK_ROWS)
        with (self.folder / "items.jsonl").open("rb", buffering=0) as file:
            for start in reversed(starts) if desc else starts:
                ends = self._ends(start, min(start + BLOCK_ROWS, self.stop))
                yield from _lines(file, ends, desc=desc)

    def _end_of(self, row: int) -> int:
        return self._ends(row, row)[0]

    def _ends(self, first: int, last: int) -> list[int]:
        """Where the rows before `first`, `first + 1` … `last` end: one more number than rows in between."""
        if last == 0:
            return [0]
        with (self.folder / "items.index").open("rb") as file:
            file.seek(max(0, first - 1) * ENTRY.size)
            data = file.read((last - max(0, first - 1)) * ENTRY.size)
        ends = [end for (end,) in ENTRY.iter_unpack(data)]
        return ends if first else [0, *ends]


def _lines(file: BinaryIO, ends: list[int], *, desc: bool) -> Iterator[bytes]:
    """A block's lines: read in one go if they are small, one by one if memory would not stay flat."""
    if ends[-1] - ends[0] <= _PIECE:
        file.seek(ends[0])
        lines = file.read(ends[-1] - ends[0]).split(b"\n")[:-1]
        yield from reversed(lines) if desc else lines
        return
    spans = list(pairwise(ends))
    for begin, end in reversed(spans) if desc else spans:
        file.seek(begin)
        yield file.read(end - begin)[:-1]


@dataclass(frozen=True)
class GeneratedWindow:
    """Rows computed as they are read."""

    source: Generated
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def size(self) -> int:
        """About as many bytes as the rows have."""
        return self.source.size_of(len(self))

    def pieces(self) -> Iterator[bytes]:
        """See `Window`."""
        return self.source.pieces(self.start, self.stop)

    def rows(self, *, desc: bool = False) -> Iterator[bytes]:
        """See `Window`."""
        starts = range(self.start, self.stop, BLOCK_ROWS)
        for start in reversed(starts) if desc else starts:
            block = b"".join(self.source.pieces(start, min(start + BLOCK_ROWS, self.stop)))
            lines = block.split(b"\n")[:-1]
            yield from reversed(lines) if desc else lines
