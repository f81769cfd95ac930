"""An Apify source with something real at the other end of the wire."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from config.contracts.api import Patience
from config.contracts.errors import Transient
from config.contracts.run import Run
from config.sources.apify import ApifySource, Config, connect
from emulator.scenarios import Scenario
from emulator.serve import serve
from emulator.settings import EmulatorSettings
from workers.fetch.api import HttpApi, Session

TOKEN = "apify-token-0123456789"
#: What storages are asked for, whose ids say enough.
ANY_RUN = Run(id="r", source="apify", status="SUCCEEDED", terminal=True, life="l", finished=0.0, account="a")
DATE = "Sun, 22 Nov 2026 12:00:00 GMT"
DATE_SECONDS = 1795348800.0
ACTOR = """
import json, os, urllib.request

def call(method, path, body, kind="application/json"):
    headers = {"Authorization": "Bearer " + os.environ["APIFY_TOKEN"], "Content-Type": kind}
    url = os.environ["APIFY_API_BASE_URL"] + "/v2" + path
    urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)).read()

rows = [{"n": n, "text": "å"} for n in range(25)]
call("POST", "/datasets/" + os.environ["ACTOR_DEFAULT_DATASET_ID"] + "/items", json.dumps(rows).encode())
store = "/key-value-stores/" + os.environ["ACTOR_DEFAULT_KEY_VALUE_STORE_ID"] + "/records/"
call("PUT", store + "page(1)", b"<p>as it was</p>", "text/html")
for n in range(1002):
    call("PUT", store + f"key-{n:04}", b"%d" % n, "text/plain")
for n in range(5):
    print("line", n)
"""


def source(url: str) -> ApifySource:
    return connect("apify", Config.model_validate({"token": TOKEN, "api_url": url, "webhook": {"secrets": ["s"]}}))


@dataclass
class Scripted:
    """Answers as told. `asked`: every request, as `METHOD path?query`; `bodies`: what came with each."""

    source: ApifySource
    api: HttpApi
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    given: dict[str, web.Response] = field(default_factory=dict)

    def says(
        self, path: str, body: object, *, status: int = 200, kind: str = "application/json", **headers: str
    ) -> None:
        """What `<path>` (below /v2, without query) is answered, whatever the method; with a method in front, only that
        one; `?offset=N` answers for any page that begins there. `headers` with `_` for `-`."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        method, _, below = ("", "", path) if path[0] in "/?" else path.partition(" ")
        self.given[f"{method} /v2{below}".strip()] = web.Response(
            body=raw, status=status, headers={"Date": DATE, "Content-Type": kind, **named}
        )

    def refuses(self, path: str, status: int, kind: str) -> None:
        """An error, for longer than anybody waits for it."""
        self.says(path, {"error": {"type": kind, "message": "told to"}}, status=status, retry_after="60")

    def items(self, dataset: str, body: bytes, **headers: str) -> None:
        """A page of items with the headers of the API reference; those given replace them, empty ones are left out."""
        count = str(body.count(b"\n"))
        named: dict[str, Any] = {"x_apify_pagination_count": count, "x_apify_pagination_total": count, **headers}
        kind = named.pop("content_type", "application/jsonl; charset=utf-8")
        self.says(
            f"/datasets/{dataset}/items", body, kind=kind, **{name: value for name, value in named.items() if value}
        )

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.raw_path}")
        self.bodies.append(await request.read())
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"error": {"type": "token-not-valid", "message": "who?"}}, status=401)
        asked = (f"{request.method} {request.path}", request.path, f"/v2?offset={request.query.get('offset')}")
        if found := next((self.given[one] for one in asked if one in self.given), None):
            return web.Response(body=found.body, status=found.status, headers=found.headers)
        return web.json_response({"error": {"type": "record-not-found", "message": "not told"}}, status=404)


async def trouble(platform: Scripted, method: str, *args: Any, **named: Any) -> str:
    """The detail of the Transient that a method of the source raises."""
    with pytest.raises(Transient) as caught:
        await getattr(platform.source, method)(platform.api, *args, **named)
    assert caught.value.reason == "source_unavailable"
    return caught.value.detail


@asynccontextmanager
async def scripted(session: Session) -> AsyncIterator[Scripted]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await place.answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    apify = source(f"http://127.0.0.1:{runner.addresses[0][1]}")
    # What the source makes of an answer is asked for here, not how patiently it is asked.
    once = replace(apify.manners, patience=Patience(tries=1))
    place = Scripted(apify, HttpApi(session, once))
    try:
        yield place
    finally:
        await runner.cleanup()


@dataclass
class Emulated:
    """The emulator with one Actor, `local~writer`; unless told otherwise it leaves 25 rows, 1003 records and five lines
    of log."""

    source: ApifySource
    api: HttpApi
    scenario: Scenario

    async def finished_run(self, run_input: Mapping[str, Any]) -> str:
        """The id of a run that has ended."""
        body = json.dumps(run_input).encode()
        started = await self.api.send("POST", "/acts/local~writer/runs", {"waitForFinish": 60}, body=body)
        run = json.loads(started.body)["data"]
        assert run["status"] == "SUCCEEDED", run
        return str(run["id"])


@asynccontextmanager
async def emulated(session: Session, folder: Path, scenario: Scenario, program: str = ACTOR) -> AsyncIterator[Emulated]:
    """The emulator with one Actor, `local~writer`."""
    actor = folder / "actors" / "writer"
    actor.mkdir(parents=True)
    (actor / "actor.yaml").write_text('name: writer\ncommand: ["{python}", "main.py"]\n')
    (actor / "main.py").write_text(program)
    settings = EmulatorSettings(data=folder / "platform", actors=(actor.parent,), clock_factor=0.01, scenario=scenario)
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(settings, "127.0.0.1", 0, url.set_result))
    try:
        async with asyncio.timeout(20):
            apify = source(await url)
        yield Emulated(apify, HttpApi(session, apify.manners), scenario)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
