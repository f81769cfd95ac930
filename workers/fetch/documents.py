"""The other things a run leaves: key-value records, the log, and the run object itself, as named documents."""

from collections.abc import AsyncIterator, Sequence

import msgspec

from config.contracts.errors import NotYet
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.sink import Document
from config.contracts.source import Api, Key, Source
from workers.fetch.reader import settles_in
from workers.routing.match import wants_key


async def keys(source: Source, api: Api, run: Run, after: str | None) -> AsyncIterator[Key]:
    """Every record of the run's own store, in the platform's order, from `after` on.

    Raises NotYet while the run has only just finished: a list made too early would be short for good.
    """
    store = run.stores.get("default")
    quiet = run.finished + source.settle.quiet
    while store:
        page = await source.keys(api, store, after=after)
        if page.at < quiet:
            raise NotYet(Reason.NOT_SETTLED, "the run has only just finished", wait=settles_in(quiet, page.at))
        for key in page.keys:
            yield key
        if page.after is None:
            return
        after = page.after


async def counted_keys(source: Source, api: Api, run: Run) -> int:
    """How many records the platform says there are: its own counts, added up over a list made anew."""
    store, after, total = run.stores.get("default"), None, 0
    while store:
        page = await source.keys(api, store, after=after)
        total += page.count
        if page.after is None:
            break
        after = page.after
    return total


def wanted(source: Source, patterns: Sequence[str], key: Key) -> bool:
    return wants_key(patterns, key.key, ordinary=source.ordinary(key.key))


def run_document(run: Run) -> Document:
    """The run as the platform gave it."""
    body = msgspec.json.encode(run.fields)
    return Document(key="run.json", content_type="application/json", size=len(body), chunks=_once(body))


def log_document(tail: bytes) -> Document:
    return Document(key="log.txt", content_type="text/plain; charset=utf-8", size=len(tail), chunks=_once(tail))


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
