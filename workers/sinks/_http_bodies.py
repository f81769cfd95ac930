"""What requests carry: envelopes, files of bytes, packed or not."""

import asyncio
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
from backports import zstd

from config.contracts.sink import Batch, Shipment
from workers.staging import disk_verdict

#: Bytes that a body holds in memory; the rest of it lies in the spool.
IN_MEMORY = 1 << 20
_PIECE = 1 << 16
_GZIP = 31  # zlib's window bits for gzip; it writes no time, so that equal bodies stay equal

_PACKERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.compressobj(level=6, wbits=_GZIP),
    "zstd": lambda: zstd.ZstdCompressor(level=3),
}


async def pieces(body: IO[bytes]) -> AsyncIterator[bytes]:
    """A body on its way out."""
    body.seek(0)
    while piece := body.read(_PIECE):
        yield piece


def spooled(spool: Path) -> IO[bytes]:
    """A file for one body; it goes when it is closed."""
    return tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=str(spool))


@asynccontextmanager
async def packed(body: IO[bytes], how: str, spool: Path) -> AsyncIterator[IO[bytes]]:
    """The body as it is sent; the same bytes for the same body. Raises the disk's verdict."""
    if how not in _PACKERS:
        yield body
        return
    with spooled(spool) as file:
        try:
            await asyncio.to_thread(_pack, body, _PACKERS[how](), file)
        except OSError as exc:
            raise disk_verdict(exc) from exc
        yield file


def _pack(body: IO[bytes], packer: Any, file: IO[bytes]) -> None:
    body.seek(0)
    while piece := body.read(_PIECE):
        file.write(packer.compress(piece))
    file.write(packer.flush())


def envelope(shipment: Shipment, batch: Batch) -> bytes:
    """The JSON body of a batch. Only facts that are the same on every try: the run is the one kept when the delivery
    was planned."""
    delivery, run = shipment.delivery, shipment.run
    head = {
        "kind": shipment.stream.partition(":")[0],
        "delivery": delivery.id,
        "generation": delivery.generation,
        "route": delivery.route,
        "target": delivery.target,
        "stream": shipment.stream,
        "run": {
            "id": run.id,
            "source": run.source,
            "status": run.status,
            "finishedAt": run.life,
            "origin": run.origin,
            "actorId": run.actor_id,
            "actor": run.actor,
            "taskId": run.task_id,
            "task": run.task,
        },
        "batch": {"index": batch.index, "offset": batch.offset, "count": batch.lines.count(b"\n")},
    }
    # An item is JSON on one line, and a raw newline cannot stand inside JSON text: commas make a list of lines.
    items = batch.lines.removesuffix(b"\n").replace(b"\n", b",")
    return b"".join([msgspec.json.encode(head)[:-1], b',"items":[', items, b"]}"])
