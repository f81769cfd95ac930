"""Items as files: one that grows, one that is made when all is there, or one for each batch."""

from pathlib import Path
from typing import Any

from config.contracts.document import Document
from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Shipment, Taken
from workers.formats import FileTarget, Format
from workers.sinks._file_converted import ConvertedFile
from workers.sinks._file_folder import Folder, started, suffix_of
from workers.sinks._file_paths import Paths
from workers.staging import PartFile, blocking


class _NoDocuments:
    async def document(self, document: Document) -> Taken:
        raise TypeError("a stream of items holds no documents")


class Growing(_NoDocuments):
    """One growing file of JSON Lines. Where batches are cut shows nowhere in it, and each of them costs an fsync."""

    takes_pages = True

    def __init__(self, part: PartFile) -> None:
        self.part = part

    @property
    def position(self) -> dict[str, Any] | None:
        return self.part.position

    async def items(self, batch: Batch) -> Taken:
        grown = await blocking(self.part.append, batch.lines)
        return Taken(rows=grown.rows, out=0, bytes=grown.bytes, position=self.part.mark.position())

    async def publish(self) -> Taken:
        grown = await blocking(self.part.publish)
        return Taken(rows=0, out=1, bytes=grown.bytes, position=self.part.mark.position())


class Converted(_NoDocuments):
    """One file that is made of all items in the end."""

    takes_pages = True

    def __init__(self, file: ConvertedFile) -> None:
        self.file = file

    @property
    def position(self) -> dict[str, Any] | None:
        return self.file.position

    async def items(self, batch: Batch) -> Taken:
        return await blocking(self.file.append, batch)

    async def publish(self) -> Taken:
        return await blocking(self.file.publish)


class Batches(_NoDocuments):
    """A file for each batch. Its name depends on the batch alone, so that one that comes again replaces itself."""

    def __init__(
        self,
        folder: Folder,
        shipment: Shipment,
        paths: Paths,
        position: dict[str, Any] | None,
    ) -> None:
        self.folder, self.shipment, self.paths, self.position = folder, shipment, paths, position

    async def items(self, batch: Batch) -> Taken:
        path = self.paths.of_batch(batch)
        final = await self.folder.place(path)
        taken = await self._write(batch, final, chosen(self.paths.target, path.name))
        self.position = {"batches": batch.index + 1}
        return Taken(taken.rows, taken.out, taken.bytes, self.position, taken.rejected)

    async def publish(self) -> Taken:
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    async def _write(self, batch: Batch, final: Path, format: Format) -> Taken:
        suffix = suffix_of(self.shipment)
        if format.converted:
            file = ConvertedFile(final, suffix, format, self.paths.target, fsync=self.folder.fsync)
            async with started(file, None):
                return await blocking(_converted, file, batch)
        part = PartFile(final, suffix, packing=format.packing, fsync=self.folder.fsync)
        async with started(part, None):
            return await blocking(_grown, part, batch)


def _converted(file: ConvertedFile, batch: Batch) -> Taken:
    staged = file.append(batch)
    if not staged.rows:
        return staged
    made = file.publish()
    return Taken(staged.rows + made.rows, made.out, staged.bytes + made.bytes, rejected=staged.rejected)


def _grown(part: PartFile, batch: Batch) -> Taken:
    grown = part.append(batch.lines, sync=False)
    part.publish()
    return Taken(rows=grown.rows, out=1, bytes=grown.bytes)


def chosen(target: FileTarget, name: str) -> Format:
    """The format of a file of that name. Raises Permanent for one that cannot be, or for which nothing is installed."""
    try:
        format = target.format_of(name)
    except ValueError as exc:
        raise Permanent(Reason.TARGET_REFUSED, str(exc)) from exc
    if format.lacking:
        raise Permanent(Reason.PLUGIN_MISSING, format.lacking)
    return format
