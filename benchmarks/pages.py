"""A platform with one run and one dataset, as fast as Python can serve it: `python -m benchmarks.pages ROWS [DELAY]`.

Rows are rendered once, in pages of 1,000 (or all of them, if they are fewer) that repeat. It answers what is needed to
deliver a run: whose token it is, the run, the dataset's count, and its items as `json` or `jsonl` with Apify's
pagination headers. Every run and every dataset one asks for is there, and like all others. Without `limit` all items
come in one answer. Nothing is compressed. DELAY: seconds before each answer.
"""

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from email.utils import formatdate
from itertools import cycle, islice
from urllib.parse import parse_qs, urlsplit

import uvloop

ITEM_BYTES, PAGE, DIFFERENT_PAGES = 988, 1000, 10
RUN_ID, DATASET_ID, ACCOUNT = "RuNiDOfSeventeen0", "yTmKq0cVbNwX5zLp8", "wRsJZtadYvn4mBZmm"
PROSE = "A sturdy chair with a woven seat, made to last. "

RUN = {
    "id": RUN_ID,
    "actId": "",
    "userId": ACCOUNT,
    "status": "SUCCEEDED",
    "startedAt": "2026-11-20T09:38:51.904Z",
    "finishedAt": "2026-11-20T09:41:07.003Z",
    "meta": {"origin": "API"},
    "buildId": "BuIlDiDOfSeventee",
    "defaultDatasetId": DATASET_ID,
    "defaultKeyValueStoreId": "sToReIdOfSeventee",
    "defaultRequestQueueId": "QuEuEiDoFSeventee",
    "stats": {"restartCount": 0, "resurrectCount": 0, "computeUnits": 0.1},
    "options": {"build": "latest", "timeoutSecs": 300, "memoryMbytes": 1024, "diskMbytes": 2048},
}


def item(number: int) -> str:
    """A product as a crawler would leave it, ITEM_BYTES of JSON."""
    fields = {
        "url": f"https://shop.example/p/{number:09d}",
        "title": f'Chair "Møre", no. {number}',
        "price": {"amount": 100 + number % 900, "currency": "EUR", "was": None},
        "inStock": number % 3 > 0,
        "rating": round(1 + number % 41 / 10, 1),
        "images": [f"https://cdn.shop.example/{number:09d}/{view}.jpg" for view in range(4)],
        "attributes": {"material": "oak", "width": 44.5, "height": 98, "colours": ["white", "black", "natural"]},
        "#debug": {"requestId": f"{number:015d}", "retries": 0},
        "crawledAt": "2026-11-20T09:40:12.118Z",
        "description": "",
    }
    missing = ITEM_BYTES - len(_json(fields).encode())
    return _json({**fields, "description": (PROSE * 20)[:missing]})


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class Dataset:
    """Rows as they are sent."""

    def __init__(self, rows: int) -> None:
        self.rows, self.page = rows, min(PAGE, rows)
        pages = [[item(page * PAGE + row) for row in range(self.page)] for page in range(DIFFERENT_PAGES)]
        self.jsonl = [("\n".join(page) + "\n").encode() for page in pages]
        self.json = [f"[{','.join(page)}]".encode() for page in pages]

    def items(self, form: str, offset: int, limit: int) -> tuple[int, Iterator[bytes]]:
        """How many rows, and the pages they are on. Both numbers are multiples of a page."""
        pages = self.jsonl if form == "jsonl" else self.json
        count = max(0, min(limit or self.rows, self.rows - offset))
        first = offset // self.page % DIFFERENT_PAGES
        return count, islice(cycle(pages), first, first + count // self.page)


class Platform:
    def __init__(self, rows: int, delay: float) -> None:
        self.dataset, self.delay = Dataset(rows), delay

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the other side hangs up."""
        try:
            while True:
                target = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
                await asyncio.sleep(self.delay)
                for part in self.parts(target):
                    writer.write(part)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def parts(self, target: str) -> Iterator[bytes]:
        url = urlsplit(target)
        if url.path.endswith("/items"):
            yield from self.items({name: values[0] for name, values in parse_qs(url.query).items()})
            return
        body = self.document(url.path)
        yield head("application/json", len(body))
        yield body

    def document(self, path: str) -> bytes:
        if path.endswith("/users/me"):
            return _json({"data": {"id": ACCOUNT}}).encode()
        name = path.rpartition("/")[2]
        if "/actor-runs/" in path:
            return _json({"data": {**RUN, "id": name, "defaultDatasetId": f"{DATASET_ID}{name}"}}).encode()
        return _json({"data": {"id": name, "itemCount": self.dataset.rows}}).encode()

    def items(self, query: dict[str, str]) -> Iterator[bytes]:
        form = query.get("format", "json")
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 0))
        count, pages = self.dataset.items(form, offset, limit)
        sent = list(pages) or [b"" if form == "jsonl" else b"[]"]
        facts = {"total": self.dataset.rows, "offset": offset, "count": count, "limit": limit, "desc": "false"}
        pagination = [f"x-apify-pagination-{name}: {fact}" for name, fact in facts.items()]
        kind = "application/jsonl; charset=utf-8" if form == "jsonl" else "application/json; charset=utf-8"
        yield head(kind, sum(map(len, sent)), pagination)
        yield from sent


def head(kind: str, length: int, more: Sequence[str] = ()) -> bytes:
    lines = [
        "HTTP/1.1 200 OK",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {kind}",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, *more, "", ""]).encode()


async def main(rows: int, delay: float) -> None:
    server = await asyncio.start_server(Platform(rows, delay).answer, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))
