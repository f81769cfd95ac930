"""A real HTTP server on loopback that remembers every request it took, and answers as a test wishes."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes


@dataclass
class FarServer:
    """`answers` are given in turn; once they are used up every request is taken."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    tried: list[Received] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.tried.append(Received({name.lower(): value for name, value in request.headers.items()}, body))
        if self.answers:
            return await self.answers.pop(0)(request, body)
        self.received.append(self.tried[-1])
        return web.Response(status=202)

    def unique(self, run: str) -> list[Received]:
        """A receiver that remembers `Idempotency-Key`, as the sink's summary tells it to."""
        firsts = {one.headers["idempotency-key"]: one for one in reversed(self.received)}
        wanted = {id(one) for one in firsts.values() if one.headers["x-runrelay-run-id"] == run}
        return [one for one in self.received if id(one) in wanted]

    def items(self, run: str) -> list[bytes]:
        return [item for one in self.unique(run) for item in items_of(one.body)]

    def documents(self, run: str) -> list[bytes]:
        return [one.body for one in self.unique(run)]


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
async def far_server() -> AsyncIterator[FarServer]:
    server = FarServer()
    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_post("/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()


def answers(status: int, text: str = "", **headers: str) -> Answer:
    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=named)

    return answer
