"""Documents as files with a name each."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import Any

from config.contracts.document import Document, Glimpse
from config.contracts.sink import Batch, Shipment, Taken
from workers.packing import Packing, packing_of
from workers.routing.paths import second
from workers.sinks._file_folder import Folder, started, suffix_of
from workers.sinks._file_paths import Paths
from workers.staging import PartFile, blocking

_PIECE = 1 << 20


class Documents:
    """One stream of them. `names` lists (as digests) the paths this stream has used, also in earlier slices."""

    def __init__(self, folder: Folder, shipment: Shipment, paths: Paths, names: PartFile) -> None:
        self.folder, self.shipment, self.paths, self.names = folder, shipment, paths, names
        self.used = set(names.read().split())

    @property
    def position(self) -> dict[str, Any] | None:
        return self.names.position

    async def items(self, batch: Batch) -> Taken:
        raise TypeError("a stream of documents holds no items")

    async def document(self, document: Document) -> Taken:
        path = self._path(document)
        size = await self._write(path, document, packing_for(path, document))
        self.used.add(_digest(path))
        await blocking(self.names.append, _digest(path) + b"\n")
        return Taken(rows=1, out=1, bytes=size, position=self.names.mark.position())

    async def publish(self) -> Taken:
        await blocking(self.names.discard)
        return Taken(rows=0, out=0, bytes=0)

    async def _write(self, path: PurePosixPath, document: Document, packing: Packing | None) -> int:
        """Returns the size of the file."""
        final, size = await self.folder.place(path), 0
        part = PartFile(final, suffix_of(self.shipment), packing=packing, fsync=self.folder.fsync)
        async with started(part, None):
            async for piece in pieces(document.chunks):
                size += (await blocking(part.append, piece, sync=False)).bytes
            size += (await blocking(part.publish)).bytes
        return size

    def _path(self, document: Document) -> PurePosixPath:
        path = self.paths.of_document(document)
        return second(path, document.key) if _digest(path) in self.used else path


def packing_for(path: PurePosixPath, document: Document | Glimpse) -> Packing | None:
    """A `.gz` of the operator's compresses; a record that is called `.gz` already is what its name says."""
    packing = packing_of(path.name)
    if packing is None or document.key.endswith(packing.suffix) or packing.coding in document.content_type:
        return None
    return packing


async def pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
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
