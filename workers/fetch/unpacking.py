"""Bodies as they were before the platform packed them, in bounded pieces. A packed body without its end is an error,
never a short body: aiohttp hands out what it has of a cut gzip stream as if that were all.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol

import brotli  # type: ignore[import-untyped]  # it ships no types
from aiohttp.client_exceptions import ClientPayloadError
from backports import zstd

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason

#: What we can unpack, and ask for (RFC 9110, 8.4.1; brotli is RFC 7932, zstd RFC 9659).
ENCODINGS = "gzip, deflate, br, zstd"
#: Largest piece that is handed out: a small packed body may unpack to a thousand times its size and more.
PIECE = 1024 * 1024
#: A body may unpack to this many times its packed size, once it is larger than FREE bytes. Rows and logs pack well, but
#: not so well.
RATIO = 250
FREE = 64 * 1024 * 1024
_GZIP, _ZLIB, _BARE = 31, 15, -15
_ZLIB_METHOD = 8
#: A sender may expect a window of 8 MiB, no larger (RFC 9659).
_ZSTD_OPTIONS = {int(zstd.DecompressionParameter.window_log_max): 23}


async def unpacked(pieces: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """The pieces unpacked. `encoding`: value of `Content-Encoding`, empty without one.

    Raises ClientPayloadError if the packed body lacks its end or is damaged, Permanent for an encoding nobody asked for
    and for a body that unpacks to far more than rows, records and logs do.
    """
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        async for piece in pieces:
            yield piece
        return
    if encoding not in _UNPACKERS:
        raise Permanent(Reason.SOURCE_REFUSED, f"the body is packed in a way we did not ask for: {encoding[:40]}")
    unpacker, came, went = _UNPACKERS[encoding](), 0, 0
    async for packed in pieces:
        came += len(packed)
        for piece in _sound(unpacker.feed(packed)):
            went += len(piece)
            if went > max(FREE, came * RATIO):
                raise Permanent(Reason.SOURCE_REFUSED, f"the body unpacks to more than {RATIO} times its size")
            yield piece
            await asyncio.sleep(0)  # a few packed bytes may be many pieces; others get their turn in between
    if not unpacker.ended:
        raise ClientPayloadError("the packed body was cut off")


def _sound(pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    except (zlib.error, brotli.error, zstd.ZstdError) as exc:
        raise ClientPayloadError("the packed body is damaged") from exc


class _Unpacker(Protocol):
    @property
    def ended(self) -> bool:
        """Whether what came so far is a whole body."""
        ...

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """What these bytes unpack to, in pieces of at most PIECE bytes; take them all before the next call."""
        ...


class _Zlib:
    """One or more packed members, one behind the other."""

    def __init__(self, window: int | None) -> None:
        """`window`: zlib's word for the format; None is told by the first byte, for some send `deflate` bare."""
        self._window = window
        self._member: zlib._Decompress | None = None

    @property
    def ended(self) -> bool:
        return self._member is not None and self._member.eof

    def feed(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            member = self._current(packed)
            if piece := member.decompress(packed, PIECE):
                yield piece
            packed = member.unused_data if member.eof else member.unconsumed_tail
        yield from self._held_back()

    def _current(self, packed: bytes) -> "zlib._Decompress":
        if self._member is None or self._member.eof:
            window = self._window or (_ZLIB if packed[0] & 0x0F == _ZLIB_METHOD else _BARE)
            self._member = zlib.decompressobj(window)
        return self._member

    def _held_back(self) -> Iterator[bytes]:
        """What zlib has read already and not handed out yet, because the last piece was full."""
        while self._member and not self._member.eof and (piece := self._member.decompress(b"", PIECE)):
            yield piece


class _Brotli:
    """One stream; anything behind its end is damage."""

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    @property
    def ended(self) -> bool:
        return bool(self._stream.is_finished())

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """Its limit is a hint: it may hand out twice as much at once."""
        while piece := self._stream.process(packed, output_buffer_limit=PIECE):
            for start in range(0, len(piece), PIECE):
                yield piece[start : start + PIECE]
            packed = b""


class _Zstd:
    """One or more frames, one behind the other."""

    def __init__(self) -> None:
        self._frame: zstd.ZstdDecompressor | None = None

    @property
    def ended(self) -> bool:
        return self._frame is not None and self._frame.eof

    def feed(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            if self._frame is None or self._frame.eof:
                self._frame = zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)
            yield from self._pieces(self._frame, packed)
            packed = self._frame.unused_data

    @staticmethod
    def _pieces(frame: zstd.ZstdDecompressor, packed: bytes) -> Iterator[bytes]:
        """It keeps what it could not unpack yet; only at a frame's end something is left over."""
        while not frame.eof and (piece := frame.decompress(packed, PIECE)):
            yield piece
            packed = b""


_UNPACKERS: dict[str, Callable[[], _Unpacker]] = {
    "gzip": lambda: _Zlib(_GZIP),
    "x-gzip": lambda: _Zlib(_GZIP),
    "deflate": lambda: _Zlib(None),
    "br": _Brotli,
    "zstd": _Zstd,
}
