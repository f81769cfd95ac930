"""A small real HTTP server with the five endpoints the Actor calls; it remembers what it was given."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "token-of-this-run"
RUN, DATASET, STORE = "run1", "dataset1", "store1"


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class PlatformStandIn:
    """What one run sent. `input_record` is what its input is; None for a run without one."""

    input_record: bytes | None = None
    push_status: int = 201
    batches: list[list[dict[str, Any]]] = field(default_factory=list)
    records: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # key: content type, body
    messages: list[dict[str, Any]] = field(default_factory=list)

    push_arrived: asyncio.Event = field(default_factory=asyncio.Event)
    pushes_answered: asyncio.Event = field(default_factory=_set_event)  # cleared: no push is answered

    @property
    def items(self) -> list[dict[str, Any]]:
        return [item for batch in self.batches for item in batch]

    def app(self) -> web.Application:
        app = web.Application(middlewares=[_only_with_token])
        app.add_routes(
            [
                web.get(f"/v2/key-value-stores/{STORE}/records/INPUT", self._input),
                web.put(f"/v2/key-value-stores/{STORE}/records/{{key}}", self._record),
                web.post(f"/v2/datasets/{DATASET}/items", self._items),
                web.put(f"/v2/actor-runs/{RUN}", self._update),
            ]
        )
        return app

    async def _input(self, request: web.Request) -> web.Response:
        if self.input_record is None:
            return web.json_response({"error": {"type": "record-not-found", "message": "None."}}, status=404)
        return web.Response(body=self.input_record, content_type="application/json")

    async def _record(self, request: web.Request) -> web.Response:
        self.records[request.match_info["key"]] = (request.content_type, await request.read())
        return web.Response(status=201)

    async def _items(self, request: web.Request) -> web.Response:
        self.push_arrived.set()
        await self.pushes_answered.wait()
        if self.push_status == 201:
            self.batches.append(json.loads(await request.read()))
        return web.Response(status=self.push_status)

    async def _update(self, request: web.Request) -> web.Response:
        self.messages.append(json.loads(await request.read()))
        return web.json_response({"data": {"id": RUN}})


@web.middleware
async def _only_with_token(request: web.Request, handler: Any) -> web.StreamResponse:
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        return web.Response(status=401)
    response: web.StreamResponse = await handler(request)
    return response
