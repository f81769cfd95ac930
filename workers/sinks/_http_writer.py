"""One stream on its way to a receiver."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from config.contracts.document import Document
from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Shipment, Taken
from workers.sinks._http_bodies import spooled
from workers.sinks._http_each import Each
from workers.sinks._http_halves import Halves
from workers.sinks._http_requests import Request, Requests
from workers.staging import disk_verdict

#: Sends one request, as soon as the pace allows it: id, body, headers; returns the bytes of the body as sent.
Post = Callable[[str, IO[bytes], Mapping[str, str]], Awaitable[int]]


class HttpWriter:
    """The far side keeps no place to go on from: ids that are the same on every try are all that is needed."""

    def __init__(
        self, post: Post, shipment: Shipment, position: dict[str, Any] | None, *, spool: Path, max_body: int
    ) -> None:
        self.post, self.shipment, self.position = post, shipment, position
        self.spool, self.max_body = spool, max_body
        self.requests = Requests(shipment)
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
        request = self.requests.of_document(document)
        with spooled(self.spool) as file:
            if request.body is None:
                await self._fill(file, document)
            else:
                file.write(request.body)
            size = await self.post(request.id, file, request.headers)
        self.position = self.position or {}
        return Taken(rows=1, out=1, bytes=size, position=self.position)

    async def publish(self) -> Taken:
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    def _way(self) -> Callable[[Batch], Awaitable[Taken]]:
        target = self.requests.target
        if target.per == "item":
            return Each(self._item, target.parallel).items
        return Halves(self._batch, self.position).items if target.bisect else self._whole

    async def _whole(self, batch: Batch) -> Taken:
        size = await self._batch(batch)
        position = {"batches": batch.index + 1}
        return Taken(rows=batch.lines.count(b"\n"), out=1, bytes=size, position=position)

    async def _batch(self, batch: Batch) -> int:
        return await self._send(self.requests.of_batch(batch))

    async def _item(self, number: int, item: bytes) -> int:
        return await self._send(self.requests.of_item(number, item))

    async def _send(self, request: Request) -> int:
        assert request.body is not None
        return await self.post(request.id, BytesIO(request.body), request.headers)

    async def _fill(self, file: IO[bytes], document: Document) -> None:
        """Put the document into the file. Raises Permanent (item_refused) if it is too large."""
        async for chunk in document.chunks:
            try:
                file.write(chunk)
            except OSError as exc:
                raise disk_verdict(exc) from exc
            if file.tell() > self.max_body:
                said = f"more than max_body ({self.max_body} bytes): {document.key!a}"
                raise Permanent(Reason.ITEM_REFUSED, said)


def _both(one: Taken, other: Taken) -> Taken:
    return replace(
        other,
        rows=one.rows + other.rows,
        out=one.out + other.out,
        bytes=one.bytes + other.bytes,
        rejected=one.rejected + other.rejected,
    )
