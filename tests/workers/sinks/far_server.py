"""A real HTTP server on loopback that remembers every request it took, and answers as a test wishes."""

import json
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from backports import zstd

from config.contracts.errors import WorkError
from config.units import PerTime
from workers.sinks import http
from workers.testing.contract import THREE, Connect, send
from workers.testing.shipments import around, batches, shipment

Answer = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]
Pace = Callable[[str, PerTime], Awaitable[None]]


@dataclass
class Received:
    """`sent`: the body as it came over the wire."""

    method: str
    headers: dict[str, str]
    sent: bytes

    @property
    def id(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def body(self) -> bytes:
        """Unpacked."""
        match self.headers.get("content-encoding"):
            case "gzip":
                return zlib.decompress(self.sent, wbits=31)
            case "zstd":
                return zstd.decompress(self.sent)
        return self.sent


@dataclass
class FarServer:
    """`answers` are given in turn; once they are used up every request is taken, but for those that `refuses` says no
    to with 422. `in_order`: it sorts items by their rows. `busiest`: requests that were under way at a time."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    tried: list[Received] = field(default_factory=list)
    refuses: Callable[[Received], bool] = lambda one: False
    in_order: bool = False
    under_way: int = 0
    busiest: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.tried.append(one := Received(request.method, headers, body))
        self.under_way += 1
        self.busiest = max(self.busiest, self.under_way)
        try:
            if self.answers:
                return await self.answers.pop(0)(request, body)
            if self.refuses(one):
                return web.Response(status=422, text="not this")
            self.received.append(one)
            return web.Response(status=202)
        finally:
            self.under_way -= 1

    def unique(self, run: str) -> list[Received]:
        """A receiver that remembers `Idempotency-Key`, as the sink's summary tells it to."""
        firsts = {one.id: one for one in reversed(self.received)}
        wanted = {id(one) for one in firsts.values() if one.headers["x-runrelay-run-id"] == run}
        return [one for one in self.received if id(one) in wanted]

    def items(self, run: str) -> list[bytes]:
        taken = self.unique(run)
        if self.in_order:
            taken.sort(key=lambda one: int(one.headers["x-runrelay-row"]))
        return [item for one in taken for item in _carried(one)]

    def documents(self, run: str) -> list[bytes]:
        return [one.body for one in self.unique(run)]


def _carried(one: Received) -> list[bytes]:
    return [one.body] if "x-runrelay-row" in one.headers else items_of(one.body)


def items_of(body: bytes) -> list[bytes]:
    """The text of each item of an envelope, as it stands there."""
    decoder = json.JSONDecoder(parse_int=str)
    text = body.decode()
    at = text.index(',"items":[') + len(',"items":[')
    found = []
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        found.append(text[at:end].encode())
        at = end + (text[end] == ",")
    assert text[at:] == "]}"
    return found


@asynccontextmanager
async def far_server(context: ssl.SSLContext | None = None) -> AsyncIterator[FarServer]:
    """`context`: it speaks TLS."""
    server = FarServer()
    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=1, auto_decompress=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"https://localhost:{port}" if context else f"http://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()


def answers(status: int, text: str = "", **headers: str) -> Answer:
    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=named)

    return answer


def opened(
    url: str, spool: Path, *, pace: Pace | None = None, **options: Any
) -> AbstractAsyncContextManager[http.HttpSink]:
    """The sink, with options as in the file."""
    lent = around(spool) if pace is None else replace(around(spool), pace=pace)
    return http.connect(http.Config.model_validate({"url": url, **options}), lent)


async def refused(connect: Connect, options: http.Target | None = None) -> WorkError:
    """What a delivery raises."""
    async with connect() as sink:
        with pytest.raises(WorkError) as caught:
            await send(sink, shipment(options or http.Target()), batches(*THREE))
    return caught.value


def closed_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port: int = closed.getsockname()[1]
        return port
