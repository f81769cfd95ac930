"""read → route → write: one delivery, stream by stream, as a chain over batches.

Each step hands on only what the next one has durably taken: a batch is written, confirmed by the far side, and then
checkpointed, in this order, so that a kill between any two of them repeats one batch and never skips one.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from config.contracts.document import Document
from config.contracts.errors import NotFound, Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.sink import Batch, Shipment, Sink, Taken, Writer
from config.contracts.source import Api, Key, Source
from config.route import Route, Target
from workers.fetch.budget import Budget
from workers.fetch.documents import capped, counted_keys, keys, log_document, run_document, wanted
from workers.fetch.reader import DatasetReader
from workers.fetch.requests import RequestReader
from workers.ledger.lives import Range
from workers.progress import Progress
from workers.rejecting import Reject, judge, with_items
from workers.routing.clean import clean

_LOST = Permanent(
    Reason.TARGET_UNAVAILABLE, "what was written before was gone again and again; do all workers see the same folder?"
)


@dataclass(frozen=True, slots=True)
class Work:
    """Everything one slice of a delivery needs.

    Attributes:
        scope: the names templates may use.
        rows: stream → the rows to send, where they are not simply all.
        unsure: whether the turn before this one broke off.
        publishing: around the last step of a stream, which may take longer than others.
    """

    source: Source
    api: Api
    run: Run
    route: Route
    target: Target
    sink: Sink
    scope: Mapping[str, Any]
    rows: Mapping[str, Range]
    progress: Progress
    budget: Budget
    unsure: bool = False
    publishing: Callable[[], AbstractContextManager[None]] = nullcontext


async def ship(work: Work) -> None:
    """Deliver every stream that is left. Returns once the far side has all of it.

    Raises SliceOver when the turn is over, LeaseLost, NotYet, Transient, Unauthorized or Permanent.
    """
    streams = work.progress.delivery.streams
    while (index := work.progress.at.stream) < len(streams):
        await _ship_stream(work, streams[index])


async def _ship_stream(work: Work, stream: str) -> None:
    progress = work.progress
    if not progress.begun:
        progress.begin(stream, *work.rows.get(stream, Range()))
    scope = {**work.scope, "dataset": stream.partition(":")[2]}
    shipment = Shipment(progress.delivery, stream, work.run, scope, work.target.options, work.unsure)
    async with work.sink.open(shipment, progress.at.position) as writer:
        if progress.at.position is not None and writer.position is None:
            await progress.restart(_LOST)
        expected = await _write(work, stream, writer)
        try:
            progress.close(expected)
        except Permanent as mismatch:
            if stream not in {"records", "requests"}:
                raise
            # Somebody may still write to them: read all of it again before holding the counts to be wrong.
            await progress.restart(mismatch)
            raise Transient(mismatch.reason, mismatch.detail) from mismatch
        await progress.confirm()
        with work.publishing():
            published = await writer.publish()
        judge(work.target.bad_items, published.rejected, progress.receipt.rejected, progress.receipt.read)
        await progress.end(published)


async def _write(work: Work, stream: str, writer: Writer) -> int:
    """Write a stream to its end. Returns how many rows the platform counts in it."""
    if stream.startswith("items:"):
        return await _write_items(work, stream.removeprefix("items:"), writer)
    if stream == "records":
        return await _write_records(work, writer)
    if stream == "requests":
        return await _write_requests(work, writer)
    return await _write_document(work, stream, writer)


async def _write_items(work: Work, alias: str, writer: Writer) -> int:
    progress = work.progress
    dataset = work.run.datasets.get(alias)
    if dataset is None:
        raise Permanent(Reason.DATA_EXPIRED, f"the run has no dataset with the alias {alias}")
    at, size, cut = progress.at, work.target.batch, not getattr(writer, "takes_pages", False)
    async with DatasetReader(
        work.source, work.api, work.run, dataset, size, progress.settled, work.budget, cut=cut
    ) as reader:
        async for batch in reader.batches(at.offset, at.batch, at.end):
            await _write_batch(work, batch, writer)
    expected = (progress.at.expected or 0) - progress.receipt.from_offset
    if expected < 0:
        raise Permanent(Reason.SOURCE_MUTATED, "the dataset has fewer rows than were delivered before")
    return expected


async def _write_batch(work: Work, batch: Batch, writer: Writer) -> None:
    kept, done, end = replace(batch, index=work.progress.at.batch), batch.offset, batch.offset + batch.count
    if work.route.read.clean:
        kept, _ = await asyncio.to_thread(clean, kept)
    while done < end:
        before = work.progress.at.position
        taken = await writer.items(kept) if kept.count else _still(work.progress)
        if taken.left and taken.left == kept.count and taken.position == before:
            raise Transient(Reason.INTERNAL_ERROR, "the sink took nothing of a batch, nor did it say why")
        offered = kept.count - taken.left
        rest = kept.after(offered) if taken.left else kept
        upto = rest.offset if taken.left else end
        await _advance(work, taken, with_items(taken.rejected, kept), read=upto - done, filtered=upto - done - offered)
        kept, done = rest, upto


async def _advance(
    work: Work, taken: Taken, rejects: Sequence[Reject], *, read: int, filtered: int = 0, after: str | None = None
) -> None:
    row = work.progress.receipt
    judge(work.target.bad_items, taken.rejected, row.rejected, row.read + read)
    await work.progress.advance(taken, read=read, filtered=filtered, after=after, rejects=rejects)


async def _write_requests(work: Work, writer: Writer) -> int:
    progress = work.progress
    reader = RequestReader(work.source, work.api, work.run, work.target.batch, work.budget)
    at = progress.at
    async for batch, after in reader.batches(at.after, at.offset, at.batch):
        taken = await _whole(writer, batch)
        await _advance(work, taken, with_items(taken.rejected, batch), read=batch.count, after=after)
    return await reader.count()


async def _whole(writer: Writer, batch: Batch) -> Taken:
    """All of a batch at once, also by a sink that takes it in parts: a page of requests is known by its end alone."""
    taken = await writer.items(batch)
    while taken.left:
        batch = batch.after(batch.count - taken.left)
        more = await writer.items(batch)
        taken = replace(
            more,
            rows=taken.rows + more.rows,
            out=taken.out + more.out,
            bytes=taken.bytes + more.bytes,
            rejected=taken.rejected + more.rejected,
        )
    return taken


async def _write_records(work: Work, writer: Writer) -> int:
    progress = work.progress
    async for key in keys(work.source, work.api, work.run, progress.at.after):
        if wanted(work.source, work.route.read.records or ("*",), key):
            taken = await _copy_record(work, key, writer)
            await _advance(work, taken, _named(taken, key.key), read=1, after=key.key)
        else:
            await progress.advance(_still(progress), read=1, filtered=1, after=key.key)
    return await counted_keys(work.source, work.api, work.run)


async def _copy_record(work: Work, key: Key, writer: Writer) -> Taken:
    try:
        async with work.source.record(work.api, key) as document:
            return await writer.document(capped(document))
    except NotFound as exc:
        raise NotFound(Reason.SOURCE_MUTATED, f"a record that was listed is gone: {exc.detail}") from exc


async def _write_document(work: Work, stream: str, writer: Writer) -> int:
    if work.progress.at.batch == 0:
        taken = await writer.document(await _single(work, stream))
        await _advance(work, taken, _named(taken, stream), read=1)
    return 1


async def _single(work: Work, stream: str) -> Document:
    if stream == "run":
        return run_document(work.run)
    return log_document(await work.source.log_tail(work.api, work.run.id, work.route.read.log_tail or 1000))


def _named(taken: Taken, name: str) -> list[Reject]:
    return [Reject(one.offset, one.why, name) for one in taken.rejected]


def _still(progress: Progress) -> Taken:
    """Nothing was written; the sink stays where it is."""
    return Taken(rows=0, out=0, bytes=0, position=progress.at.position)
