"""Answers compressed while they are written, when the client's `Accept-Encoding` asks for it (RFC 9110, 12.5.3)."""

import sys
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

_FAST = 1  # the emulator must not become the slowest part of a test


class _Gzip:
    def __init__(self) -> None:
        deflate = zlib.compressobj(_FAST, zlib.DEFLATED, 31)
        self.feed, self.end = deflate.compress, deflate.flush


class _Zstd:
    def __init__(self) -> None:
        zstd: Any = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
        squeeze = zstd.ZstdCompressor(level=_FAST)
        self.feed: Callable[[bytes], bytes] = squeeze.compress
        self.end: Callable[[], bytes] = squeeze.flush


class _Brotli:
    def __init__(self) -> None:
        brotli: Any = import_module("brotli")  # it has no types
        squeeze = brotli.Compressor(quality=_FAST)
        self.feed: Callable[[bytes], bytes] = squeeze.process
        self.end: Callable[[], bytes] = squeeze.finish


_ENCODERS: dict[str, type[_Gzip | _Zstd | _Brotli]] = {"zstd": _Zstd, "br": _Brotli, "gzip": _Gzip}  # fastest first


def accepted(header: str) -> str | None:
    """The encoding to answer with, or None for none: what the client likes best, the fastest of equals."""
    likings = dict(_liking(part) for part in header.lower().split(",") if part.strip())
    wanted = {name: likings.get(name, likings.get("*", 0.0)) for name in _ENCODERS}
    best = max(wanted, key=wanted.__getitem__)
    return best if wanted[best] > 0 else None


def _liking(part: str) -> tuple[str, float]:
    name, _, weight = part.replace(" ", "").partition(";q=")
    try:
        return name, float(weight or 1)
    except ValueError:
        return name, 0.0


def compressed(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The pieces, compressed; small outcomes are held back until there is something to send."""
    encoder = _ENCODERS[encoding]()
    for piece in pieces:
        if out := encoder.feed(piece):
            yield out
    yield encoder.end()
