"""The other things a run leaves: key-value records, the log, and the run object itself, as named documents."""

from collections.abc import AsyncIterator, Sequence

import msgspec

from config.contracts.document import Document
from config.contracts.errors import NotYet, Transient
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.source import Api, Key, Keys, Source
from workers.fetch.reader import settles_in
from workers.routing.match import wants_key


async def keys(source: Source, api: Api, run: Run, after: str | None) -> AsyncIterator[Key]:
    """Every record of the run's own store, in the platform's order, from `after` on.

    Raises NotYet while the run has only just finished: a list made too early would be short for good. Transient for a
    page that counts other keys than it names, or that leads back to itself.
    """
    store = run.stores.get("default")
    quiet = run.finished + source.settle.quiet
    while store:
        page = await _page(source, api, store, after)
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
        page = await _page(source, api, store, after)
        total += page.count
        if page.after is None:
            break
        after = page.after
    return total


async def _page(source: Source, api: Api, store: str, after: str | None) -> Keys:
    page = await source.keys(api, store, after=after)
    if page.count != len(page.keys):
        raise Transient(Reason.SOURCE_UNAVAILABLE, f"the platform counts {page.count} keys and names {len(page.keys)}")
    if page.after is not None and page.after == after:
        raise Transient(Reason.SOURCE_UNAVAILABLE, "the platform's list of keys goes on where it began")
    return page


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
