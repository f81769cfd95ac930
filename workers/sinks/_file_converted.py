"""A CSV, Parquet or Excel file: made of a part of JSON Lines when all items are there."""

import os
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Taken
from workers.formats import Format, Layout, Written, convert, counted, sift
from workers.sinks._file_folder import create
from workers.staging import PartFile, said_of, sync_folder

_INODE = "new"


class ConvertedFile:
    """One file on its way. All calls block.

    Beside the part lies the file to be, `<final>.<suffix>.new`, empty until all items are there. Its inode is part of
    the position, and a rename keeps it: after a crash behind the rename the finished file is known by that, when the
    part is gone.
    """

    def __init__(self, final: Path, suffix: str, format: Format, layout: Layout, *, fsync: bool) -> None:
        self.final, self.format, self.layout, self.fsync = final, format, layout, fsync
        self.part = PartFile(final, suffix, fsync=fsync)
        self.new = final.with_name(f"{final.name}.{suffix}.new")
        self.made = False
        self._inode = 0
        self._staged = (0, 0)  # rows and bytes of the part
        self._position: dict[str, Any] | None = None
        self._closing = False
        self._busy = Lock()  # a cancelled task's thread may still be making the file when it is closed

    def start(self, position: Mapping[str, Any] | None) -> None:
        """Raises Transient if another writer has the file, OSError."""
        if position is not None and self._became(position):
            self.made, self._position = True, dict(position)
            self._staged = int(position["rows"]), int(position["bytes"])
            return
        self.part.start(position)
        self._inode = create(self.new)
        if self.part.position:
            self._move()

    @property
    def position(self) -> dict[str, Any] | None:
        return self._position

    def append(self, batch: Batch) -> Taken:
        """Stage the items that this format can hold. Raises OSError; Transient if the file is finished already."""
        with self._busy:
            if self.made:
                self._begin_again()
            lines, rejected = sift(batch, self.format, self.layout)
            grown = self.part.append(lines)
            self._move()
        return Taken(rows=grown.rows, out=0, bytes=grown.bytes, position=self._position, rejected=rejected)

    def publish(self) -> Taken:
        """Make the file and rename it to `final`. Again, also after a crash, it comes to the same.

        Returns what differs from the part: rows that got lost, and bytes.
        """
        with self._busy, said_of(self.final):
            written = counted(self.final, self.format) if self.made else self._make()
        rows, size = self._staged
        return Taken(rows=written.rows - rows, out=1, bytes=written.bytes - size, position=self._position)

    def close(self) -> None:
        """Let go, keeping what is needed to go on; a conversion under way stops soon."""
        self._closing = True
        with self._busy:
            self.part.close()
            if not self.part.part.exists():
                self.new.unlink(missing_ok=True)

    def _make(self) -> Written:
        written = convert(self.part.finished(), self.new, self.format, self.layout, self._pulse)
        if written.rows != self._staged[0]:
            why = f"{self.final.name} got {written.rows} rows of {self._staged[0]}: a bug of ours, keep the part file"
            raise Permanent(Reason.COUNT_MISMATCH, why)
        if self.fsync:
            _sync(self.new)
        self.new.replace(self.final)
        if self.fsync:
            sync_folder(self.final.parent)
        self.made = True
        self.part.discard()
        return written

    def _pulse(self) -> None:
        if self._closing:
            raise Transient(Reason.TARGET_UNAVAILABLE, f"stopped while {self.final.name} was made")

    def _became(self, position: Mapping[str, Any]) -> bool:
        """Whether a process died after the rename: then `final` is the file that was to be."""
        try:
            return not self.part.part.exists() and self.final.lstat().st_ino == position.get(_INODE)
        except FileNotFoundError:
            return False

    def _begin_again(self) -> None:
        """Rows came after the file was finished, and the part is gone: an empty one makes the next turn write all."""
        create(self.part.part)
        raise Transient(Reason.TARGET_UNAVAILABLE, f"more rows came after {self.final.name} was made: all come again")

    def _move(self) -> None:
        mark = self.part.mark
        self._staged = mark.rows, mark.bytes
        self._position = {**mark.position(), _INODE: self._inode}


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
