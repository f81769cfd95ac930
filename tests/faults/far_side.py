"""Somebody's HTTP receiver in a process of its own: writes down every request it got whole, and misbehaves on demand.

`POST /` takes deliveries. `POST /trouble?mode=…&share=…&seconds=…` plans trouble for a share of them.
Bodies are kept once each, in `bodies.bin` beside the history; the history has where.
"""

import asyncio
import contextlib
import hashlib
import os
import random
import time
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from tests.faults.history import History

#: What may go wrong: answers, a hang, a reset before the answer (it was taken, and nobody knows), a slow answer.
MODES = ("500", "503", "429", "hang", "reset", "lost", "slow")
_HANG, _SLOW = 6.0, 1.0


class Keeper:
    """What was taken, as a far side that remembers each Idempotency-Key has it."""

    def __init__(self, history: History, seed: int) -> None:
        self.history = history
        self.bodies = os.open(history.path.with_name("bodies.bin"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.size = os.fstat(self.bodies).st_size
        self.places: dict[str, int] = {}
        self.random = random.Random(seed)
        self.mode, self.share, self.until = "", 0.0, 0.0

    async def trouble(self, request: web.Request) -> web.Response:
        asked = request.query
        self.mode, self.share = asked["mode"], float(asked["share"])
        self.until = time.monotonic() + float(asked["seconds"])
        return web.Response(text="as you wish")

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        mode = self.mode if time.monotonic() < self.until and self.random.random() < self.share else "200"
        answer = await self._answer(mode, request)
        taken = answer.status == 200 or mode == "lost"
        self.history.tell("post", answer=mode, taken=taken, **self._describe(request, body))
        if mode in {"reset", "lost"}:
            assert request.transport is not None
            request.transport.abort()
        return answer

    async def _answer(self, mode: str, request: web.Request) -> web.Response:
        if mode == "hang":
            await asyncio.sleep(_HANG)
        if mode == "slow":
            await asyncio.sleep(_SLOW)
        status = {"429": 429, "503": 503}.get(mode, 200 if mode in {"200", "slow"} else 500)
        return web.Response(status=status, headers={"Retry-After": "1"} if status == 429 else {}, text="as told")

    def _describe(self, request: web.Request, body: bytes) -> dict[str, Any]:
        sha = hashlib.sha256(body).hexdigest()
        if sha not in self.places:
            self.places[sha] = self.size
            self.size += os.write(self.bodies, body)
        head: dict[str, Any] = msgspec.json.decode(body)
        batch = head["batch"]
        return {
            "key": request.headers["Idempotency-Key"],
            "sha": sha,
            "at": self.places[sha],
            "len": len(body),
            "run": head["run"]["id"],
            "life": head["run"]["finishedAt"],
            "delivery": head["delivery"],
            "offset": batch["offset"],
            "count": batch["count"],
        }


def main(history: Path, port: str, seed: str) -> int:
    asyncio.run(_serve(Keeper(History(history), int(seed)), int(port)))
    return 0


async def _serve(keeper: Keeper, port: int) -> None:
    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_post("/", keeper.take)
    app.router.add_post("/trouble", keeper.trouble)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
