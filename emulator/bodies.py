"""Request bodies: decompressed while they arrive, and never larger than allowed (Apify API, "Payload limits")."""

import re
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Protocol, TypeVar

import brotli  # type: ignore[import-untyped]  # it ships no types
import msgspec
from starlette.requests import Request

from emulator.errors import ApiError, invalid_input

_PIECE = 64 * 1024
_NEVER = re.compile(r"q\s*=\s*0(\.0*)?")

Shape = TypeVar("Shape")


class _Decoder(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]: ...
    def is_complete(self) -> bool: ...


class _Identity:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def is_complete(self) -> bool:
        return True


class _Zlib:
    """gzip, of one member or several, and deflate; the window bits 47 detect which of the two it is."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(47)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(47)
            yield self._inflate.decompress(data, _PIECE)
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail

    def is_complete(self) -> bool:
        return self._inflate.eof


class _Brotli:
    def __init__(self) -> None:
        self._inflate = brotli.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        piece = self._inflate.process(data, output_buffer_limit=_PIECE)
        while piece:  # an empty piece means that it waits for more input
            yield piece
            piece = self._inflate.process(b"", output_buffer_limit=_PIECE)

    def is_complete(self) -> bool:
        return bool(self._inflate.is_finished())


_DECODERS: dict[str, type[_Decoder]] = {
    "": _Identity,
    "identity": _Identity,
    "gzip": _Zlib,
    "deflate": _Zlib,
    "br": _Brotli,
}


def encoding_of(request: Request) -> str:
    """The body's Content-Encoding; "" for none. Raises: ApiError 415 for an unknown one."""
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in _DECODERS:
        raise ApiError(415, "unsupported-content-encoding", "Content-Encoding must be gzip, deflate, br or identity.")
    return "" if encoding == "identity" else encoding


def accepts(header: str, encoding: str) -> bool:
    """Whether an Accept-Encoding header allows this encoding."""
    wishes = [wish.strip().lower().partition(";") for wish in header.split(",")]
    return any(name.strip() in {encoding, "*"} and not _NEVER.fullmatch(weight.strip()) for name, _, weight in wishes)


def decoded(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """What was stored compressed, decompressed piece by piece."""
    decoder = _DECODERS[encoding]()
    for data in pieces:
        yield from decoder.feed(data)


class Body:
    """One request body, read once: decompressed or as sent.

    Attributes:
        encoding: "" or gzip, deflate, br.
        size: decompressed bytes read so far.

    Reading raises: ApiError 413 beyond `limit` decompressed bytes, 400 if it does not match its encoding; making one:
    415 for an unknown encoding.
    """

    def __init__(self, request: Request, limit: int) -> None:
        self.encoding, self.size = encoding_of(request), 0
        self._request, self._limit = request, limit
        self._decoder = _DECODERS[self.encoding]()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body decompressed."""
        async for data in self._arriving():
            for piece in self._checked(data):
                if piece:
                    yield piece
        self._end()

    async def as_sent(self) -> AsyncIterator[bytes]:
        """The body as it arrived, after a look at what it holds."""
        async for data in self._arriving():
            for _ in self._checked(data):
                pass
            if data:
                yield data
        self._end()

    async def _arriving(self) -> AsyncIterator[bytes]:
        if not self.encoding and int(self._request.headers.get("content-length", "0")) > self._limit:
            raise _too_large(self._limit)
        async for data in self._request.stream():
            yield data

    def _checked(self, data: bytes) -> Iterator[bytes]:
        try:
            for piece in self._decoder.feed(data):
                self.size += len(piece)
                if self.size > self._limit:
                    raise _too_large(self._limit)
                yield piece
        except (zlib.error, brotli.error) as error:
            raise invalid_input("The request body does not match its Content-Encoding.") from error

    def _end(self) -> None:
        if self.size and not self._decoder.is_complete():
            raise invalid_input("The compressed request body ends too early.")


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "request-too-large", f"The request body is larger than {limit} bytes.")


def body_pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The decompressed body piece by piece; what it raises is said at `Body`."""
    return Body(request, limit).pieces()


async def whole_body(request: Request, limit: int) -> bytes:
    """The decompressed body; for bodies that have to be looked at as a whole."""
    return b"".join([piece async for piece in body_pieces(request, limit)])


async def json_body(request: Request, limit: int, type_: type[Shape]) -> Shape:
    """A JSON body of this shape. Raises: ApiError 400 if it is another."""
    body = await whole_body(request, limit)
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise invalid_input(f"The request body is not what this endpoint takes: {error}.") from None


async def json_object(request: Request, limit: int) -> dict[str, Any]:
    """A body that must be a JSON object; an empty one counts as `{}`."""
    body = await whole_body(request, limit)
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise invalid_input("The request body must be a JSON object.") from None
