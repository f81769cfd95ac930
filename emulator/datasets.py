"""Dataset rows on disk: JSON Lines that only grow, and an index that makes any window a seek.

`items.jsonl` holds one row a line; `items.index` holds, per row, where its line ends (8 bytes, little-endian).
Rows are written before their index entries, so a torn write leaves bytes that nothing points at and that the next
write covers.
"""

import os
import shutil
import struct
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

_ENTRY = 8
_PIECE = 256 * 1024
_BLOCK_ROWS = 1000


@dataclass(frozen=True)
class Window:
    """Some rows in a row, ready to be streamed; memory stays near 256 KiB or one row, whichever is larger."""

    folder: Path
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def pieces(self) -> Iterator[bytes]:
        """The rows' bytes, oldest first, in pieces that need not end at a line break."""
        left = self._end_of(self.stop) - (begin := self._end_of(self.start))
        if not left:
            return
        with (self.folder / "items.jsonl").open("rb") as file:
            file.seek(begin)
            while left:
                piece = file.read(min(_PIECE, left))
                left -= len(piece)
                yield piece

    def rows(self, *, desc: bool = False) -> Iterator[bytes]:
        """The rows one by one, without their line breaks."""
        if not len(self):
            return
        starts = range(self.start, self.stop, _BLOCK_ROWS)
        with (self.folder / "items.jsonl").open("rb") as file:
            for start in reversed(starts) if desc else starts:
                spans = list(pairwise(self._ends(start, min(start + _BLOCK_ROWS, self.stop))))
                for begin, end in reversed(spans) if desc else spans:
                    file.seek(begin)
                    yield file.read(end - begin - 1)

    def _end_of(self, row: int) -> int:
        return self._ends(row, row)[0]

    def _ends(self, first: int, last: int) -> list[int]:
        """Where the rows before `first`, `first + 1` … `last` end: one more number than rows in between."""
        if last == 0:
            return [0]
        with (self.folder / "items.index").open("rb") as file:
            file.seek(max(0, first - 1) * _ENTRY)
            data = file.read((last - max(0, first - 1)) * _ENTRY)
        ends = list(struct.unpack(f"<{len(data) // _ENTRY}Q", data))
        return ends if first else [0, *ends]


class Datasets:
    """All datasets' rows below one folder.

    `lag` seconds pass before a pushed row is counted or seen, as on the platform (Apify API, "Get dataset").
    """

    def __init__(self, root: Path, lag: float = 0.0) -> None:
        self._root, self._lag = root, lag
        self._recent: dict[str, deque[tuple[float, int]]] = {}

    def create(self, id_: str) -> None:
        """Make room for a dataset."""
        folder = self._root / id_
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("items.jsonl", "items.index"):
            (folder / name).touch()

    def delete(self, id_: str) -> None:
        """Remove a dataset's rows."""
        shutil.rmtree(self._root / id_, ignore_errors=True)
        self._recent.pop(id_, None)

    def count(self, id_: str) -> int:
        """Rows pushed so far."""
        return (self._root / id_ / "items.index").stat().st_size // _ENTRY

    def visible(self, id_: str) -> int:
        """Rows that reads may see by now."""
        recent = self._recent.get(id_, deque())
        while recent and recent[0][0] <= time.monotonic() - self._lag:
            recent.popleft()
        return recent[0][1] if recent else self.count(id_)

    def append(self, id_: str, rows: list[bytes]) -> None:
        """Store rows at the end."""
        if self._lag:
            self.visible(id_)  # forgets pushes that are old enough
            self._recent.setdefault(id_, deque()).append((time.monotonic(), self.count(id_)))
        folder = self._root / id_
        with (folder / "items.index").open("r+b") as index, (folder / "items.jsonl").open("r+b") as items:
            end = _go_to_ends(index, items)
            items.write(b"\n".join([*rows, b""]))
            items.flush()
            for row in rows:
                end += len(row) + 1
                index.write(struct.pack("<Q", end))

    def window(self, id_: str, total: int, offset: int, limit: int, *, desc: bool = False) -> Window:
        """The rows `offset … offset + limit` of the first `total`, counted from the newest of these when `desc`."""
        first, last = min(offset, total), min(offset + limit, total)
        start, stop = (total - last, total - first) if desc else (first, last)
        return Window(self._root / id_, start, stop)


def _go_to_ends(index: BinaryIO, items: BinaryIO) -> int:
    """Go to where the last whole row ends in both files, over anything torn, and return that place in `items`."""
    entries = index.seek(0, os.SEEK_END) // _ENTRY
    index.seek(max(0, entries - 1) * _ENTRY)
    (end,) = struct.unpack("<Q", index.read(_ENTRY)) if entries else (0,)
    return items.seek(end)
