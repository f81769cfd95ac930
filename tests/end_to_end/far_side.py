"""Somebody's HTTP receiver: takes batches, remembers what it took, answers as told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class FarSide:
    """`answers`: statuses for the next requests, 200 when used up. `taken`: id → items, as a receiver that
    remembers idempotency keys has them; `requests`: every request that came."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    always: int = 200
    requests: list[str] = field(default_factory=list)
    taken: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def items(self) -> list[Any]:
        return [item for batch in self.taken.values() for item in batch]


@asynccontextmanager
async def far_side(pause: float = 0.0, port: int = 0) -> AsyncIterator[FarSide]:
    """pause: seconds before each answer. port: to come back to the same one."""
    side = FarSide()

    async def take(request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        side.requests.append(key)
        await asyncio.sleep(pause)
        body = json.loads(await request.read())
        status = side.answers.pop(0) if side.answers else side.always
        if status < 300:
            side.taken[key] = body["items"]
        return web.Response(status=status, text="as told")

    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    side.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield side
    finally:
        await runner.cleanup()
