"""Writes items and documents as objects of S3 (and what speaks like it), Google Cloud Storage or Azure. Exactly once.

The end of a path says the format: `.jsonl` `.csv` `.tsv` `.parquet` `.xlsx`, the texts also compressed, `.gz` or
`.zst`. Items gather in the spool, and the object appears whole, in one upload; `per: batch` makes one for each batch. A
record streams straight to an object named like its key; another record whose name is taken gets `~` and eight digits.
Each object says in its metadata which delivery wrote it: one of another origin is not overwritten, except by a replay
and by records.
"""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, model_validator

from config.contracts.document import Glimpse
from config.contracts.sink import About, Batch, Shipment, Surroundings, Writer
from workers.formats import FilePath, FileTarget
from workers.sinks._file_converted import ConvertedFile
from workers.sinks._file_folder import started, suffix_of
from workers.sinks._file_items import Converted, Growing, chosen
from workers.sinks._file_paths import Paths
from workers.sinks._file_preview import content, format_of, path_of
from workers.sinks._object_stores import Access, Place, opened, placed
from workers.sinks._object_writers import (
    ObjectBatches,
    ObjectDocuments,
    Published,
    Room,
    Upload,
    Uploaded,
    kind_of,
    types_of,
)
from workers.sinks._object_writing import Objects
from workers.staging import PartFile

TAKES = frozenset({"items", "records", "requests", "run", "log"})
WHOLE = True
ALERTS = True
ABOUT = About(
    promise="exactly once: an object appears whole, is created and not overwritten, and a repetition finds its own; "
    "above 5 MiB we look before we write: two foreign deliveries that write one new key in the same moment are not "
    "told apart",
    tested="SeaweedFS 4.48 for S3 and Azurite 3.35 for Azure; not on Amazon itself, and not on Google Cloud Storage, "
    "for which there is no server to run",
    example="""
sinks:
  lake: {type: s3, url: "s3://acme-scrapes/runs/", region: eu-central-1}
routes:
  - name: products
    to: [{sink: lake, path: "{{ actor.name }}/{{ run.id }}.parquet"}]
""",
    extra="object_store",
    synonyms=("s3", "gcs", "azure"),
)


def _usable_url(url: str) -> str:
    placed(url)
    return url


class Config(Access, extra="forbid", frozen=True):
    """Options of an object store. Without keys here, the environment's are used (`AWS_ACCESS_KEY_ID` …,
    `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_KEY` …), or the role of the machine."""

    url: Annotated[str, AfterValidator(_usable_url)] = Field(
        description="Bucket and prefix; everything lies under it. `s3://bucket/prefix/`, `gs://bucket/prefix/`, "
        "`az://container/prefix/`, or `https://host/bucket/prefix/` of a server that speaks S3.",
        examples=['url: "s3://acme-scrapes/runs/"'],
    )
    storage_class: str | None = Field(
        None,
        pattern=r"^[A-Za-z_]{1,32}$",
        description="Of new objects, as the provider writes it.",
        examples=["storage_class: STANDARD_IA"],
    )

    @model_validator(mode="after")
    def _agrees(self) -> "Config":
        if (self.access_key is None) != (self.secret_key is None) or (self.session_token and not self.access_key):
            raise ValueError("`access_key` and `secret_key` go together, and `session_token` only with both")
        if self.account_key and self.sas_token:
            raise ValueError("`account_key` or `sas_token`: one of them")
        for option, cloud in _ONLY.items():
            if getattr(self, option) is not None and self.place.cloud != cloud:
                raise ValueError(f"`{option}` has no meaning for {self.place.cloud}://")
        return self

    @property
    def place(self) -> Place:
        """What `url` names."""
        return placed(self.url)


_ONLY = {
    **dict.fromkeys(("region", "access_key", "secret_key", "session_token"), "s3"),
    **dict.fromkeys(("account", "account_key", "sas_token"), "az"),
    "service_account_key": "gs",
}


class Target(FileTarget, frozen=True):
    """Options of a target."""

    path: FilePath | None = Field(
        None,
        description="Where under `url`; its end says the format, and `.gz` or `.zst` compresses. By default "
        "`{{ run.id }}.jsonl` for items, `{{ run.id }}/{{ batch.number }}.jsonl` for batches of them, "
        "`{{ run.id }}/{{ record.key }}`, `{{ run.id }}.requests.jsonl`, `{{ run.id }}.rows.jsonl` for what "
        "`fields` makes of records, `{{ run.id }}.run.json`, `{{ run.id }}.log.txt`, and `alerts/{{ record.key }}`.",
        examples=["path: '{{ actor.name }}/{{ run.id }}.parquet'"],
    )


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["ObjectStoreSink"]:
    """The spool holds items until they are uploaded. Nothing is asked of the store yet."""
    attributes = {"Storage-Class": config.storage_class} if config.storage_class else {}
    store = opened(config.place, config)
    yield ObjectStoreSink(Objects(store, config.place, attributes), around.spool)


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """Key, headers and content of each object."""
    path = path_of(shipment, what)
    kind = types_of(what, path) if isinstance(what, Glimpse) else kind_of(str(path), format_of(shipment, path))
    yield f"object {config.place.url}/{path}"
    yield ", ".join(f"{name}: {value}" for name, value in kind.items())
    yield from content(shipment, what, path)


class ObjectStoreSink:
    """One prefix of one bucket."""

    def __init__(self, objects: Objects, spool: Path) -> None:
        self.objects, self.spool = objects, spool

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        paths, room = Paths(shipment), Room(self.spool, shipment)
        if paths.of_documents:
            opened = self._documents(shipment, room, paths, position)
        elif paths.target.per == "batch":
            yield ObjectBatches(self.objects, room, shipment, paths, position)
            return
        else:
            opened = self._items(shipment, room, paths.target, paths.of_all(), position)
        async with opened as writer:
            yield writer

    async def check(self, options: BaseModel) -> None:
        """Whether an object may be written there; none is."""
        await self.objects.try_out(f".runrelay-check-{secrets.token_hex(8)}")

    @asynccontextmanager
    async def _items(
        self, shipment: Shipment, room: Room, target: FileTarget, key: PurePosixPath, position: dict[str, Any] | None
    ) -> AsyncIterator[Writer]:
        format = chosen(target, key.name)
        upload = Upload(self.objects, shipment, room, key, format)
        if position is not None and await upload.is_done():
            yield Published(room, position)
            return
        final, suffix = await room.folder(fsync=True).place(key), suffix_of(shipment)
        if format.converted:
            file = ConvertedFile(final, suffix, format, target, fsync=True)
            async with started(file, position):
                yield Uploaded(Converted(file), final, upload)
        else:
            part = PartFile(final, suffix, packing=format.packing)
            async with started(part, position):
                yield Uploaded(Growing(part), final, upload)

    @asynccontextmanager
    async def _documents(
        self, shipment: Shipment, room: Room, paths: Paths, position: dict[str, Any] | None
    ) -> AsyncIterator[Writer]:
        names = PartFile(await room.folder(fsync=True).place(PurePosixPath("names")), suffix_of(shipment))
        async with started(names, position):
            yield ObjectDocuments(self.objects, room, shipment, paths, names)
