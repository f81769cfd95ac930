"""The other things a run leaves: key-value records, the log, and the run object itself, as named documents."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from config.contracts.api import Api
from config.contracts.document import Document
from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.source import Key, Keys, Source
from workers.fetch.settling import require_quiet
from workers.routing.match import wants_key

#: Most bytes of one record. What a sink keeps of it in memory is the sink's affair: it comes in pieces.
RECORD_BYTES = 1024**3


async def keys(source: Source, api: Api, run: Run, after: str | None) -> AsyncIterator[Key]:
    """Every record of the run's own store, in the platform's order, from `after` on.

    Raises NotYet while the run has only just finished: a list made too early would be short for good. Transient for a
    page that counts other keys than it names, or that leads back to itself.
    """
    store = run.stores.get("default")
    while store:
        page = await _page(source, api, run, store, after)
        require_quiet(run, source.settle, page.at)
        for key in page.keys:
            yield key
        if page.after is None:
            return
        after = page.after


async def counted_keys(source: Source, api: Api, run: Run) -> int:
    """How many records the platform says there are: its own counts, added up over a list made anew."""
    store, after, total = run.stores.get("default"), None, 0
    while store:
        page = await _page(source, api, run, store, after)
        total += page.count
        if page.after is None:
            break
        after = page.after
    return total


async def _page(source: Source, api: Api, run: Run, store: str, after: str | None) -> Keys:
    page = await source.keys(api, run, store, after=after)
    if page.count != len(page.keys):
        raise Transient(Reason.SOURCE_UNAVAILABLE, f"the platform counts {page.count} keys and names {len(page.keys)}")
    if page.after is not None and page.after == after:
        raise Transient(Reason.SOURCE_UNAVAILABLE, "the platform's list of keys goes on where it began")
    return page


def wanted(source: Source, patterns: Sequence[str], key: Key) -> bool:
    return wants_key(patterns, key.key, ordinary=source.ordinary(key.key))


def listed_of(key: Key) -> dict[str, Any]:
    """What expressions see of a record as `record`, as far as a list tells of it: what else the platform says, and what
    every platform says."""
    address = {"url": key.url} if key.url else {}
    return {**key.about, "key": key.key, "size": key.size, **address}


def record_of(key: Key, document: Document) -> dict[str, Any]:
    """The same of a record that was asked for."""
    return {**listed_of(key), "size": document.size, "contentType": document.content_type}


def capped(document: Document) -> Document:
    """The same record, as far as RECORD_BYTES. Raises Permanent (source_refused) if it is announced to be larger; its
    chunks do if it turns out to be."""
    if document.size is not None and document.size > RECORD_BYTES:
        raise _too_large(document)
    return replace(document, chunks=_capped(document))


async def _capped(document: Document) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in document.chunks:
        size += len(chunk)
        if size > RECORD_BYTES:
            raise _too_large(document)
        yield chunk


def _too_large(document: Document) -> Permanent:
    return Permanent(Reason.SOURCE_REFUSED, f"the record {document.key!a} is larger than {RECORD_BYTES} bytes")


def run_document(run: Run) -> Document:
    """The run as the platform gave it."""
    body = msgspec.json.encode(run.fields)
    return Document(key="run.json", content_type="application/json", size=len(body), chunks=_once(body))


def log_document(tail: bytes) -> Document:
    return Document(key="log.txt", content_type="text/plain; charset=utf-8", size=len(tail), chunks=_once(tail))


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
