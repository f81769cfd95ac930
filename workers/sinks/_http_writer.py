"""One stream on its way to a receiver: which requests, with which ids and headers."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import msgspec

from config.contracts.document import Document
from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Shipment, Taken
from workers.routing import batches
from workers.sinks._http_bodies import envelope, spooled
from workers.sinks._http_each import Each
from workers.sinks._http_halves import Halves
from workers.sinks._http_options import HEADER_TEXT, Target
from workers.staging import disk_verdict

_PLAIN = re.compile(r"[A-Za-z0-9:_-]{1,64}", re.ASCII)

#: Sends one request, as soon as the pace allows it: id, body, headers; returns the bytes of the body as sent.
Post = Callable[[str, IO[bytes], Mapping[str, str]], Awaitable[int]]


class HttpWriter:
    """The far side keeps no place to go on from: ids that are the same on every try are all that is needed."""

    def __init__(
        self, post: Post, shipment: Shipment, position: dict[str, Any] | None, *, spool: Path, max_body: int
    ) -> None:
        assert isinstance(shipment.options, Target)
        self.post, self.shipment, self.position = post, shipment, position
        self.spool, self.max_body = spool, max_body
        self.target = shipment.options
        self._some = self._way()

    async def items(self, batch: Batch) -> Taken:
        taken = await self._some(batch)
        # A page of the request queue has no place inside it to go on from.
        while taken.left and self.shipment.stream == "requests":
            batch = batch.after(batch.lines.count(b"\n") - taken.left)
            taken = _both(taken, await self._some(batch))
        self.position = taken.position
        return taken

    async def document(self, document: Document) -> Taken:
        # Record keys may be longer than an id may be.
        id = self._id(hashlib.sha256(document.key.encode()).hexdigest()[:32])
        with spooled(self.spool) as file:
            kind = await self._fill(file, document)
            headers = {**self._context(), "Content-Type": kind, "X-Runrelay-Record-Key": _header(document.key)}
            size = await self.post(id, file, headers)
        self.position = self.position or {}
        return Taken(rows=1, out=1, bytes=size, position=self.position)

    async def publish(self) -> Taken:
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    def _way(self) -> Callable[[Batch], Awaitable[Taken]]:
        if self.target.per == "item":
            return Each(self._item, self.target.parallel).items
        return Halves(self._piece, self.position).items if self.target.bisect else self._whole

    async def _whole(self, batch: Batch) -> Taken:
        size = await self._batch(batch, str(batch.index))
        position = {"batches": batch.index + 1}
        return Taken(rows=batch.lines.count(b"\n"), out=1, bytes=size, position=position)

    async def _piece(self, piece: Batch) -> int:
        return await self._batch(piece, f"{piece.numbers[0]}-{piece.numbers[-1]}")

    async def _batch(self, batch: Batch, part: str) -> int:
        body = envelope(self.shipment, batch) if self.target.body is None else self._rendered(batches.known(batch))
        return await self._send(part, body)

    async def _item(self, number: int, item: bytes) -> int:
        body = item if self.target.body is None else self._rendered({"item": msgspec.Raw(item)})
        return await self._send(str(number), body, **{"X-Runrelay-Row": str(number)})

    async def _send(self, part: str, body: bytes, **headers: str) -> int:
        kind = {"Content-Type": self._kind("application/json")}
        return await self.post(self._id(part), BytesIO(body), {**self._context(), **kind, **headers})

    def _rendered(self, known: Mapping[str, Any]) -> bytes:
        """What `body` gives. Raises Permanent (template_failed)."""
        assert self.target.body is not None
        value = self.target.body.render({**self.shipment.scope, **known})
        return value.encode() if self.target.body.prints else batches.as_json(value, "body")

    def _kind(self, otherwise: str) -> str:
        return self.target.content_type or (self.target.body.kind if self.target.body else otherwise)

    async def _fill(self, file: IO[bytes], document: Document) -> str:
        """Put into the file what stands for a document; returns its media type."""
        if self.target.body is not None:
            record = {"key": document.key, "contentType": document.content_type, "size": document.size}
            file.write(self._rendered({"record": record}))
            return self._kind("")
        async for chunk in document.chunks:
            try:
                file.write(chunk)
            except OSError as exc:
                raise disk_verdict(exc) from exc
            if file.tell() > self.max_body:
                said = f"more than max_body ({self.max_body} bytes): {document.key!a}"
                raise Permanent(Reason.ITEM_REFUSED, said)
        known = document.content_type and HEADER_TEXT.fullmatch(document.content_type)
        return document.content_type if known else "application/octet-stream"

    def _id(self, part: str) -> str:
        """At most 255 characters that are safe in a header, the same on every try."""
        stream = self.shipment.stream
        if not _PLAIN.fullmatch(stream):
            stream = f"{stream.partition(':')[0]}:{hashlib.sha256(stream.encode()).hexdigest()[:32]}"
        return f"{self.shipment.delivery.id}:{stream}:{part}"

    def _context(self) -> dict[str, str]:
        delivery, run = self.shipment.delivery, self.shipment.run
        facts = {
            "Delivery": delivery.id,
            "Generation": str(delivery.generation),
            "Route": delivery.route,
            "Target": delivery.target,
            "Stream": self.shipment.stream,
            "Source": run.source,
            "Run-Id": run.id,
            "Run-Status": run.status,
        }
        return {f"X-Runrelay-{name}": _header(value) for name, value in facts.items()}


def _both(one: Taken, other: Taken) -> Taken:
    return replace(
        other,
        rows=one.rows + other.rows,
        out=one.out + other.out,
        bytes=one.bytes + other.bytes,
        rejected=one.rejected + other.rejected,
    )


def _header(value: str) -> str:
    """Printable ASCII as it is; everything else, and `%`, percent-encoded."""
    return "".join(
        chr(byte) if 0x20 <= byte <= 0x7E and byte != 0x25 else f"%{byte:02X}"
        for byte in value.encode("utf-8", "replace")
    ).strip()
