"""Prints items as JSON Lines and documents as text, for trying out. At least once: what is tried again is shown again.

A document that is not text is one line that names its key, content type and size.
"""

import asyncio
import errno
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import BaseModel, Field

from config.contracts.document import Document, Glimpse
from config.contracts.errors import Transient
from config.contracts.reasons import Reason
from config.contracts.sink import About, Batch, Shipment, Surroundings, Taken, Writer
from workers.sinks._shown import document, is_text, lines

TAKES = frozenset({"items", "records", "requests", "run", "log"})
WHOLE = False
ALERTS = True
ABOUT = About(
    promise="at least once: what is tried again is shown again",
    tested="pipes and terminals",
    example="""
sinks:
  screen: {type: stdout, prefix: "> "}
routes:
  - name: all
    to: [{sink: screen}]
""",
)


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of the terminal."""

    prefix: str = Field("", max_length=256, description="Stands in front of every line.")


class Target(BaseModel, extra="forbid", frozen=True):
    """A target has no options of its own."""


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["StdoutSink"]:
    """Nothing is opened: the process has its standard output already."""
    yield StdoutSink(config.prefix.encode())


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """The lines."""
    if isinstance(what, Batch):
        yield from lines(_prefixed(what.lines, config.prefix.encode()))
    else:
        yield from (f"{config.prefix}{line}" for line in document(what))


class StdoutSink:
    """The standard output of this process. One batch or document is printed at a time."""

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix
        self.turn = asyncio.Lock()

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        yield _StdoutWriter(self, position)


class _StdoutWriter:
    def __init__(self, sink: StdoutSink, position: dict[str, Any] | None) -> None:
        self.sink, self.position = sink, position

    async def items(self, batch: Batch) -> Taken:
        async with self.sink.turn:
            size, rows = await asyncio.to_thread(_print, _prefixed(batch.lines, self.sink.prefix))
        return self._taken(rows, rows, size)

    async def document(self, document: Document) -> Taken:
        async with self.sink.turn:
            size = await (self._text(document) if is_text(document) else self._named(document))
        return self._taken(1, 1, size)

    async def publish(self) -> Taken:
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    def _taken(self, rows: int, out: int, size: int) -> Taken:
        self.position = self.position or {}
        return Taken(rows=rows, out=out, bytes=size, position=self.position)

    async def _text(self, document: Document) -> int:
        size, at_start = 0, True
        async for chunk in document.chunks:
            if not chunk:
                continue
            shown = _prefixed(chunk, self.sink.prefix, at_start=at_start)
            size += (await asyncio.to_thread(_print, shown))[0]
            at_start = chunk.endswith(b"\n")
        return size if at_start else size + (await asyncio.to_thread(_print, b"\n"))[0]

    async def _named(self, document: Document) -> int:
        size = 0
        async for chunk in document.chunks:
            size += len(chunk)
        line = f"{ascii(document.key)[1:-1]} ({ascii(document.content_type)[1:-1]}, {size} bytes)\n"
        return (await asyncio.to_thread(_print, self.sink.prefix + line.encode()))[0]


def _prefixed(text: bytes, prefix: bytes, *, at_start: bool = True) -> bytes:
    """With the prefix in front of each line; `at_start`: whether the text begins one."""
    if not prefix or not text:
        return text
    return (prefix if at_start else b"") + text[:-1].replace(b"\n", b"\n" + prefix) + text[-1:]


def _print(text: bytes) -> tuple[int, int]:
    """Bytes and newlines that standard output took. Raises Transient if nobody reads it any more."""
    size = rows = 0
    rest = memoryview(text)
    try:
        sys.stdout.flush()
        while rest:
            took = os.write(sys.stdout.fileno(), rest)
            size, rows, rest = size + took, rows + bytes(rest[:took]).count(b"\n"), rest[took:]
    except OSError as exc:
        why = errno.errorcode.get(exc.errno or 0, "closed")
        raise Transient(Reason.TARGET_UNAVAILABLE, f"standard output cannot be written ({why})") from exc
    return size, rows
