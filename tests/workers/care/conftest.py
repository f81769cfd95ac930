"""Somebody who looks for runs nobody announced: a real ledger, and the emulator as the platform."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from config.contracts.api import Patience
from config.contracts.source import Reconcile
from config.keys import Keys
from config.queue import RunQueue
from config.routes import load
from emulator.scenarios import Scenario
from tests.config.sources.platforms import Emulated, emulated
from workers.care import reconciler as module
from workers.care.reconciler import Reconciler
from workers.fetch.api import HttpApi, open_session
from workers.ledger.ledger import Ledger
from workers.names import Names

OFTEN = Reconcile(every=3600.0, lookback=86400.0)
PROGRAM = "import os, sys; sys.exit(os.environ.get('ACTOR_MEMORY_MBYTES') == '256')"
FILE = """\
version: 1
sources: {apify: {token: tok-0123456789}}
sinks: {out: {type: stdout}}
routes: [{name: all, when: {actor: local/writer, status: SUCCEEDED}, to: [{sink: out}]}]
"""


@dataclass
class Place:
    """A platform, a ledger, and somebody who looks."""

    platform: Emulated
    reconciler: Reconciler
    ledger: Ledger
    inbox: RunQueue
    folder: Path

    def another(self) -> Reconciler:
        table = load(self.folder / "runrelay.yaml", {})
        source, api = self.platform.source, self.platform.api
        return Reconciler(source, api, self.ledger, self.inbox, table, Names())

    async def turn(self) -> list[str]:
        """The runs that stand in the ledger after the next turn, oldest first."""
        await self.ledger.redis.delete("rr:reconciled:apify")
        await self.reconciler.turn()
        return [event.run_id for event in reversed(await self.ledger.newest_events(100))]

    async def failed_run(self) -> str:
        """The id of a run that no route wants."""
        params: dict[str, str | int] = {"memory": 256, "waitForFinish": 60}
        answer = await self.platform.api.send("POST", "/acts/local~writer/runs", params)
        run = json.loads(answer.body)["data"]
        assert run["status"] == "FAILED"
        return str(run["id"])

    async def life(self, run_id: str) -> str:
        return (await self.platform.source.run(self.platform.api, run_id)).life


@pytest.fixture
async def place(redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(module, "GRACE", 0.0)
    (tmp_path / "runrelay.yaml").write_text(FILE)
    ledger, inbox = Ledger(redis, Keys("rr")), RunQueue(redis, Keys("rr"))
    async with open_session() as session, emulated(session, tmp_path, Scenario(), PROGRAM) as platform:
        platform.source.reconcile = OFTEN
        platform.api = HttpApi(session, replace(platform.source.manners, patience=Patience(tries=1)))
        table = load(tmp_path / "runrelay.yaml", {})
        one = Reconciler(platform.source, platform.api, ledger, inbox, table, Names())
        yield Place(platform, one, ledger, inbox, tmp_path)
