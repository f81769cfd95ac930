"""Compressed files: a gzip member or a zstd frame for each chunk. The same chunk always makes the same bytes."""

import gzip
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BufferedIOBase
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP_LEVEL = 6
#: Of a whole file, which has to be made within one turn: a third of the time less, for some more bytes.
_GZIP_LEVEL_IN_A_HURRY = 4
_ZSTD_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Packing:
    """One way to compress.

    Attributes:
        coding: its name in `Content-Encoding` (RFC 9110, RFC 8878).
        suffix: what the names of such files end with.
        magic: what such files begin with; JSON never does.
        pack: a chunk as one member or frame.
        reading: a packed file as its unpacked content, member after member.
        writing: a file that packs what is written to it, as one member or frame; closing it leaves the other open.
    """

    coding: str
    suffix: str
    magic: bytes
    pack: Callable[[bytes], bytes]
    reading: Callable[[BufferedIOBase], BufferedIOBase]
    writing: Callable[[BufferedIOBase], BufferedIOBase]


def _zstd_reading(file: BufferedIOBase) -> BufferedIOBase:
    return zstd.ZstdFile(file)


def _zstd_writing(file: BufferedIOBase) -> BufferedIOBase:
    return zstd.ZstdFile(file, "wb", level=_ZSTD_LEVEL)


def _gzip_reading(file: BufferedIOBase) -> BufferedIOBase:
    return gzip.GzipFile(fileobj=file, mode="rb")


def _gzip_writing(file: BufferedIOBase) -> BufferedIOBase:
    """Neither a name nor a time in its head: they would differ from try to try."""
    return gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=_GZIP_LEVEL_IN_A_HURRY, mtime=0)


GZIP = Packing(
    "gzip",
    ".gz",
    b"\x1f\x8b",
    partial(gzip.compress, compresslevel=_GZIP_LEVEL, mtime=0),
    _gzip_reading,
    _gzip_writing,
)
ZSTD = Packing(
    "zstd", ".zst", b"\x28\xb5\x2f\xfd", partial(zstd.compress, level=_ZSTD_LEVEL), _zstd_reading, _zstd_writing
)
PACKINGS = (GZIP, ZSTD)


def packing_of(name: str) -> Packing | None:
    """How a file of that name is compressed; None if it is not."""
    return next((one for one in PACKINGS if name.lower().endswith(one.suffix)), None)


@contextmanager
def unpacked(path: Path) -> Iterator[BufferedIOBase]:
    """The content of a file, whether it is packed or not. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        packing = next((one for one in PACKINGS if head.startswith(one.magic)), None)
        yield packing.reading(file) if packing else file
