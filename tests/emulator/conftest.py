"""A real emulator on a free port, tiny real Actors, and a listener for its webhooks."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web

from emulator.scenarios import Scenario
from emulator.serve import serve
from emulator.settings import EmulatorSettings
from tests.emulator.conformance.watching import watched
from tests.emulator.conformance.witness import Testimony

PRELUDE = """
import json, os, signal, subprocess, sys, time, urllib.request

def call(method, path, body=None, content_type="application/json"):
    headers = {"Authorization": "Bearer " + os.environ["APIFY_TOKEN"], "Content-Type": content_type}
    url = os.environ["APIFY_API_BASE_URL"] + "/v2" + path
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)) as response:
        return response.read()

def push(items):
    call("POST", "/datasets/" + os.environ["ACTOR_DEFAULT_DATASET_ID"] + "/items", json.dumps(items).encode())

def record(key, body, content_type):
    path = "/key-value-stores/" + os.environ["ACTOR_DEFAULT_KEY_VALUE_STORE_ID"] + "/records/" + key
    call("PUT", path, body, content_type)
"""


@dataclass
class Answer:
    """One answer of the emulator, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        return self.json["data"]

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.json["error"]["type"]


@dataclass
class Emulator:
    """A running emulator and a client for it; every request carries the token `t` unless `token=None`."""

    url: str
    session: aiohttp.ClientSession
    task: asyncio.Task[None]
    scenario: Scenario

    async def ask(self, method: str, path: str, body: Any = None, *, token: str | None = "t", **headers: str) -> Answer:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            names["Authorization"] = f"Bearer {token}"
        data = body if isinstance(body, bytes | type(None)) else json.dumps(body).encode()
        if data is not None:
            names.setdefault("Content-Type", "application/json")
        async with self.session.request(method, self.url + path, data=data, headers=names) as response:
            return Answer(response.status, dict(response.headers), await response.read())

    async def get(self, path: str, *, token: str | None = "t", **headers: str) -> Answer:
        return await self.ask("GET", path, token=token, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.ask("POST", path, body, **headers)

    async def start(self, actor: str, query: str = "", body: Any = None) -> dict[str, Any]:
        """Start a run and do not wait for it."""
        answer = await self.post(f"/v2/acts/local~{actor}/runs?{query}", body)
        assert answer.status == 201, answer.body
        return dict(answer.data)

    async def finish(self, run: dict[str, Any]) -> dict[str, Any]:
        """Wait for the end of a run."""
        return dict((await self.get(f"/v2/actor-runs/{run['id']}?waitForFinish=60")).data)

    async def until(self, run: dict[str, Any], text: str) -> None:
        """Wait until the run's log holds this text."""
        while text not in (await self.get(f"/v2/logs/{run['id']}")).body.decode():
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


StartEmulator = Callable[..., Awaitable[Emulator]]
WriteActor = Callable[..., Path]


@pytest.fixture
def actors(tmp_path: Path) -> Path:
    """The folder that `write_actor` fills."""
    folder = tmp_path / "actors"
    folder.mkdir()
    return folder


@pytest.fixture
def write_actor(actors: Path) -> WriteActor:
    """Write a program: `write_actor("name", "python source", timeoutSecs=1)`."""

    def write(name: str, source: str = "", **manifest: Any) -> Path:
        folder = actors / name
        folder.mkdir()
        (folder / "main.py").write_text(PRELUDE + source)
        lines = {"name": name, "command": ["{python}", "-S", "main.py"], **manifest}
        (folder / "actor.yaml").write_text(json.dumps(lines))
        return folder

    return write


@pytest.fixture(autouse=True)
def testimony(monkeypatch: pytest.MonkeyPatch) -> Iterator[Testimony]:
    """Every answer of every emulator of a test is held against the platform's OpenAPI document."""
    with watched(monkeypatch) as testimony:
        yield testimony
    assert testimony.wrong == []


@pytest.fixture
async def start_emulator(tmp_path: Path, actors: Path) -> AsyncIterator[StartEmulator]:
    """Start emulators on free ports; all use the same data unless told otherwise."""
    running: list[Emulator] = []
    async with aiohttp.ClientSession() as session:

        async def start(**settings: Any) -> Emulator:
            given = {"data": tmp_path / "data", "actors": (actors,), "clock_factor": 0.0002, **settings}
            chosen = EmulatorSettings(**given)
            ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(serve(chosen, "127.0.0.1", 0, ready=ready.set_result))
            waiting: set[asyncio.Future[Any]] = {task, ready}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            emulator = Emulator(ready.result(), session, task, chosen.scenario)
            running.append(emulator)
            return emulator

        yield start
        for emulator in running:
            await emulator.stop()


@pytest.fixture
async def emulator(start_emulator: StartEmulator, write_actor: WriteActor) -> Emulator:
    """An emulator with the Actors `quick` (ends at once) and `sleepy` (sleeps for a minute)."""
    write_actor("quick")
    write_actor("sleepy", "print('awake', flush=True)\ntime.sleep(60)")
    return await start_emulator()


@dataclass
class Listener:
    """Takes webhooks and answers with `statuses` in turn, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        async with self.arrived:
            headers = {name: ",".join(request.headers.getall(name)) for name in request.headers}
            self.got.append((headers, json.loads(await request.read())))
            self.arrived.notify_all()
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, text="seen", headers={"Location": f"{self.url}/elsewhere"})

    async def wait_for(self, count: int) -> list[tuple[dict[str, str], Any]]:
        """The calls so far, once there are so many."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.got) >= count)
        return self.got


@pytest.fixture
def tls() -> ssl.SSLContext:
    """A certificate nobody here vouches for."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    """A web server that hears webhooks."""
    listener = Listener()
    app = web.Application()
    app.router.add_post("/{path:.*}", listener.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    listener.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield listener
    await runner.cleanup()
