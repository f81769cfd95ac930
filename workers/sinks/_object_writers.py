"""Streams as objects. Items are staged in a room of the spool, as files of the file sink, and then uploaded whole."""

import hashlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Any

from config.contracts.document import Document, Glimpse
from config.contracts.errors import Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Shipment, Taken
from workers.formats import Format
from workers.packing import Packing
from workers.sinks._file_documents import Documents, packing_for, pieces
from workers.sinks._file_folder import Folder, suffix_of
from workers.sinks._file_items import Batches, Converted, Growing
from workers.sinks._file_paths import Paths
from workers.sinks._object_writing import Objects, whose
from workers.staging import PartFile, blocking


class Room:
    """The part of the spool that one stream of one delivery has for itself."""

    def __init__(self, spool: Path, shipment: Shipment) -> None:
        stream = hashlib.sha256(shipment.stream.encode()).hexdigest()[:8]
        self.path = spool / "objects" / f"{suffix_of(shipment)}-{stream}"

    def folder(self, *, fsync: bool) -> Folder:
        return Folder(self.path.resolve(), fsync=fsync)

    def remove(self) -> None:
        if self.path.exists():
            shutil.rmtree(self.path)


class Uploaded:
    """Items that are staged as one file, which is uploaded in the end."""

    takes_pages = True

    def __init__(self, staged: Growing | Converted, file: Path, upload: "Upload") -> None:
        self.staged, self.file, self.upload = staged, file, upload

    @property
    def position(self) -> dict[str, Any] | None:
        return self.staged.position

    async def items(self, batch: Batch) -> Taken:
        return await self.staged.items(batch)

    async def document(self, document: Document) -> Taken:
        return await self.staged.document(document)

    async def publish(self) -> Taken:
        taken = await self.staged.publish()
        await self.upload(self.file)
        return taken


class Upload:
    """The last step of a delivery: one file becomes one object, and nothing of it stays in the spool."""

    def __init__(self, objects: Objects, shipment: Shipment, room: Room, key: PurePosixPath, format: Format) -> None:
        self.objects, self.room, self.key, self.format = objects, room, str(key), format
        self.who = whose(shipment)

    async def __call__(self, file: Path) -> None:
        await self.objects.publish(self.key, file, kind_of(self.key, self.format), self.who)
        await blocking(self.room.remove)

    async def is_done(self) -> bool:
        """Whether this delivery has published: then its staged file is gone, and the object is there."""
        if await blocking(self.room.path.exists):
            return False
        found = await self.objects.look(self.key)
        return found is not None and found.is_by(self.who)


class Published:
    """Items that an earlier turn, which died behind its last step, has published."""

    def __init__(self, room: Room, position: dict[str, Any]) -> None:
        self.room, self.position = room, position

    async def items(self, batch: Batch) -> Taken:
        """A room that is there and empty makes the next turn begin at the first row."""
        await blocking(lambda: self.room.path.mkdir(parents=True, exist_ok=True))
        raise Transient(Reason.TARGET_UNAVAILABLE, "more rows came after the object was written: all come again")

    async def document(self, document: Document) -> Taken:
        raise TypeError("a stream of items holds no documents")

    async def publish(self) -> Taken:
        return Taken(rows=0, out=1, bytes=0, position=self.position)


class ObjectBatches(Batches):
    """An object for each batch."""

    def __init__(
        self,
        objects: Objects,
        room: Room,
        shipment: Shipment,
        paths: Paths,
        position: dict[str, Any] | None,
    ) -> None:
        super().__init__(room.folder(fsync=False), shipment, paths, position)
        self.objects, self.room, self.who = objects, room, whose(shipment)

    async def publish(self) -> Taken:
        await blocking(self.room.remove)
        return await super().publish()

    async def _write(self, batch: Batch, final: Path, format: Format) -> Taken:
        taken = await super()._write(batch, final, format)
        if taken.out:
            key = final.relative_to(self.folder.base).as_posix()
            await self.objects.publish(key, final, kind_of(key, format), self.who)
            await blocking(final.unlink)
        return taken


class ObjectDocuments(Documents):
    """Documents, each streamed to an object of its own; only the list of their names is in the spool."""

    def __init__(self, objects: Objects, room: Room, shipment: Shipment, paths: Paths, names: PartFile) -> None:
        super().__init__(room.folder(fsync=True), shipment, paths, names)
        self.objects, self.room, self.who = objects, room, whose(shipment)

    async def publish(self) -> Taken:
        await blocking(self.room.remove)
        return Taken(rows=0, out=0, bytes=0)

    async def _write(self, path: PurePosixPath, document: Document, packing: Packing | None) -> int:
        chunks = pieces(document.chunks)
        packed = _packed(chunks, packing) if packing else chunks
        return await self.objects.stream(str(path), packed, types_of(document, path), self.who)


def kind_of(key: str, format: Format) -> dict[str, str]:
    """What readers are told of a file of items. One that is called `.gz` is a gzip file, and nobody shall unpack it on
    the way; one that is packed and not called so is unpacked by whoever reads it."""
    if format.packing is None:
        return {"Content-Type": format.content_type}
    if key.lower().endswith(format.packing.suffix):
        return {"Content-Type": _packed_type(format.packing)}
    return {"Content-Type": format.content_type, "Content-Encoding": format.content_encoding}


def types_of(document: Document | Glimpse, path: PurePosixPath) -> dict[str, str]:
    """The same of a document."""
    packing = packing_for(path, document)
    return {"Content-Type": _packed_type(packing) if packing else _printable(document.content_type)}


def _packed_type(packing: Packing) -> str:
    """RFC 6713, RFC 8878."""
    return f"application/{packing.coding}"


def _printable(content_type: str) -> str:
    ascii_only = content_type.isascii() and content_type.isprintable() and len(content_type) < 256
    return content_type.strip() if ascii_only and content_type.strip() else "application/octet-stream"


async def _packed(chunks: AsyncIterator[bytes], packing: Packing) -> AsyncIterator[bytes]:
    packed = False
    async for chunk in chunks:
        packed = True
        yield await blocking(packing.pack, chunk)
    if not packed:
        yield packing.pack(b"")
