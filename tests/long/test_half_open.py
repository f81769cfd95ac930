"""Five hundred connections that never become a request, with the deadlines of production. Not part of `make test`."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.long.test_emulator_memory import resident_mib

SOCKETS = 500
_SERVE = """
from config import logs
from config.settings import load_settings
from receiver.app import create_app
from receiver.serve import run, serve
from tests.receiver.plain import TestQueue, plain_source
logs.configure()
app = create_app({"plain": plain_source("plain", "secret")}, TestQueue(), settings=load_settings())
run(serve(app, "127.0.0.1", 0, lambda url: print(url, flush=True)))
"""
HEAD = b"POST /webhooks/plain HTTP/1.1\r\nAuthorization: secret\r\nContent-Type: application/json\r\n"
STARTS = (b"", b"POST /webhooks", HEAD + b"X: ", HEAD + b"Content-Length: 100000\r\n\r\n{")


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[str, int]]:
    """A receiver in a process of its own: its address and its process id."""
    out, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _SERVE, stdout=out, stderr=nowhere)
    assert process.stdout is not None
    yield (await process.stdout.readline()).decode().strip(), process.pid
    process.kill()
    await process.wait()


async def half_open(url: str, start: bytes, trickles: bool) -> float:
    """Seconds until the receiver hung up."""
    parts, began = urlsplit(url), time.perf_counter()
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(start)
    ended = asyncio.create_task(reader.read())
    while not ended.done():
        if trickles:
            writer.write(b"x")
        await asyncio.wait([ended], timeout=0.5)
    writer.close()
    return time.perf_counter() - began


async def honest(url: str, done: "asyncio.Future[list[float]]") -> list[float]:
    """Seconds each of our own webhooks took."""
    took: list[float] = []
    headers = {"Authorization": "secret", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as client:
        while not done.done():
            began = time.perf_counter()
            async with client.post(f"{url}/webhooks/plain", data=b'{"run": "r%d"}' % len(took)) as answer:
                assert (await answer.json())["status"] == "accepted"
            took.append(time.perf_counter() - began)
            await asyncio.sleep(0.01)
    return sorted(took)


@pytest.mark.timeout(60)
async def test_half_open_connections_end_in_time_and_cost_honest_senders_nothing(receiver: tuple[str, int]) -> None:
    url, pid = receiver
    before = resident_mib(pid)
    # two of four trickle: in a header and in a body
    held = asyncio.gather(*(half_open(url, STARTS[n % 4], trickles=n % 4 > 1) for n in range(SOCKETS)))
    took = await honest(url, held)
    longest, p99 = max(await held), took[len(took) * 99 // 100]
    grown = resident_mib(pid) - before
    figures = {"sockets": SOCKETS, "closed after at most, s": round(longest, 2), "honest webhooks": len(took)}
    print(json.dumps({**figures, "p99, ms": round(p99 * 1000, 1), "RSS grown, MiB": round(grown, 1)}))
    assert longest <= 15
    assert p99 <= 0.25
