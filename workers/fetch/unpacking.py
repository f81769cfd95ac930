"""Bodies as they were before the platform packed them. A packed body without its end is an error, never a short body:
aiohttp hands out what it has of a cut gzip stream as if that were all.
"""

import zlib
from collections.abc import AsyncIterator, Iterator

from aiohttp.client_exceptions import ClientPayloadError

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason

#: What we can unpack, and ask for (RFC 9110, 8.4.1).
ENCODINGS = "gzip, deflate"
#: Largest piece that is handed out: a small packed body may unpack to a thousand times its size.
PIECE = 1024 * 1024
_GZIP, _ZLIB, _BARE = 31, 15, -15
_ZLIB_METHOD = 8


async def unpacked(pieces: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """The pieces unpacked. `encoding`: value of `Content-Encoding`, empty without one.

    Raises ClientPayloadError if the packed body lacks its end, zlib.error if it is damaged, Permanent for an encoding
    nobody asked for.
    """
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        async for piece in pieces:
            yield piece
        return
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise Permanent(Reason.SOURCE_REFUSED, f"the body is packed in a way we did not ask for: {encoding[:40]}")
    unpacker = _Unpacker(_GZIP if "gzip" in encoding else None)
    async for packed in pieces:
        for piece in unpacker.feed(packed):
            yield piece
    if not unpacker.ended:
        raise ClientPayloadError("the packed body was cut off")


class _Unpacker:
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
