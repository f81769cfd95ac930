"""The emulator as the far side of the Actor sink: every start is noted on its way in, and can go wrong on demand."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.contracts.api import Api
from config.contracts.source import Source
from config.sources.apify import ApifySource, Config, connect
from emulator.scenarios import Fault, Scenario, Truncate
from emulator.serve import serve
from emulator.settings import EmulatorSettings
from tests.workers.sinks.far_server import items_of
from workers.fetch.api import HttpApi, Session, open_session

TOKEN, SECRET = "apify-token-0123456789", "hook-secret-0123456789abcdef"
ALWAYS = 1_000_000


@dataclass
class Request:
    """One request to start something. `agent`: its user agent; `query`: the first value of each parameter."""

    path: str
    agent: str
    query: dict[str, str]
    body: bytes

    @property
    def input(self) -> Any:
        return json.loads(self.body)

    @property
    def webhooks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(base64.b64decode(self.query.get("webhooks", "W10=")))
        return found


@dataclass
class Platform:
    """The emulator with an Actor `local/detail` that does nothing.

    Attributes:
        asked: every request to start something that came in.
        lost: how many of the next starts happen without their answer coming through.
        stuck: set while a start that happened is not answered at all.
    """

    folder: Path
    source: ApifySource
    api: HttpApi
    scenario: Scenario
    asked: list[Request] = field(default_factory=list)
    lost: int = 0
    stuck: asyncio.Event | None = None

    def named(self, name: str) -> tuple[Source, Api]:
        assert name == "apify"
        return self.source, self.api

    def items(self, run: str) -> list[bytes]:
        mine = [one.body for one in self.asked if one.body.startswith(f'{{"run":"{run}",'.encode())]
        return [item for body in mine for item in items_of(body)]

    def documents(self, run: str) -> list[bytes]:
        return [one.body for one in self.asked if one.input["runId"] == run]

    async def runs(self, actor: str = "local~detail") -> list[dict[str, Any]]:
        """What the platform really started, oldest first."""
        answer = await self.api.get(f"/acts/{actor}/runs")
        found: list[dict[str, Any]] = json.loads(answer.body)["data"]["items"]
        return found

    async def note(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        self.asked.append(Request(scope["path"], headers["user-agent"], query, body))

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        if self.lost > 0:
            self.lost -= 1
            await Truncate(0)(app, scope, again, send)
        else:
            await app(scope, again, self._held(send))

    def _held(self, send: Send) -> Send:
        async def held(message: Message) -> None:
            if self.stuck:
                self.stuck.set()
                await asyncio.Event().wait()
            await send(message)

        return held


@asynccontextmanager
async def platform(folder: Path) -> AsyncIterator[Platform]:
    actor = folder / "actors" / "detail"
    actor.mkdir(parents=True)
    (actor / "actor.yaml").write_text('name: detail\ncommand: ["/bin/sh", "-c", "exit 0"]\n')
    scenario = Scenario()
    settings = EmulatorSettings(
        data=folder / "platform", actors=(actor.parent,), clock_factor=0.01, scenario=scenario, token=TOKEN
    )
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(settings, "127.0.0.1", 0, url.set_result))
    try:
        async with asyncio.timeout(20), open_session() as session:
            place = _place(folder, await url, session, scenario)
            scenario.add(Fault("POST /v2/*/runs", place.note, times=ALWAYS))
            yield place
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def _place(folder: Path, url: str, session: Session, scenario: Scenario) -> Platform:
    config = Config.model_validate({"token": TOKEN, "api_url": url, "webhook": {"secrets": [SECRET]}})
    source = connect("apify", config)
    return Platform(folder, source, HttpApi(session, source.manners), scenario)
