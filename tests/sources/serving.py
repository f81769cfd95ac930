"""What stand-ins of platforms have in common: ports, and an API that can say no."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from config import plugins
from config.contracts.source import Source
from workers.testing.source_contract import Webhook

SECRET = "hook-secret-0123456789abcdef0123456789"
TOKEN = "api-token-0123456789"
#: A secret as Standard Webhooks has it.
KEY = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#: A `sources.<name>` of the file.
Options = dict[str, Any]


@dataclass(frozen=True)
class Left:
    """A run as the platform knows it."""

    status: str
    items: list[Mapping[str, Any]]
    files: dict[str, bytes]
    finishes: int


@dataclass
class Refusals:
    """What an API says instead of an answer. `status` 0: nothing."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def end(self) -> None:
        self.status = 0

    def answer(self, body: object) -> web.Response | None:
        if not self.status:
            return None
        return web.json_response(body, status=self.status, headers=self.headers)


@dataclass
class Account:
    """What a test does to a platform that tells of its runs as `Left`. `api_url`: where it is asked."""

    api_url: str = ""
    runs: dict[str, Left] = field(default_factory=dict)
    refusals: Refusals = field(default_factory=Refusals)
    expired: bool = False

    def puts(
        self,
        run_id: str,
        status: str,
        items: Sequence[Mapping[str, Any]] = (),
        files: Mapping[str, bytes] | None = None,
        *,
        finishes: int = 1,
    ) -> None:
        self.runs[run_id] = Left(status, list(items), dict(files or {}), finishes)

    def refuses(self, status: int, **headers: str) -> None:
        self.refusals.begin(status, headers)

    def answers(self) -> None:
        self.refusals.end()

    def expires(self) -> None:
        self.expired = True


def connected(name: str, options: Options) -> Source:
    """The source as the file would make it."""
    module = plugins.load("config.sources", options["type"], plugins.SOURCES)
    written = {key: value for key, value in options.items() if key != "type"}
    source: Source = module.connect(name, module.Config.model_validate(json.loads(json.dumps(written))))
    return source


def signature(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def standard_webhook(body: bytes, ident: str, age: float, secret: str) -> Webhook:
    """As a sender of Standard Webhooks signs it ("Signature scheme")."""
    sent = str(int(time.time() - age))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = base64.b64encode(signature(key, f"{ident}.{sent}.".encode() + body)).decode()
    return Webhook(body, {"webhook-id": ident, "webhook-timestamp": sent, "webhook-signature": f"v1,{signed}"})


@asynccontextmanager
async def listening(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """The origin of a server on a free port, whatever it is asked."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
