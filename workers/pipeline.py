"""read → route → write: one delivery, stream by stream, as a chain over batches.

Each step hands on only what the next one has durably taken: a batch is written, confirmed by the far side, and then
checkpointed, in this order, so that a kill between any two of them repeats one batch and never skips one.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from config.contracts.api import Api
from config.contracts.document import Document
from config.contracts.errors import NotFound, Permanent, Transient, WorkError
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.sink import Batch, Shipment, Sink, Taken, Writer
from config.contracts.source import Key, Source
from config.route import Expect, Route, Target
from workers.fetch.budget import Budget
from workers.fetch.documents import capped, counted_keys, keys, listed_of, log_document, record_of, run_document, wanted
from workers.fetch.reader import DatasetReader
from workers.fetch.requests import RequestReader
from workers.ledger.changes import Changes
from workers.ledger.lives import Range
from workers.progress import Progress
from workers.refining import Part, Refining, warnings_of
from workers.rejecting import Reject, judge, with_items
from workers.routing.shaping import Shaper, chosen

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
        expect: what is counted for the route.
        changes: what the target was last delivered, if it is only sent what differs.
        counts: whether items are counted only, and need not be read for it.
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
    expect: Expect | None = None
    changes: Changes | None = None
    counts: bool = False
    publishing: Callable[[], AbstractContextManager[None]] = nullcontext


#: Streams that somebody may still write to after the end of the run.
_MAY_GROW = frozenset({"records", "requests", "rows:records"})


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
    scope = {**work.scope, "dataset": stream.removeprefix("items:") if stream.startswith("items:") else ""}
    shipment = Shipment(progress.delivery, stream, work.run, scope, work.target.options, work.unsure)
    async with work.sink.open(shipment, progress.at.position) as writer:
        if progress.at.position is not None and writer.position is None:
            await _restart(work, _LOST)
        expected = await _write(work, stream, scope, writer)
        try:
            progress.close(expected, (*warnings_of(stream, progress.at.tally), *_untold(work)))
        except Permanent as mismatch:
            if stream not in _MAY_GROW:
                raise
            # Somebody may still write to them: read all of it again before holding the counts to be wrong.
            await _restart(work, mismatch)
            raise Transient(mismatch.reason, mismatch.detail) from mismatch
        await progress.confirm()
        with work.publishing():
            published = await writer.publish()
        judge(work.target.bad_items, published.rejected, progress.receipt.rejected, progress.receipt.read)
        if work.changes and published.rejected:
            await _unsay(work, work.changes, published)
        await progress.end(published)


async def _restart(work: Work, why: WorkError) -> None:
    await work.progress.restart(why, work.changes.anew() if work.changes else None)


async def _write(work: Work, stream: str, scope: Mapping[str, Any], writer: Writer) -> int:
    """Write a stream to its end. Returns how many rows the platform counts in it."""
    kind, _, name = stream.partition(":")
    read, target = work.route.read, work.target
    if kind == "items":
        shaper = Shaper((read.transform, target.transform), scope)
        return await _write_items(work, name, Refining(stream, shaper, read.clean, work.expect, work.changes), writer)
    if kind == "requests":
        shaper = Shaper((target.transform,), scope)
        return await _write_requests(work, Refining(stream, shaper, changes=work.changes), writer)
    if stream == "rows:records":
        return await _write_rows(work, Refining(stream, Shaper((target.transform,), scope, under="record")), writer)
    if stream == "rows:run":
        return await _write_row(work, Refining(stream, Shaper((target.transform,), scope)), writer)
    if kind == "records":
        return await _write_records(work, scope, writer)
    return await _write_document(work, stream, writer)


async def _write_items(work: Work, alias: str, refining: Refining, writer: Writer) -> int:
    progress = work.progress
    dataset = work.run.datasets.get(alias)
    if dataset is None:
        raise Permanent(Reason.DATA_EXPIRED, f"the run has no dataset with the alias {alias}")
    if work.counts and progress.at.batch == 0:
        await _count(work, dataset, refining)
    at, size, cut = progress.at, work.target.batch, not getattr(writer, "takes_pages", False)
    async with DatasetReader(
        work.source, work.api, work.run, dataset, size, progress.settled, work.budget, cut=cut
    ) as reader:
        async for batch in reader.batches(at.offset, at.batch, at.end):
            await _write_batch(work, batch, refining, writer)
    expected = (progress.at.expected or 0) - progress.receipt.from_offset
    if expected < 0:
        raise Permanent(Reason.SOURCE_MUTATED, "the dataset has fewer rows than were delivered before")
    if refining.changes:
        await _write_gone(work, refining.changes, writer)
    return expected


async def _count(work: Work, dataset: str, refining: Refining) -> None:
    """Rows that need not be read. Whether more were added meanwhile, the reader behind them finds out."""
    rows = (await work.source.count(work.api, work.run, dataset)).rows
    taken = Taken(rows=rows, out=0, bytes=0)
    await work.progress.advance(taken, read=rows, tally=refining.counted(rows))


async def _write_batch(work: Work, batch: Batch, refining: Refining, writer: Writer) -> None:
    """One batch as it was read. Counted are the rows it was read from; what of them is not offered was filtered."""
    done, end = batch.offset, batch.offset + batch.count
    refined = await refining.refine(replace(batch, index=work.progress.at.batch))
    rest = refined.batch
    while done < end:
        before = work.progress.at.position
        taken = await writer.items(rest) if rest.count else _still(work.progress)
        if taken.left and taken.left == rest.count and taken.position == before:
            raise Transient(Reason.INTERNAL_ERROR, "the sink took nothing of a batch, nor did it say why")
        offered, kept = rest.count - taken.left, rest
        if taken.left:
            rest = rest.after(offered)
        upto = rest.offset if taken.left else end
        part = refined.part(done, upto, taken.rejected)
        await _advance(
            work,
            replace(taken, rejected=(*part.rejected, *taken.rejected)),
            (*part.rejects, *with_items(taken.rejected, kept)),
            read=upto - done,
            filtered=upto - done - offered - len(part.rejected),
            tally=_tally(work, part),
            seen=part.seen,
            parts=await refining.changes.parts(part.notes) if refining.changes else None,
        )
        done = upto


async def _write_gone(work: Work, changes: Changes, writer: Writer) -> None:
    """What the run does not have any more, and what else the target has."""
    progress, kept = work.progress, not changes.tells_of_gone or bool(_untold(work))
    if not kept:
        async for gone in changes.gone(_end(progress), progress.receipt.added, work.target.batch.items):
            batch = replace(gone.batch, index=progress.at.batch)
            taken = await _whole(writer, batch)
            parts = await changes.parts(gone.notes[one.offset] for one in taken.rejected)
            rejects = with_items(taken.rejected, batch)
            await _advance(work, taken, rejects, read=0, added=batch.count, after=progress.at.after, parts=parts)
    async for parts in changes.rest(keep=kept):
        await progress.note(parts)


def _end(progress: Progress) -> int:
    """One past the last row of the run, once it is read."""
    return progress.at.offset - progress.receipt.added


def _untold(work: Work) -> Sequence[str]:
    """Why nothing is said of keys that the run does not have, if somebody wants to hear it."""
    if work.changes is None or not work.changes.tells_of_gone:
        return ()
    if not work.run.succeeded:
        return (f"the run ended {work.run.status}: what it lacks may be there, and is not told as removed",)
    if unread := sum(work.progress.at.tally.get(f"{_stream(work)}|{name}", 0) for name in ("unread", "undecided")):
        return (f"{unread} items could not be compared: what the run lacks is not told as removed",)
    return ()


def _tally(work: Work, part: Part) -> Mapping[str, int]:
    """What was counted of some rows, and how many of them nobody could compare."""
    if not (work.changes and part.rejected):
        return part.tally
    return {**part.tally, f"{_stream(work)}|unread": len(part.rejected)}


def _stream(work: Work) -> str:
    return work.progress.receipt.stream


async def _unsay(work: Work, changes: Changes, published: Taken) -> None:
    """The target turned down what it had taken before."""
    parts = await changes.unsaid({one.offset for one in published.rejected}, _end(work.progress))
    if parts:
        await work.progress.note(parts)


async def _advance(work: Work, taken: Taken, rejects: Sequence[Reject], *, read: int, **told: Any) -> None:
    row = work.progress.receipt
    judge(work.target.bad_items, taken.rejected, row.rejected, row.read + read)
    await work.progress.advance(taken, read=read, rejects=rejects, **told)


async def _write_requests(work: Work, refining: Refining, writer: Writer) -> int:
    """A page is known by its end alone, so it is offered whole."""
    reader = RequestReader(work.source, work.api, work.run, work.target.batch, work.budget)
    progress, at = work.progress, work.progress.at
    async for batch, after in reader.batches(at.after, at.offset, at.batch):
        await _write_whole(work, batch, after, refining, writer, read=batch.count)
    expected = await reader.count()
    if refining.changes and expected <= progress.receipt.read:
        await _write_gone(work, refining.changes, writer)
    return expected


async def _write_whole(
    work: Work, batch: Batch, after: str | None, refining: Refining, writer: Writer, *, read: int
) -> None:
    refined = await refining.refine(replace(batch, index=work.progress.at.batch))
    taken = await _whole(writer, refined.batch) if refined.batch.count else _still(work.progress)
    part = refined.part(batch.offset, batch.offset + read, taken.rejected)
    await _advance(
        work,
        replace(taken, rejected=(*part.rejected, *taken.rejected)),
        (*part.rejects, *with_items(taken.rejected, refined.batch)),
        read=read,
        filtered=read - refined.batch.count - len(part.rejected),
        after=after,
        tally=_tally(work, part),
        parts=await refining.changes.parts(part.notes) if refining.changes else None,
    )


async def _write_rows(work: Work, refining: Refining, writer: Writer) -> int:
    """A row for each record, a batch of keys at a time. Its place is its place in the list."""
    waiting: list[Key] = []
    async for key in keys(work.source, work.api, work.run, work.progress.at.after):
        waiting.append(key)
        if len(waiting) == work.target.batch.items:
            await _write_keys(work, waiting, refining, writer)
            waiting = []
    if waiting:
        await _write_keys(work, waiting, refining, writer)
    return await counted_keys(work.source, work.api, work.run)


async def _write_keys(work: Work, found: Sequence[Key], refining: Refining, writer: Writer) -> None:
    at = work.progress.at
    wanting = [(at.offset + number, key) for number, key in enumerate(found) if _wants(work, key)]
    lines = [msgspec.json.encode(await _described(work, key, refining)) + b"\n" for _, key in wanting]
    numbers = tuple(number for number, _ in wanting)
    batch = Batch(at.batch, at.offset, b"".join(lines), len(lines), numbers)
    await _write_whole(work, batch, found[-1].key, refining, writer, read=len(found))


async def _described(work: Work, key: Key, refining: Refining) -> dict[str, Any]:
    """What a row can be made of. The list does not tell the content type: it is asked for if somebody wants it."""
    if not refining.shaper.mentions("contentType"):
        return listed_of(key)
    async with work.source.record(work.api, work.run, key) as document:
        return record_of(key, document)


async def _write_row(work: Work, refining: Refining, writer: Writer) -> int:
    """One row, of the run itself."""
    if work.progress.at.batch == 0:
        await _write_whole(work, Batch(0, 0, b"{}\n", 1), None, refining, writer, read=1)
    return 1


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


async def _write_records(work: Work, scope: Mapping[str, Any], writer: Writer) -> int:
    progress = work.progress
    async for key in keys(work.source, work.api, work.run, progress.at.after):
        taken = await _copy_record(work, key, scope, writer) if _wants(work, key) else None
        if taken:
            await _advance(work, taken, _named(taken, key.key), read=1, after=key.key)
        else:
            await progress.advance(_still(progress), read=1, filtered=1, after=key.key)
    return await counted_keys(work.source, work.api, work.run)


def _wants(work: Work, key: Key) -> bool:
    return wanted(work.source, work.route.read.records or ("*",), key)


async def _copy_record(work: Work, key: Key, scope: Mapping[str, Any], writer: Writer) -> Taken | None:
    """None if the target does not want it."""
    try:
        async with work.source.record(work.api, work.run, key) as document:
            if not chosen(work.target.transform, record_of(key, document), scope):
                return None
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
