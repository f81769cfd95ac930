"""Dataset rows on disk: JSON Lines that only grow, and an index that makes any window a seek.

`items.jsonl` holds one row a line; `items.index` holds, per row, where its line ends (8 bytes, little-endian).
Rows are written before their index entries, so a torn write leaves bytes that nothing points at and that the next
write covers. A generated dataset has `generated.json` instead: how many rows, and what they are made from.
"""

import os
import shutil
import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from emulator.errors import ApiError
from emulator.items.generated import DEFAULT_ITEM, Generated
from emulator.items.window import ENTRY, GeneratedWindow, StoredWindow, Window


class Datasets:
    """All datasets' rows below one folder.

    `lag` seconds pass before a pushed row is counted or seen, as on the platform (Apify API, "Get dataset").
    """

    def __init__(self, root: Path, lag: float = 0.0) -> None:
        self._root, self._lag = root, lag
        self._recent: dict[str, deque[tuple[float, int]]] = {}
        self._generated: dict[str, Generated] = {}
        self.reads: Counter[str] = Counter()
        """How often each dataset's items were asked for since the emulator started."""

    def create(self, id_: str) -> None:
        """Make room for a dataset."""
        folder = self._root / id_
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("items.jsonl", "items.index"):
            (folder / name).touch()

    def delete(self, id_: str) -> None:
        """Remove a dataset's rows."""
        shutil.rmtree(self._root / id_, ignore_errors=True)
        for known in (self._recent, self._generated, self.reads):
            known.pop(id_, None)

    def count(self, id_: str) -> int:
        """Rows pushed or generated so far."""
        if made := self.generated(id_):
            return made.rows
        return (self._root / id_ / "items.index").stat().st_size // ENTRY.size

    def size(self, id_: str) -> int:
        """Bytes on disk."""
        return (self._root / id_ / "items.jsonl").stat().st_size

    def visible(self, id_: str) -> int:
        """Rows that reads may see by now."""
        recent = self._recent.get(id_, deque())
        while recent and recent[0][0] <= time.monotonic() - self._lag:
            recent.popleft()
        return recent[0][1] if recent else self.count(id_)

    def append(self, id_: str, rows: list[bytes]) -> None:
        """Store rows at the end. Raises: ApiError 400 if the dataset is a generated one."""
        if self.generated(id_):
            raise ApiError(400, "dataset-locked", "A generated dataset takes no items.")
        self._remember(id_)
        folder = self._root / id_
        with (folder / "items.index").open("r+b") as index, (folder / "items.jsonl").open("r+b") as items:
            end = _go_to_ends(index, items)
            items.write(b"\n".join([*rows, b""]))
            items.flush()
            for row in rows:
                end += len(row) + 1
                index.write(ENTRY.pack(end))

    def generate(self, id_: str, rows: int, item: Mapping[str, Any] | None = None) -> None:
        """Let an empty dataset have this many rows, made from `item` (see `Generated`) whenever they are read.

        Raises: ApiError 400 if the dataset has rows already.
        """
        if self.count(id_):
            raise ApiError(400, "dataset-locked", "Only an empty dataset can be generated.")
        self._remember(id_)
        made = Generated.of(rows, DEFAULT_ITEM if item is None else item)
        place = self._root / id_ / "generated.json"
        draft = place.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(made))
        draft.replace(place)

    def generated(self, id_: str) -> Generated | None:
        """What a generated dataset is made from; None for one that holds pushed rows."""
        place = self._root / id_ / "generated.json"
        if id_ not in self._generated and place.exists():
            self._generated[id_] = msgspec.json.decode(place.read_bytes(), type=Generated)
        return self._generated.get(id_)

    def window(self, id_: str, total: int, offset: int, limit: int, *, desc: bool = False) -> Window:
        """The rows `offset … offset + limit` of the first `total`, counted from the newest of these when `desc`."""
        first, last = min(offset, total), min(offset + limit, total)
        start, stop = (total - last, total - first) if desc else (first, last)
        if made := self.generated(id_):
            return GeneratedWindow(made, start, stop)
        return StoredWindow(self._root / id_, start, stop)

    def _remember(self, id_: str) -> None:
        """Keep in mind how many rows there were before a write, for as long as these are all that can be seen."""
        if self._lag:
            self.visible(id_)  # forgets writes that are old enough
            self._recent.setdefault(id_, deque()).append((time.monotonic(), self.count(id_)))


def _go_to_ends(index: BinaryIO, items: BinaryIO) -> int:
    """Go to where the last whole row ends in both files, over anything torn, and return that place in `items`."""
    entries = index.seek(0, os.SEEK_END) // ENTRY.size
    index.seek(max(0, entries - 1) * ENTRY.size)
    (end,) = ENTRY.unpack(index.read(ENTRY.size)) if entries else (0,)
    return items.seek(end)
