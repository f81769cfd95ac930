"""Somebody's HTTP endpoint, as it should be written: it checks the signature, and takes each request once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

_MOST_BODY = 64 * 1024**2


class _Batch(msgspec.Struct):
    """What we need of a request's body: the items, as they are."""

    items: list[msgspec.Raw]


@dataclass
class FarSide:
    """Counts what it has durably taken: `items` went into its file, `repeats` had been taken before."""

    secret: str = field(repr=False)
    file: IO[bytes] = field(repr=False)
    url: str = ""
    items: int = 0
    repeats: int = 0
    refused: int = 0
    _seen: set[str] = field(default_factory=set, repr=False)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            Webhook(self.secret).verify(body, dict(request.headers), json_parse=False)
            batch = msgspec.json.decode(body, type=_Batch)
        except (WebhookVerificationError, msgspec.DecodeError, UnicodeDecodeError):
            self.refused += 1
            return web.Response(status=400, text="not signed by who I know, or not a batch")
        self._keep(request.headers["webhook-id"], batch)
        return web.Response(text="taken")

    def _keep(self, id: str, batch: _Batch) -> None:
        if id in self._seen:
            self.repeats += 1
            return
        self.file.write(b"".join(bytes(item) + b"\n" for item in batch.items))
        self.file.flush()
        self._seen.add(id)
        self.items += len(batch.items)


@asynccontextmanager
async def far_side(file: Path, secret: str) -> AsyncIterator[FarSide]:
    """Serve on a free port of loopback. Items go to `file` as JSON Lines; memory holds ids alone."""
    with file.open("wb") as kept:
        side = FarSide(secret, kept)
        app = web.Application(client_max_size=_MOST_BODY)
        app.router.add_post("/", side.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            side.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
            yield side
        finally:
            await runner.cleanup()
