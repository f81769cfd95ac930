"""Writes items as JSON Lines (`.gz`: compressed) and documents as files, under one folder. Exactly once.

Items grow in a part file beside the target and appear whole, in one rename. A record becomes a file named like its key;
another record whose name is taken gets `~` and eight digits. A second delivery to the same path replaces the file.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, Field

from config.contracts.document import Document
from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Shipment, Surroundings, Taken, Writer
from workers.routing.expressions import Template
from workers.routing.paths import fenced, second, with_extension
from workers.staging import PartFile, blocking

TAKES = frozenset({"items", "records", "requests", "run", "log"})
WHOLE = True
ALERTS = True

_PIECE = 1 << 20
_PATHS = {
    "items": Template("{{ run.id }}{% if dataset != 'default' %}.{{ dataset }}{% endif %}.jsonl"),
    "records": Template("{{ run.id }}/{{ record.key }}"),
    "requests": Template("{{ run.id }}.requests.jsonl"),
    "run": Template("{{ run.id }}.run.json"),
    "log": Template("{{ run.id }}.log.txt"),
    "alert": Template("alerts/{{ record.key }}"),
}


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of a file sink."""

    base: Path = Field(description="Folder that everything lies in; made if it is missing.")
    fsync: bool = Field(True, description="Whether a checkpoint survives power loss, and not only a crash of ours.")


class Target(BaseModel, extra="forbid", frozen=True):
    """Options of a target."""

    path: Template | None = Field(
        None,
        description="Where under `base`; ending in `.gz` it is compressed. By default `{{ run.id }}.jsonl` for items, "
        "`{{ run.id }}/{{ record.key }}`, `{{ run.id }}.requests.jsonl`, `{{ run.id }}.run.json`, "
        "`{{ run.id }}.log.txt`, and `alerts/{{ record.key }}`.",
    )


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["FileSink"]:
    """`around` is not used: parts lie beside their targets, where the rename is atomic."""
    await blocking(lambda: config.base.mkdir(parents=True, exist_ok=True))
    yield FileSink(config.base.resolve(), fsync=config.fsync)


class FileSink:
    """One folder."""

    def __init__(self, base: Path, *, fsync: bool) -> None:
        self.base, self.fsync = base, fsync

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        kind, _, dataset = shipment.stream.partition(":")
        scope = {"dataset": dataset, **shipment.scope}
        template = getattr(shipment.options, "path", None) or _PATHS[kind]
        if kind in {"items", "requests"}:
            path = fenced(template.render(scope))
            part = await self.part(path, shipment, packed=path.suffix == ".gz")
            async with _started(part, position):
                yield _Items(part)
        else:
            names = await self.part(PurePosixPath(f".{kind}"), shipment)
            async with _started(names, position):
                yield _Documents(self, shipment, template, scope, names)

    async def part(self, path: PurePosixPath, shipment: Shipment, *, packed: bool = False) -> PartFile:
        """The part file of one path, in a folder that exists and really lies under the base."""
        final = self.base / path
        await blocking(self._folder, final.parent)
        suffix = f"{shipment.delivery.id[:16]}-g{shipment.delivery.generation}"
        return PartFile(final, suffix, packed=packed, fsync=self.fsync)

    def _folder(self, folder: Path) -> None:
        if not folder.resolve().is_relative_to(self.base):
            raise Permanent(Reason.PATH_ESCAPE, f"the folder {folder.name} is a link that leaves the base")
        folder.mkdir(parents=True, exist_ok=True)


class _Items:
    """One growing JSON Lines file. Where batches are cut shows nowhere in it, and each of them costs an fsync."""

    takes_pages = True

    def __init__(self, part: PartFile) -> None:
        self.part = part

    @property
    def position(self) -> dict[str, Any] | None:
        return self.part.position

    async def items(self, batch: Batch) -> Taken:
        grown = await blocking(self.part.append, batch.lines)
        return Taken(rows=grown.rows, out=0, bytes=grown.bytes, position=self.part.mark.position())

    async def document(self, document: Document) -> Taken:
        raise TypeError("a stream of items holds no documents")

    async def publish(self) -> Taken:
        grown = await blocking(self.part.publish)
        return Taken(rows=0, out=1, bytes=grown.bytes, position=self.part.mark.position())


class _Documents:
    """Files with a name each. `names` lists (as digests) the paths this stream has used, also in earlier slices."""

    def __init__(
        self, sink: FileSink, shipment: Shipment, template: Template, scope: dict[str, Any], names: PartFile
    ) -> None:
        self.sink, self.shipment, self.template, self.scope, self.names = sink, shipment, template, scope, names
        self.used = set(names.read().split())

    @property
    def position(self) -> dict[str, Any] | None:
        return self.names.position

    async def items(self, batch: Batch) -> Taken:
        raise TypeError("a stream of documents holds no items")

    async def document(self, document: Document) -> Taken:
        path = self._path(document)
        part = await self.sink.part(path, self.shipment, packed=self._packed(path, document))
        size = 0
        async with _started(part, None):
            async for piece in _pieces(document.chunks):
                size += (await blocking(part.append, piece, sync=False)).bytes
            size += (await blocking(part.publish)).bytes
        self.used.add(_digest(path))
        await blocking(self.names.append, _digest(path) + b"\n")
        return Taken(rows=1, out=1, bytes=size, position=self.names.mark.position())

    async def publish(self) -> Taken:
        await blocking(self.names.discard)
        return Taken(rows=0, out=0, bytes=0)

    def _path(self, document: Document) -> PurePosixPath:
        record = {"key": document.key, "contentType": document.content_type, "size": document.size}
        rendered = fenced(self.template.render({**self.scope, "record": record}))
        path = with_extension(rendered, document.content_type)
        return second(path, document.key) if _digest(path) in self.used else path

    def _packed(self, path: PurePosixPath, document: Document) -> bool:
        """A `.gz` of the operator's compresses; a record that is called `.gz` already is what its name says."""
        return path.suffix == ".gz" and not document.key.endswith(".gz") and "gzip" not in document.content_type


@asynccontextmanager
async def _started(part: PartFile, position: dict[str, Any] | None) -> AsyncIterator[None]:
    try:
        await blocking(part.start, position)
        yield
    finally:
        await asyncio.shield(asyncio.to_thread(part.close))


async def _pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, about a mebibyte at a time."""
    gathered = bytearray()
    async for chunk in chunks:
        gathered += chunk
        if len(gathered) >= _PIECE:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


def _digest(path: PurePosixPath) -> bytes:
    return hashlib.sha256(str(path).encode()).hexdigest()[:16].encode()
