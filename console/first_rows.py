"""The first few of whatever a stream of a run holds, as a sink would get them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from config.contracts.api import Api, TooLarge
from config.contracts.document import Document, Glimpse
from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.sink import Batch, Rejected
from config.contracts.source import Key, Source
from config.route import Route, Target
from workers.fetch.documents import listed_of, log_document, record_of, run_document, wanted
from workers.fetch.reader import PAGE_BYTES
from workers.refining import Refining, warnings_of
from workers.routing.shaping import Shaper, chosen

#: Bytes that are read of a record, and kept of a log or of the run itself.
RECORD, WHOLE = 2048, 256 * 1024


@dataclass(frozen=True, slots=True)
class First:
    """What there is of one stream.

    Attributes:
        parts: what a sink gets, one after the other.
        read: how many items or records were looked at; of that `left` are sent.
        rejected: items whose types did not fit, for a `strict` route or target.
        warnings: what is probably not meant.
    """

    parts: Sequence[Batch | Glimpse]
    read: int
    left: int
    rejected: Sequence[Rejected] = ()
    warnings: Sequence[str] = ()


class FirstRows:
    """Reads one run. What several targets are sent is read once.

    most: of how many rows or records.
    """

    def __init__(self, source: Source, api: Api, run: Run, most: int) -> None:
        self.source, self.api, self.run, self.most = source, api, run, most
        self._pages: dict[str, list[bytes]] = {}

    async def of(self, stream: str, route: Route, target: Target, scope: Mapping[str, Any]) -> First:
        """Raises the verdicts of the platform, and Permanent where the delivery would."""
        kind, _, name = stream.partition(":")
        steps = (target.transform,)
        match kind, name:
            case "items", alias:
                shaper = Shaper((route.read.transform, *steps), scope)
                return await self._items(stream, alias, target, Refining(stream, shaper, route.read.clean))
            case "requests", _:
                return await self._batch(target, await self._requests(), Refining(stream, Shaper(steps, scope)))
            case "rows", "records":
                refining = Refining(stream, Shaper(steps, scope, under="record"))
                return await self._batch(target, await self._rows(route, refining), refining)
            case "rows", "run":
                return await self._batch(target, [b"{}"], Refining(stream, Shaper(steps, scope)))
            case "records", _:
                return await self._records(route, target, scope)
        document = await self._single(kind, route)
        return First([await _glimpse(document, WHOLE)], 1, 1)

    async def _items(self, stream: str, alias: str, target: Target, refining: Refining) -> First:
        dataset = self.run.datasets.get(alias)
        if dataset is None:
            raise Permanent(Reason.DATA_EXPIRED, f"the run has no dataset with the alias {alias}")
        if stream not in self._pages:
            self._pages[stream] = await self._page(dataset)
        return await self._batch(target, self._pages[stream], refining)

    async def _page(self, dataset: str) -> list[bytes]:
        limit = self.most
        while True:
            try:
                page = await self.source.page(self.api, self.run, dataset, offset=0, limit=limit, most=PAGE_BYTES)
                return page.lines.split(b"\n")[:-1]
            except TooLarge:
                if limit == 1:
                    raise Permanent(Reason.SOURCE_REFUSED, f"a row is larger than {PAGE_BYTES} bytes") from None
                limit = max(1, limit // 4)

    async def _requests(self) -> list[bytes]:
        queue = self.run.queues.get("default")
        if queue is None:
            return []
        page = await self.source.requests(self.api, queue, after=None)
        return page.lines.split(b"\n")[: min(self.most, page.count)]

    async def _batch(self, target: Target, rows: Sequence[bytes], refining: Refining) -> First:
        """The first batch, as far as it was read."""
        rows = rows[: target.batch.items]
        batch = Batch(0, 0, b"".join(row + b"\n" for row in rows), len(rows))
        refined = await refining.refine(batch)
        parts = [refined.batch] if refined.batch.count else []
        warnings = warnings_of(refining.stream, refined.tally)
        return First(parts, len(rows), refined.batch.count, refined.rejected, warnings)

    async def _rows(self, route: Route, refining: Refining) -> list[bytes]:
        found = []
        async for key in self._keys(route):
            if refining.shaper.mentions("contentType"):
                async with self.source.record(self.api, self.run, key) as document:
                    found.append(msgspec.json.encode(record_of(key, document)))
            else:
                found.append(msgspec.json.encode(listed_of(key)))
        return found

    async def _records(self, route: Route, target: Target, scope: Mapping[str, Any]) -> First:
        parts, read = list[Glimpse](), 0
        async for key in self._keys(route):
            read += 1
            async with self.source.record(self.api, self.run, key) as document:
                if chosen(target.transform, record_of(key, document), scope):
                    parts.append(await _glimpse(document, RECORD))
        return First(parts, read, len(parts))

    async def _keys(self, route: Route) -> AsyncIterator[Key]:
        """The first records that the route reads, of the first page of the list."""
        store = self.run.stores.get("default")
        page = await self.source.keys(self.api, self.run, store, after=None) if store else None
        meant = [key for key in page.keys if wanted(self.source, route.read.records or ("*",), key)] if page else []
        for key in meant[: self.most]:
            yield key

    async def _single(self, kind: str, route: Route) -> Document:
        if kind == "run":
            return run_document(self.run)
        return log_document(await self.source.log_tail(self.api, self.run.id, route.read.log_tail or 1000))


async def _glimpse(document: Document, most: int) -> Glimpse:
    start = b""
    async for chunk in document.chunks:
        start += chunk
        if len(start) >= most:
            break
    return Glimpse(document.key, document.content_type, document.size, start[:most])
