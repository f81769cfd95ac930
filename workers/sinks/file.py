"""Writes items as JSON Lines, CSV, Parquet or Excel, and documents as files, under one folder. Exactly once.

The end of a path says the format: `.jsonl` `.csv` `.tsv` `.parquet` `.xlsx`, the texts also compressed, `.gz` or
`.zst`. Items gather in a part file beside the target, and the file appears whole, in one rename; `per: batch` makes one
for each batch. A record becomes a file named like its key; another record whose name is taken gets `~` and eight
digits. A second delivery to the same path replaces the file.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, Field

from config.contracts.sink import About, Shipment, Surroundings, Writer
from config.language.template import Template
from workers.formats import FilePath, FileTarget
from workers.routing.paths import fenced
from workers.sinks._file_converted import ConvertedFile
from workers.sinks._file_documents import Documents
from workers.sinks._file_folder import Folder, started, suffix_of
from workers.sinks._file_items import Batches, Converted, Growing, chosen
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

STEMS = {
    "items": "{{ run.id }}{% if dataset != 'default' %}.{{ dataset }}{% endif %}",
    "requests": "{{ run.id }}.requests",
}
PATHS = {
    "records": Template("{{ run.id }}/{{ record.key }}"),
    "run": Template("{{ run.id }}.run.json"),
    "log": Template("{{ run.id }}.log.txt"),
    "alert": Template("alerts/{{ record.key }}"),
}


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
        "`{{ run.id }}/{{ record.key }}`, `{{ run.id }}.requests.jsonl`, `{{ run.id }}.run.json`, "
        "`{{ run.id }}.log.txt`, and `alerts/{{ record.key }}`.",
        examples=["path: '{{ actor.name }}/{{ run.id }}.csv.gz'"],
    )


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["FileSink"]:
    """`around` is not used: parts lie beside their targets, where the rename is atomic."""
    yield FileSink(Folder(await blocking(config.base.resolve), fsync=config.fsync))


class FileSink:
    """One folder."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        kind, _, dataset = shipment.stream.partition(":")
        scope = {"dataset": dataset, **shipment.scope}
        target = shipment.options if isinstance(shipment.options, FileTarget) else Target()
        if kind not in STEMS:
            opened = self._documents(shipment, target.path or PATHS[kind], scope, position)
        elif target.per == "batch":
            yield Batches(self.folder, shipment, scope, target.path_of(STEMS[kind]), position)
            return
        else:
            path = fenced(target.path_of(STEMS[kind]).render(scope))
            opened = self._items(shipment, target, path, position)
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
        self, shipment: Shipment, template: Template, scope: Mapping[str, Any], position: dict[str, Any] | None
    ) -> AsyncIterator[Writer]:
        kind = shipment.stream.partition(":")[0]
        final = await self.folder.place(PurePosixPath(f".{kind}"))
        names = PartFile(final, suffix_of(shipment), fsync=self.folder.fsync)
        async with started(names, position):
            yield Documents(self.folder, shipment, template, scope, names)
