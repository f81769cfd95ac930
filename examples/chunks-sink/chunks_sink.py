"""Writes each batch as one JSON Lines file. Exactly once: a batch that comes again replaces itself."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from config.contracts.document import Document
from config.contracts.errors import Transient, Unauthorized
from config.contracts.reasons import Reason
from config.contracts.sink import About, Batch, Shipment, Surroundings, Taken, Writer

TAKES = frozenset({"items"})
WHOLE = False
ABOUT = About(
    promise="exactly once: a batch that comes again replaces itself",
    tested="folders of a local disk",
    example="""
sinks:
  disk: {type: chunks, folder: chunks/}
routes:
  - name: all
    to: [{sink: disk}]
""",
)


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of a chunks sink."""

    folder: Path = Field(description="Folder that the batches are put into.")


class Target(BaseModel, extra="forbid", frozen=True):
    """A target has no options of its own."""


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["ChunkSink"]:
    """Nothing to connect to: a folder is there, or it is made."""
    yield ChunkSink(config.folder)


class ChunkSink:
    """One folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        yield ChunkWriter(self.folder / shipment.run.id / shipment.delivery.id, position)

    async def check(self, options: BaseModel) -> None:
        there = next(each for each in (self.folder, *self.folder.absolute().parents) if each.exists())
        if not os.access(there, os.W_OK):
            raise Unauthorized(Reason.TARGET_REFUSED, f"{there.name} cannot be written to: give this user the right")


class ChunkWriter:
    """One stream of one delivery."""

    def __init__(self, folder: Path, position: dict[str, Any] | None) -> None:
        self.folder, self.position = folder, position

    async def items(self, batch: Batch) -> Taken:
        path = self.folder / f"{batch.index:08}.jsonl"
        try:
            arrived = await asyncio.to_thread(replace, path, batch.lines)
        except OSError as exc:
            raise Transient(Reason.TARGET_UNAVAILABLE, exc.strerror or "the disk said no") from exc
        self.position = {"batches": batch.index + 1}
        return Taken(rows=arrived.count(b"\n"), out=1, bytes=len(arrived), position=self.position)

    async def document(self, document: Document) -> Taken:
        raise TypeError("TAKES names items only")

    async def publish(self) -> Taken:
        return Taken(rows=0, out=0, bytes=0, position=self.position)


def replace(path: Path, lines: bytes) -> bytes:
    """Returns what the file holds afterwards: we count what arrived, not what we were handed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(lines)
        os.fsync(file.fileno())
    part.replace(path)
    return path.read_bytes()
