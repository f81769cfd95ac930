"""Part files: what a delivery wrote so far, beside its target, until one rename makes it visible.

`<final>.<suffix>.part` is held with `flock` while somebody writes, so two processes never mix their bytes. Its mark
says how far it durably got; the ledger keeps the mark, and a file that no longer agrees with it is begun again. Packed,
a chunk is one member or frame, so that every mark is the end of one. All calls block: run them with `blocking`.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, ParamSpec, TypeVar

import msgspec
import structlog

from config.contracts.errors import Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from workers.packing import Packing

log = structlog.get_logger()

P = ParamSpec("P")
R = TypeVar("R")

_PIECE = 1 << 20
#: How much of a file's end tells whether it is the one the mark was made of.
_TAIL = 1 << 16
_NO_ACCESS = {
    errno.EACCES: "let the worker write it and its folder",
    errno.EPERM: "let the worker write it and its folder",
    errno.EROFS: "mount its disk so that it can be written",
}
_WRONG_PLACE = {
    errno.ENAMETOOLONG: "make the name in `path` shorter",
    errno.EISDIR: "move the folder away, or write to another path",
    errno.ENOTDIR: "a file stands where a folder is needed: move it away, or write to another path",
    errno.ELOOP: "it is a link: remove it, or write to another path",
    errno.EEXIST: "a file stands where a folder is needed: move it away, or write to another path",
    errno.ENOTEMPTY: "move the folder away, or write to another path",
}
_PASSES = {
    errno.ENOSPC: "make room on its disk",
    errno.ENOENT: "its folder is gone: make it again",
    errno.EDQUOT: "make room, or raise the quota of the worker's user",
    errno.EFBIG: "let the worker write larger files (ulimit -f), or write to a file system that holds them",
    errno.EMFILE: "let the worker open more files (ulimit -n)",
    errno.ENFILE: "let this machine open more files (fs.file-max)",
    errno.EIO: "look after its disk",
    errno.ESTALE: "mount its folder again",
}


class Mark(msgspec.Struct, frozen=True):
    """How far a part file durably got.

    Attributes:
        bytes, rows: size of the file, and newlines in it once unpacked.
        tail, tail_bytes: sha256 and size of the end of the last chunk as it lies in the file.
        inode: the file itself; a rename keeps it, so that a published file is known again.
    """

    bytes: int = 0
    rows: int = 0
    tail: str = hashlib.sha256().hexdigest()
    tail_bytes: int = 0
    inode: int = 0

    def position(self) -> dict[str, Any]:
        """The mark in JSON types, for the ledger."""
        return msgspec.structs.asdict(self)


class Grown(msgspec.Struct, frozen=True):
    """What one call added, counted by reading the file again."""

    rows: int
    bytes: int


class PartFile:
    """One file on its way to `final`. Only one writer, in one process, has it at a time.

    Attributes:
        mark: how far it got.
        resumed: whether it goes on from the position it was started with.
    """

    def __init__(self, final: Path, suffix: str, *, packing: Packing | None = None, fsync: bool = True) -> None:
        """`suffix`: makes the name of the part unique among deliveries. `fsync`: survive power loss."""
        self.final = final
        self.part = final.with_name(f"{final.name}.{suffix}.part")
        self.packing, self.fsync = packing, fsync
        self.mark = Mark()
        self.resumed = False
        self._fd: int | None = None
        self._published = False
        self._closed = False
        self._busy = Lock()  # a cancelled task's thread may still be writing when the file is closed

    def start(self, position: Mapping[str, Any] | None) -> None:
        """Begin, or go on at a mark. Raises Transient if another writer has the file, OSError."""
        with self._busy, said_of(self.final):
            mark = _mark(position)
            if mark is not None and self._became(mark):
                self.mark, self.resumed, self._published = mark, True, True
                return
            fd = self._open()
            if mark is not None and _holds(fd, mark):
                self.mark, self.resumed = mark, True
        if position is not None and not self.resumed:
            log.warning("staging.lost", file=self.final.name)

    @property
    def position(self) -> dict[str, Any] | None:
        """What the ledger keeps to go on from here; None while there is nothing to go on from."""
        return self.mark.position() if self.resumed or self.mark.bytes else None

    def append(self, chunk: bytes, *, sync: bool = True) -> Grown:
        """Write one chunk behind the mark and move the mark. `sync`: make it durable now. Raises OSError."""
        with self._busy, said_of(self.final):
            if not chunk:
                return Grown(rows=0, bytes=0)
            if self._published:
                self._take_back()
            return self._write(chunk, sync=sync)

    def publish(self) -> Grown:
        """Rename it to `final`, durably. A second time, and after a crash in between, does nothing. Raises OSError."""
        with self._busy, said_of(self.final):
            if self._published:
                return Grown(rows=0, bytes=0)
            added = Grown(rows=0, bytes=0)
            if self.packing and not self.mark.bytes:
                added = self._write(b"", sync=False)
            os.ftruncate(self._file(), self.mark.bytes)
            self._sync()
            self.part.replace(self.final)
            self._published = True
            if self.fsync:
                sync_folder(self.final.parent)
            return added

    def read(self) -> bytes:
        """Everything up to the mark, unpacked or not, as it lies in the file."""
        with self._busy, said_of(self.final):
            return os.pread(self._file(), self.mark.bytes, 0)

    def finished(self) -> Path:
        """The part as a file of whole lines: without what was written behind the mark. Raises OSError."""
        with self._busy, said_of(self.final):
            os.ftruncate(self._file(), self.mark.bytes)
            return self.part

    def discard(self) -> None:
        """Remove the part: it was never meant to become a file."""
        with self._busy, said_of(self.final):
            self.part.unlink(missing_ok=True)
            self.mark = Mark()

    def close(self) -> None:
        """Let go of the file, keeping what is needed to go on. Waits for a call that is still running."""
        with self._busy, said_of(self.final):
            self._closed = True
            if self._fd is None:
                return
            if not self._published and not self.mark.bytes:
                self.part.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None

    def _file(self) -> int:
        if self._fd is None:
            raise OSError(errno.EBADF, "the part file is not open", str(self.part))
        return self._fd

    def _open(self) -> int:
        if self._closed:
            raise OSError(errno.EBADF, "the part file is closed", str(self.part))
        self._fd = os.open(self.part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.fstat(self._fd).st_ino == self.part.lstat().st_ino
        except (BlockingIOError, FileNotFoundError):
            mine = False
        if mine:
            return self._fd
        os.close(self._fd)
        self._fd = None
        raise Transient(Reason.TARGET_UNAVAILABLE, f"another process is writing {self.final.name}")

    def _became(self, mark: Mark) -> bool:
        """Whether the process died between the rename and the ledger: then `final` is this very file."""
        try:
            found = self.final.lstat()
            if self.part.exists() or not stat.S_ISREG(found.st_mode) or found.st_ino != mark.inode:
                return False
            with self.final.open("rb") as file:
                return found.st_size == mark.bytes and _holds(file.fileno(), mark)
        except FileNotFoundError:
            return False

    def _take_back(self) -> None:
        """Rows came after all: go on in a copy, so that readers of `final` never see it grow."""
        old = self._fd
        fd = self._open()
        if old is not None:
            os.close(old)
        with self.final.open("rb") as source, os.fdopen(os.dup(fd), "wb") as copy:
            shutil.copyfileobj(source, copy, _PIECE)
        self._published = False

    def _write(self, chunk: bytes, *, sync: bool) -> Grown:
        fd, begin = self._file(), self.mark.bytes
        os.ftruncate(fd, begin)
        _write_at(fd, self.packing.pack(chunk) if self.packing else chunk, begin)
        if sync:
            self._sync()
        rows, size = _look(fd, begin, self.packing)
        tail = min(size, _TAIL)
        self.mark = Mark(
            bytes=begin + size,
            rows=self.mark.rows + rows,
            tail=_digest(fd, begin + size - tail, begin + size),
            tail_bytes=tail,
            inode=os.fstat(fd).st_ino,
        )
        return Grown(rows=rows, bytes=size)

    def _sync(self) -> None:
        if not self.fsync:
            return
        try:
            os.fsync(self._file())
        except OSError:
            # After a failed fsync the pages may be gone although they still read well: never trust this file again.
            self.part.unlink(missing_ok=True)
            raise


async def blocking(work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run file work in a thread; trouble with the disk becomes its verdict.

    Raises: Transient for what passes (full, busy), Unauthorized for what a person has to allow, Permanent for a path
    that can never be a file.
    """
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except OSError as exc:
        raise disk_verdict(exc) from exc


@contextmanager
def said_of(path: Path) -> Iterator[None]:
    """An OSError in here that names no file, such as one of a write, names this one."""
    try:
        yield
    except OSError as exc:
        exc.filename = exc.filename or str(path)
        raise


def disk_verdict(exc: OSError) -> WorkError:
    """What happens next after trouble with the disk, with what to do about it."""
    name = Path(os.fsdecode(exc.filename)).name if isinstance(exc.filename, str | bytes | os.PathLike) else "the file"
    cures = _NO_ACCESS | _WRONG_PLACE | _PASSES
    said = f"{os.strerror(exc.errno) if exc.errno else type(exc).__name__}: {name}"
    detail = f"{said}: {cures[exc.errno]}" if exc.errno in cures else said
    if exc.errno in _NO_ACCESS:
        return Unauthorized(Reason.TARGET_REFUSED, detail)
    if exc.errno in _WRONG_PLACE:
        return Permanent(Reason.TARGET_REFUSED, detail)
    return Transient(Reason.TARGET_UNAVAILABLE, detail)


def _mark(position: Mapping[str, Any] | None) -> Mark | None:
    try:
        return None if position is None else msgspec.convert(position, Mark)
    except msgspec.ValidationError:
        return None


def _holds(fd: int, mark: Mark) -> bool:
    """Whether the file is at least as long as the mark says, and ends there in the same way."""
    if os.fstat(fd).st_size < mark.bytes:
        return False
    return _digest(fd, mark.bytes - mark.tail_bytes, mark.bytes) == mark.tail


def _digest(fd: int, begin: int, end: int) -> str:
    """sha256 of a stretch of the file, in hex."""
    sha = hashlib.sha256()
    while begin < end and (piece := os.pread(fd, min(_PIECE, end - begin), begin)):
        sha.update(piece)
        begin += len(piece)
    return sha.hexdigest()


def _look(fd: int, begin: int, packing: Packing | None) -> tuple[int, int]:
    """Rows and bytes of what the file holds from `begin` to its end: counted there, not where it came from."""
    rows, size = 0, os.fstat(fd).st_size - begin
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(begin)
        content = packing.reading(file) if packing else file
        while piece := content.read(_PIECE):
            rows += piece.count(b"\n")
    return rows, size


def _write_at(fd: int, chunk: bytes, at: int) -> None:
    rest = memoryview(chunk)
    while rest:
        written = os.pwrite(fd, rest, at)
        rest, at = rest[written:], at + written


def sync_folder(folder: Path) -> None:
    """Make a rename in it durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
