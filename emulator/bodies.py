"""Request bodies: decompressed while they arrive, and never larger than allowed (Apify API, "Payload limits")."""

import zlib
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any, Protocol

import msgspec
from starlette.requests import Request

from emulator.errors import ApiError, invalid_input

_PIECE = 64 * 1024


class _Decoder(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]: ...
    def is_complete(self) -> bool: ...


class _Identity:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def is_complete(self) -> bool:
        return True


class _Zlib:
    """gzip and deflate; the window bits 47 detect which of the two it is."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(47)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            yield self._inflate.decompress(data, _PIECE)
            data = self._inflate.unconsumed_tail

    def is_complete(self) -> bool:
        return self._inflate.eof


class _Brotli:
    def __init__(self) -> None:
        # An extra, and without types: only Actors on the official SDK send it.
        self._inflate: Any = import_module("brotli").Decompressor()

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


def _decoder(request: Request) -> _Decoder:
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in _DECODERS:
        raise ApiError(415, "unsupported-content-encoding", "Content-Encoding must be gzip, deflate, br or identity.")
    try:
        return _DECODERS[encoding]()
    except ImportError:
        message = 'Content-Encoding br needs the extra "emulator" (the package brotli) to be installed.'
        raise ApiError(415, "unsupported-content-encoding", message) from None


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "request-too-large", f"The request body is larger than {limit} bytes.")


async def body_pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The decompressed body piece by piece.

    Raises: ApiError 413 beyond `limit` decompressed bytes, 415 for an unknown encoding, 400 for a broken one.
    """
    decoder, size = _decoder(request), 0
    if isinstance(decoder, _Identity) and int(request.headers.get("content-length", "0")) > limit:
        raise _too_large(limit)
    try:
        async for data in request.stream():
            for piece in decoder.feed(data):
                size += len(piece)
                if size > limit:
                    raise _too_large(limit)
                if piece:
                    yield piece
    except ApiError:
        raise
    except Exception as error:
        if type(error).__module__ not in {"zlib", "brotli", "_brotli"}:
            raise
        raise invalid_input("The request body does not match its Content-Encoding.") from error
    if size and not decoder.is_complete():
        raise invalid_input("The compressed request body ends too early.")


async def whole_body(request: Request, limit: int) -> bytes:
    """The decompressed body; for bodies that have to be looked at as a whole."""
    return b"".join([piece async for piece in body_pieces(request, limit)])


async def json_object(request: Request, limit: int) -> dict[str, Any]:
    """A body that must be a JSON object; an empty one counts as `{}`."""
    body = await whole_body(request, limit)
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise invalid_input("The request body must be a JSON object.") from None
