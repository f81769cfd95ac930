"""What a run leaves behind (API reference, "Datasets", "Key-value stores", "Request queues")."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from config.contracts.api import Api
from config.contracts.document import Document
from config.contracts.source import Count, Key, Keys, Page, Requests
from config.sources.apify.answers import (
    DatasetInfo,
    KeyList,
    QueueHead,
    QueueInfo,
    RequestList,
    data,
    is_whole,
    number,
    odd,
    one_line,
    raw_data,
)
from config.sources.apify.paths import segment
from config.wire.answers import SMALL, clock

#: Most bytes of a page of requests; each may bring a payload.
_REQUESTS = 64 * 1024 * 1024


async def page(api: Api, dataset: str, *, offset: int, limit: int, most: int) -> Page:
    """Rows as stored: no server-side cleaning, so that row numbers stay what they are ("Get items")."""
    answer = await api.get(
        f"/datasets/{segment(dataset)}/items",
        {"format": "jsonl", "offset": offset, "limit": limit},
        most=most,
    )
    if not answer.headers.get("content-type", "").startswith(("application/jsonl", "application/x-ndjson")):
        raise odd("holds no JSON Lines; is there a proxy in between?")
    lines = _lines(answer.body)
    return Page(
        lines=lines,
        count=lines.count(b"\n"),
        scanned=number(answer, "x-apify-pagination-count"),
        total=number(answer, "x-apify-pagination-total"),
        at=clock(answer.headers),
    )


async def info(api: Api, collection: str, ident: str) -> dict[str, Any]:
    """A storage as the platform describes it: `datasets` ("Get dataset"), `key-value-stores`, `request-queues`."""
    return data(await api.get(f"/{collection}/{segment(ident)}", most=SMALL), dict[str, Any])


async def row_count(api: Api, dataset: str) -> Count:
    """Lags behind the rows by up to ten seconds."""
    answer = await api.get(f"/datasets/{segment(dataset)}", most=SMALL)
    return Count(rows=data(answer, DatasetInfo).item_count, at=clock(answer.headers))


async def keys(api: Api, store: str, *, after: str | None) -> Keys:
    """A page of "Get list of keys"."""
    params: dict[str, str | int] = {"limit": 1000}
    if after is not None:
        params["exclusiveStartKey"] = after
    answer = await api.get(f"/key-value-stores/{segment(store)}/keys", params, most=SMALL)
    listed = data(answer, KeyList)
    if listed.is_truncated and not listed.next_exclusive_start_key:
        raise odd("breaks a list of keys off without saying where it goes on")
    return Keys(
        keys=tuple(Key(store=store, key=item.key, size=item.size) for item in listed.items),
        count=listed.count,
        after=listed.next_exclusive_start_key if listed.is_truncated else None,
        at=clock(answer.headers),
    )


@asynccontextmanager
async def record(api: Api, key: Key) -> AsyncIterator[Document]:
    """`attachment` keeps Apify from altering HTML on the way ("Get record")."""
    path = f"/key-value-stores/{segment(key.store)}/records/{segment(key.key)}"
    async with api.stream(path, {"attachment": "true"}) as answer:
        yield Document(
            key=key.key,
            content_type=answer.headers.get("content-type", "application/octet-stream"),
            size=key.size,
            chunks=answer.chunks,
        )


async def requests(api: Api, queue: str, *, after: str | None) -> Requests:
    """A page of "List requests"; it may be empty without being the last."""
    params: dict[str, str | int] = {"limit": 1000, **({"cursor": after} if after else {})}
    answer = await api.get(f"/request-queues/{segment(queue)}/requests", params, most=_REQUESTS)
    found = raw_data(answer, RequestList)
    lines = [one_line(bytes(request)) for request in found.items]
    return Requests(
        lines=b"".join(line + b"\n" for line in lines),
        count=len(lines),
        after=found.next_cursor,
        at=clock(answer.headers),
    )


async def request_count(api: Api, queue: str) -> Count:
    """How many requests were ever put into a queue ("Get request queue")."""
    answer = await api.get(f"/request-queues/{segment(queue)}", most=SMALL)
    return Count(rows=data(answer, QueueInfo).total_request_count, at=clock(answer.headers))


async def queue_head(api: Api, queue: str, *, limit: int = 100) -> list[dict[str, Any]]:
    """The requests that are handled next, 1000 at most ("Get head"). Looking does not lock them."""
    answer = await api.get(f"/request-queues/{segment(queue)}/head", {"limit": limit}, most=SMALL)
    return data(answer, QueueHead).items


def _lines(body: bytes) -> bytes:
    """Each row with its newline. A page without rows may be empty or a lone line break.

    The last row may lack its line break, but then it must be whole: nothing else would tell that the body was cut off.
    """
    if not body or body.isspace():
        return b""
    if body.endswith(b"\n"):
        return body
    if not is_whole(body[body.rfind(b"\n") + 1 :]):
        raise odd("ends in the middle of a row")
    return body + b"\n"
