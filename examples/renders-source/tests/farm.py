"""A render farm as far as a test goes: an API at one port of 127.0.0.1, the films at another."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import renders_source
from aiohttp import web

from workers.testing.source_contract import Webhook

TOKEN = "farm-token-0123456789"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass
class Farm:
    """One account. `url`, `films_url`: where `api` and `film` are served."""

    url: str = ""
    films_url: str = ""
    renders: dict[str, dict[str, Any]] = field(default_factory=dict)
    frames: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    films: dict[str, bytes] = field(default_factory=dict)
    refusal: tuple[int, dict[str, str]] | None = None
    leaked: list[str] = field(default_factory=list)

    @cached_property
    def source(self) -> renders_source.RenderSource:
        webhook = {"verify": "standard_webhooks", "secrets": [SECRET]}
        options = {"url": self.url, "token": TOKEN, "webhook": webhook, "file_origins": [self.films_url]}
        return renders_source.connect("farm", renders_source.Config.model_validate(options))

    def puts(
        self,
        run_id: str,
        status: str,
        items: Sequence[Mapping[str, Any]] = (),
        files: Mapping[str, bytes] | None = None,
        *,
        finishes: int = 1,
    ) -> None:
        self.films |= {f"/{name}": body for name, body in (files or {}).items()}
        films = {name: f"{self.films_url}/{name}" for name in files or {}}
        ended = f"2026-11-2{finishes}T12:00:00Z" if status in {"done", "failed"} else None
        self.renders[run_id] = {"id": run_id, "state": status, "ended": ended, "films": films}
        self.frames[run_id] = list(items)

    def webhook(
        self, run_id: str, kind: str, *, number: int = 1, age: float = 0.0, secret: str | None = None
    ) -> Webhook:
        body = json.dumps({"type": kind, "render": run_id}).encode()
        ident, sent = f"msg{number}", str(int(time.time() - age))
        key = base64.b64decode((secret or SECRET).removeprefix("whsec_"))
        signed = hmac.new(key, f"{ident}.{sent}.".encode() + body, hashlib.sha256).digest()
        signature = f"v1,{base64.b64encode(signed).decode()}"
        return Webhook(body, {"webhook-id": ident, "webhook-timestamp": sent, "webhook-signature": signature})

    def refuses(self, status: int, **headers: str) -> None:
        self.refusal = status, {name.replace("_", "-"): value for name, value in headers.items()}

    def answers(self) -> None:
        self.refusal = None

    def expires(self) -> None:
        self.films.clear()

    def leaks(self) -> Sequence[str]:
        return self.leaked

    async def api(self, request: web.Request) -> web.Response:
        if self.refusal:
            return web.Response(status=self.refusal[0], headers=self.refusal[1])
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        match request.path.split("/"):
            case ["", "renders", ident] if ident in self.renders:
                return web.json_response(self.renders[ident])
            case ["", "renders", ident, "frames"] if ident in self.frames:
                offset, limit = int(request.query["offset"]), int(request.query["limit"])
                frames = self.frames[ident]
                return web.json_response({"frames": frames[offset : offset + limit], "total": len(frames)})
        return web.Response(status=404)

    async def film(self, request: web.Request) -> web.Response:
        if "Authorization" in request.headers:
            self.leaked.append(request.path)
        return web.Response(body=self.films[request.path]) if request.path in self.films else web.Response(status=403)


@asynccontextmanager
async def farm() -> AsyncIterator[Farm]:
    place = Farm()
    runners = [await _serving(place.api), await _serving(place.film)]
    place.url, place.films_url = (f"http://127.0.0.1:{runner.addresses[0][1]}" for runner in runners)
    try:
        yield place
    finally:
        for runner in runners:
            await runner.cleanup()


async def _serving(answer: Any) -> web.AppRunner:
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner
