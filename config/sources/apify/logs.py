"""Logs of runs (API reference, "Get log"): UTF-8, lines that begin with an ISO time."""

from collections import deque
from collections.abc import AsyncIterator

from config.contracts.api import Api
from config.sources.apify.paths import segment

#: Most bytes kept of a log; Apify keeps 10,485,760 characters of it (platform limits).
MOST = 16 * 1024 * 1024


async def followed(api: Api, run_id: str, *, stream: bool = False) -> AsyncIterator[bytes]:
    """The log in chunks of any size; with `stream` it goes on until the run ends."""
    async with api.stream(_path(run_id), {"stream": "true"} if stream else None) as answer:
        async for chunk in answer.chunks:
            yield chunk


async def tail(api: Api, run_id: str, lines: int) -> bytes:
    """The last `lines` lines, each ended by a newline."""
    kept: deque[bytes] = deque()
    size = 0
    async with api.stream(_path(run_id)) as answer:
        async for chunk in answer.chunks:
            kept.append(chunk)
            size += len(chunk)
            while size - len(kept[0]) >= MOST:
                size -= len(kept.popleft())
    found = b"".join(kept)[-MOST:].removesuffix(b"\n").split(b"\n")[-lines:]
    return b"".join(line + b"\n" for line in found) if size and lines else b""


def _path(run_id: str) -> str:
    return f"/actor-runs/{segment(run_id)}/log"
