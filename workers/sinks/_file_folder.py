"""The folder of a file sink: where its files lie, and whether they may."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Shipment
from workers.staging import blocking

#: With less than that a disk counts as full before anything is sent.
_LITTLE = 64 << 20


class Begun(Protocol):
    """A file on its way. All calls block."""

    def start(self, position: dict[str, Any] | None, /) -> None: ...

    def close(self) -> None: ...


class Folder:
    """Everything of one sink lies under `base`. `fsync`: files survive power loss."""

    def __init__(self, base: Path, *, fsync: bool) -> None:
        self.base, self.fsync = base, fsync

    async def place(self, path: PurePosixPath) -> Path:
        """Where a file goes, in a folder that exists and really lies under the base."""
        final = self.base / path
        await blocking(self._make, final.parent)
        return final

    def try_out(self) -> None:
        """See whether files can be written; nothing stays behind. Raises OSError, Transient for a disk that is full."""
        there = next(folder for folder in (self.base, *self.base.parents) if folder.exists())
        try:
            with tempfile.TemporaryFile(dir=there) as file:
                file.write(b"0")
        except FileNotFoundError as exc:
            raise self._unmakeable() from exc
        except OSError as exc:
            exc.filename = str(there)  # and not that of our try
            raise
        free = shutil.disk_usage(there).free
        if free < _LITTLE:
            raise Transient(
                Reason.TARGET_UNAVAILABLE,
                f"only {free >> 20} MiB are free on the disk of {self.base.name}: make room",
            )

    def _make(self, folder: Path) -> None:
        if not folder.resolve().is_relative_to(self.base):
            raise Permanent(Reason.PATH_ESCAPE, f"the folder {folder.name} is a link that leaves the base")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as exc:
            raise self._unmakeable() from exc

    def _unmakeable(self) -> Transient:
        said = f"the folder {self.base.name} cannot be made: make it, or mend `base`"
        return Transient(Reason.TARGET_UNAVAILABLE, said)


def suffix_of(shipment: Shipment) -> str:
    """What tells the parts of one delivery from those of others: every generation writes its own."""
    return f"{shipment.delivery.id[:16]}-g{shipment.delivery.generation}"


@asynccontextmanager
async def started(begun: Begun, position: dict[str, Any] | None) -> AsyncIterator[None]:
    """Begin or go on, and let go in the end, also when cancelled."""
    try:
        await blocking(begun.start, position)
        yield
    finally:
        await asyncio.shield(asyncio.to_thread(begun.close))


def create(path: Path) -> int:
    """The inode of a file that is there afterwards, empty if it was not. Never follows a link. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)
