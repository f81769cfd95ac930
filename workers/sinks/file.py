"""Writes items as JSON Lines, CSV, Parquet or Excel, and documents as files, under one folder. Exactly once.

The end of a path says the format: `.jsonl` `.csv` `.tsv` `.parquet` `.xlsx`, the texts also compressed, `.gz` or
`.zst`. Items gather in a part file beside the target, and the file appears whole, in one rename; `per: batch` makes one
for each batch. A record becomes a file named like its key; another record whose name is taken gets `~` and eight
digits. A second delivery to the same path replaces the file.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, Field

from config.contracts.document import Glimpse
from config.contracts.sink import About, Batch, Shipment, Surroundings, Writer
from workers.formats import FilePath, FileTarget
from workers.sinks._file_converted import ConvertedFile
from workers.sinks._file_documents import Documents
from workers.sinks._file_folder import Folder, started, suffix_of
from workers.sinks._file_items import Batches, Converted, Growing, chosen
from workers.sinks._file_paths import Paths
from workers.sinks._file_preview import content, path_of
from workers.staging import PartFile, blocking

TAKES = frozenset({"items", "records", "requests", "run", "log"})
WHOLE = True
ALERTS = True
ABOUT = About(
    promise="exactly once: a file appears whole, in one rename, and a repetition replaces it",
    tested="Linux, on ext4; read back with pyarrow, openpyxl and csv; not on network file systems, nor in Excel itself",
    example="""
sinks:
  disk: {type: file, base: results/}
routes:
  - name: products
    to: [{sink: disk, path: "{{ actor.name }}/{{ run.id }}.csv.gz"}]
""",
)


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of a file sink."""

    base: Path = Field(description="Folder that everything lies in; made if it is missing.", examples=["base: out/"])
    fsync: bool = Field(True, description="Whether a checkpoint survives power loss, and not only a crash of ours.")


class Target(FileTarget, frozen=True):
    """Options of a target."""

    path: FilePath | None = Field(
        None,
        description="Where under `base`; its end says the format, and `.gz` or `.zst` compresses. By default "
        "`{{ run.id }}.jsonl` for items, `{{ run.id }}/{{ batch.number }}.jsonl` for batches of them, "
        "`{{ run.id }}/{{ record.key }}`, `{{ run.id }}.requests.jsonl`, `{{ run.id }}.rows.jsonl` for what "
        "`fields` makes of records, `{{ run.id }}.run.json`, `{{ run.id }}.log.txt`, and `alerts/{{ record.key }}`.",
        examples=["path: '{{ actor.name }}/{{ run.id }}.csv.gz'"],
    )


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["FileSink"]:
    """`around` is not used: parts lie beside their targets, where the rename is atomic."""
    yield FileSink(Folder(await blocking(config.base.resolve), fsync=config.fsync))


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """Path and content of each file."""
    path = path_of(shipment, what)
    yield f"file {config.base / path}"
    yield from content(shipment, what, path)


class FileSink:
    """One folder."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        paths = Paths(shipment)
        if paths.of_documents:
            opened = self._documents(shipment, paths, position)
        elif paths.target.per == "batch":
            yield Batches(self.folder, shipment, paths, position)
            return
        else:
            opened = self._items(shipment, paths.target, paths.of_all(), position)
        async with opened as writer:
            yield writer

    async def check(self, options: BaseModel) -> None:
        """Whether files can be written there, and the disk is not full."""
        await blocking(self.folder.try_out)

    @asynccontextmanager
    async def _items(
        self, shipment: Shipment, target: FileTarget, path: PurePosixPath, position: dict[str, Any] | None
    ) -> AsyncIterator[Writer]:
        format, final = chosen(target, path.name), await self.folder.place(path)
        suffix, fsync = suffix_of(shipment), self.folder.fsync
        if format.converted:
            file = ConvertedFile(final, suffix, format, target, fsync=fsync)
            async with started(file, position):
                yield Converted(file)
        else:
            part = PartFile(final, suffix, packing=format.packing, fsync=fsync)
            async with started(part, position):
                yield Growing(part)

    @asynccontextmanager
    async def _documents(
        self, shipment: Shipment, paths: Paths, position: dict[str, Any] | None
    ) -> AsyncIterator[Writer]:
        kind = shipment.stream.partition(":")[0]
        final = await self.folder.place(PurePosixPath(f".{kind}"))
        names = PartFile(final, suffix_of(shipment), fsync=self.folder.fsync)
        async with started(names, position):
            yield Documents(self.folder, shipment, paths, names)
