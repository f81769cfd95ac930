"""A whole installation in one event loop: a real emulator with real Actors, a real receiver, a real worker."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import ClientSession

from config.keys import Keys
from config.queue import RunQueue
from config.routes import RouteTable, load
from config.settings import Settings
from emulator.scenarios import Scenario
from emulator.serve import serve as serve_emulator
from emulator.settings import EmulatorSettings
from receiver.app import create_app
from receiver.serve import serve as serve_receiver
from workers.ledger.ledger import Ledger
from workers.ledger.records import DeliveryRecord, EventRecord
from workers.worker import run_worker

SECRET = "hook-secret-0123456789abcdef0123456789"
TOKEN = "apify-token-0123456789"
T = TypeVar("T")
EVENTS = [f"ACTOR.RUN.{end}" for end in ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")]


@dataclass
class Station:
    """A receiver and a worker, as one file says."""

    settings: Settings
    table: RouteTable
    ledger: Ledger
    door: str

    async def finished(
        self, run_id: str, count: int = 1, source: str = "apify"
    ) -> tuple[list[EventRecord], list[DeliveryRecord]]:
        """The records of a run once `count` events and all of its deliveries are final."""

        async def done() -> tuple[list[EventRecord], list[DeliveryRecord]] | None:
            events, deliveries = await self.ledger.of_run(source, run_id)
            known = {one.delivery.id for one in deliveries if one.state.final}
            final = all(event.state.final and known.issuperset(event.deliveries) for event in events)
            return (events, deliveries) if len(events) >= count and final else None

        return await eventually(done)


@dataclass
class Installation(Station):
    """What a test needs to play."""

    http: ClientSession
    platform: str
    scenario: Scenario
    more: dict[str, Any] = field(default_factory=dict)

    async def start(self, actor: str, run_input: object = None, **params: str | int) -> dict[str, Any]:
        """Run Actor with an ad-hoc webhook that points at our door."""
        hook = {
            "eventTypes": EVENTS,
            "requestUrl": f"{self.door}/webhooks/apify",
            "headersTemplate": json.dumps({"Authorization": f"Bearer {SECRET}"}),
        }
        webhooks = base64.b64encode(json.dumps([hook]).encode()).decode()
        run: dict[str, Any] = await self.api(
            "POST", f"/v2/acts/{actor}/runs", json=run_input, params={"webhooks": webhooks, **params}
        )
        return run

    async def api(self, method: str, path: str, **more: Any) -> Any:
        async with self.http.request(method, self.platform + path, **more) as response:
            body = await response.text()
            assert response.status < 300, (response.status, body)
            return json.loads(body)["data"] if body.startswith('{"data"') else body


async def eventually(ask: Callable[[], Awaitable[T | None]], seconds: float = 60.0) -> T:
    """Ask until there is an answer."""
    async with asyncio.timeout(seconds):
        while (answer := await ask()) is None:
            await asyncio.sleep(0.05)
        return answer


@asynccontextmanager
async def station(settings: Settings, folder: Path, text: str, *, working: bool = True) -> AsyncIterator[Station]:
    """A receiver and, if `working`, a worker on free ports. text: of the whole file; `{folder}` in it is the test's."""
    file = folder / "runrelay.yaml"
    file.write_text(text.replace("{folder}", str(folder)))
    table = load(file, {})
    async with AsyncExitStack() as stack:
        queue = await stack.enter_async_context(RunQueue.connect(settings))
        app = create_app(table.sources, queue, settings=settings)
        door = await _serving(stack, partial(serve_receiver, app, "127.0.0.1", 0))
        if working:
            reachable = settings.model_copy(update={"public_url": settings.public_url or door})
            await _serving(stack, partial(run_worker, reachable, table, host="127.0.0.1", port=0))
        yield Station(settings, table, Ledger(queue.redis, Keys(settings.namespace)), door)


@asynccontextmanager
async def installation(
    settings: Settings,
    folder: Path,
    routes: str,
    actors: Path,
    *,
    scenario: Scenario | None = None,
    item_count_lag: float = 0.0,
    quiet: str = "1s",
    reconcile: str = "",
    working: bool = True,
    clock: float = 0.01,
) -> AsyncIterator[Installation]:
    """Everything up, on free ports. `routes`: the YAML below `sources:`; `{folder}` in it is the test's folder.
    `reconcile`: that option of the source; without it nobody looks. `working`: whether a worker runs in here.
    `clock`: how long the platform's waiting takes; at 0.01 an hour of its webhook retries is over in 36 s."""
    scenario = scenario or Scenario()
    emulator = EmulatorSettings(
        data=folder / "platform",
        actors=(actors,),
        clock_factor=clock,
        scenario=scenario,
        item_count_lag=item_count_lag,
    )
    async with AsyncExitStack() as stack:
        platform = await _serving(stack, partial(serve_emulator, emulator, "127.0.0.1", 0))
        source = f"""\
version: 1
sources:
  apify:
    token: {TOKEN}
    api_url: {platform}
    webhook: {{secrets: [{SECRET}]}}
    settle: {{quiet: {quiet}}}
"""
        source += f"    reconcile: {reconcile}\n" if reconcile else ""
        place = await stack.enter_async_context(station(settings, folder, source + routes, working=working))
        http = await stack.enter_async_context(ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}))
        yield Installation(
            settings=settings,
            table=place.table,
            ledger=place.ledger,
            door=place.door,
            http=http,
            platform=platform,
            scenario=scenario,
        )


async def _serving(stack: AsyncExitStack, serve: Callable[..., Awaitable[None]]) -> str:
    """Run a server as a task that the stack ends; returns its URL."""
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(serve(ready=url.set_result))
    stack.push_async_callback(_end, task)

    def ended(done: asyncio.Future[None]) -> None:
        if not url.done():
            url.set_exception(done.exception() or EOFError("it ended before it was ready"))

    task.add_done_callback(ended)
    return await url


async def _end(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
