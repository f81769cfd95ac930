"""The folder of a file sink, looked at without asking the sink; and short ways to use one."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import openpyxl
from backports import zstd

from config.contracts.document import Document
from config.contracts.sink import Shipment, Sink
from workers.sinks import file
from workers.testing.shipments import around, shipment

Row = dict[str, Any]


class Folder:
    """What a reader of the folder finds: only names that do not begin with a dot or end in `.part`."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def items(self, run: str) -> list[bytes]:
        """Of one file, or of one for each batch; rows of a table as the items they were made of."""
        whole = [self.base / name for name in self.everything() if name.startswith(f"{run}.")]
        found = whole or sorted((self.base / run).glob("*"))
        return [item for path in found if path.suffix not in {".part", ".new"} for item in items_of(path)]

    def documents(self, run: str) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.base / run).iterdir())]

    def everything(self) -> list[str]:
        return sorted(str(path.relative_to(self.base)) for path in self.base.rglob("*") if path.is_file())


def items_of(path: Path) -> list[bytes]:
    if ".jsonl" in path.suffixes:
        return content_of(path).split(b"\n")[:-1]
    return [_item(row) for row in rows_of(path)]


def content_of(path: Path) -> bytes:
    unpack: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.decompress, ".zst": zstd.decompress}
    return unpack.get(path.suffix, bytes)(path.read_bytes())


def rows_of(path: Path) -> list[Row]:
    """Column → value of each row, without nulls."""
    if ".parquet" in path.suffixes:
        import pyarrow.parquet as pq

        rows: list[Row] = pq.read_table(path, use_threads=False).to_pylist()
    elif ".xlsx" in path.suffixes:
        rows = [row for sheet in openpyxl.load_workbook(path, read_only=True) for row in _table(sheet.values)]
    else:
        delimiter = "\t" if ".tsv" in path.suffixes else ","
        text = io.StringIO(content_of(path).decode("utf-8-sig"), newline="")
        csv.field_size_limit(1 << 30)
        rows = [_number(row) for row in csv.DictReader(text, delimiter=delimiter)]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def _table(values: Any) -> list[Row]:
    header, *rows = values
    return [dict(zip(header, row, strict=False)) for row in rows]


def _number(row: Row) -> Row:
    """A cell of CSV has no type: what our items have is told by its look."""
    return {name: int(cell) if cell.isdecimal() and len(cell) < 10 else cell or None for name, cell in row.items()}


def _item(row: Row) -> bytes:
    whole = row.pop("item", None) or row.pop("_more", None)
    return str(whole).encode() if whole is not None else json.dumps(row, separators=(",", ":")).encode()


def opened(base: Path, spool: Path) -> AbstractAsyncContextManager[Sink]:
    return file.connect(file.Config(base=base), around(spool))


def at(path: str, **options: Any) -> file.Target:
    return file.Target.model_validate({"path": path, **options})


def records(path: str) -> Shipment:
    return shipment(at(path), stream="records")


async def keep(sink: Sink, stream: str, kept: Document) -> None:
    async with sink.open(shipment(file.Target(), stream=stream), None) as writer:
        await writer.document(kept)
        await writer.publish()


def part_of(name: str) -> str:
    return f"{name}.{shipment(file.Target()).delivery.id[:16]}-g0.part"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
