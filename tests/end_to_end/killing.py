"""Worker processes that die (SIGKILL) in the middle of a delivery, each followed by another one, and what their
sinks hold in the end, held against a delivery that nobody disturbed."""

import asyncio
import hashlib
import math
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from aiohttp import web

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from emulator.scenarios import Delay, Fault, Scenario
from tests.end_to_end.installation import Installation, eventually, installation
from workers.ledger.records import DeliveryRecord
from workers.rows import STAMPS

ROOT = Path(__file__).parents[2]
#: A worker that is to die has made so many checkpoints, but for one.
CHECKPOINTS = 4


@dataclass(frozen=True)
class Trial:
    """What is delivered, and how its workers die.

    Attributes:
        deaths: sinks; for each a worker dies between a batch that this sink has taken and its checkpoint.
        kills: how many workers after that are killed at any moment,
        apart: with so many rows delivered since the one before.
        pause: seconds the platform takes for a page, so that there is a middle to be killed in.
        lease: ms.
    """

    rows: int
    batch: int
    deaths: Sequence[str]
    kills: int
    apart: int
    pause: float
    lease: int
    seconds: float


@dataclass
class Receiver:
    """Somebody's HTTP receiver. `copies`: of each Idempotency-Key the digests of all bodies that came with it, in the
    order in which the keys came first; `first`: the items of the first of them; `runs`: whose they are."""

    url: str = ""
    copies: dict[str, list[str]] = field(default_factory=dict)
    first: dict[str, list[int]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)

    @property
    def repeats(self) -> int:
        return sum(len(copies) - 1 for copies in self.copies.values())

    def take(self, key: str, run: str, body: bytes) -> None:
        self.copies.setdefault(key, []).append(hashlib.sha256(body).hexdigest())
        if key not in self.first:
            items = body[body.index(b',"items":[') :]
            self.first[key] = [int(number) for number in re.findall(rb'"id":(\d+),"url"', items)]
            self.digests[key] = hashlib.sha256(items).hexdigest()
            self.runs[key] = run

    def of(self, run: str) -> tuple[list[int], list[str]]:
        """The numbers of its items, and a digest of each batch as it was written."""
        keys = [key for key in self.first if self.runs[key] == run]
        return [number for key in keys for number in self.first[key]], [self.digests[key] for key in keys]


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    taken = Receiver()

    async def take(request: web.Request) -> web.Response:
        taken.take(request.headers["Idempotency-Key"], request.headers["X-Runrelay-Run-Id"], await request.read())
        return web.Response()

    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    taken.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield taken
    finally:
        await runner.cleanup()


@dataclass
class Outcome:
    """Two deliveries of the same rows. `disturbed`, `calm`: the ids of their runs; `killed_at`: rows the ledger had,
    of all sinks together."""

    folder: Path
    disturbed: str
    calm: str
    killed_at: list[int]
    http: Receiver
    ends: list[DeliveryRecord]

    def file(self, run: str) -> bytes:
        return (self.folder / "results" / f"{run}.jsonl").read_bytes()

    def table(self, run: str) -> tuple[list[int], str]:
        """The numbers of its rows as they lie there, and a digest of all they hold."""
        with closing(sqlite3.connect(self.folder / "results" / "runs.db")) as db:
            found = db.execute("SELECT * FROM results WHERE _run_id = ? ORDER BY rowid", (run,))
            names = [name for name, *_ in found.description]
            kept = [at for at, name in enumerate(names) if name not in STAMPS or name == "_item"]
            numbers, digest = [], hashlib.sha256()
            for row in found:
                numbers.append(row[names.index("id")])
                digest.update(repr([row[at] for at in kept]).encode())
        return numbers, digest.hexdigest()


ROUTES = """\
defaults: {{batch: {{items: {batch}}}}}
sinks:
  file: {{type: file, base: "{{folder}}/results"}}
  http: {{type: http, url: "{url}"}}
  sqlite: {{type: sqlite, path: "{{folder}}/results/runs.db"}}
routes: [{{name: all, when: {{}}, to: [{targets}]}}]
"""
TARGETS = {
    "file": '{sink: file, path: "{{ run.id }}.jsonl"}',
    "http": "{sink: http}",
    "sqlite": "{sink: sqlite, table: results}",
}


async def killed_on_the_way(settings: Settings, folder: Path, sinks: Sequence[str], trial: Trial) -> Outcome:
    """Deliver a run while its workers are killed, then another one in peace."""
    slow = Scenario([Fault("GET /v2/datasets/*/items", Delay(trial.pause), times=math.inf)])
    async with receiver() as http:
        targets = ", ".join(TARGETS[sink] for sink in sinks)
        routes = ROUTES.format(batch=trial.batch, url=http.url, targets=targets)
        async with installation(
            settings, folder, routes, _actors(folder, trial.rows), scenario=slow, working=False
        ) as place:
            start = starter(settings, folder, trial.lease)
            disturbed = (await place.start("local~maker"))["id"]
            killed_at: list[int] = []
            for sink in trial.deaths:
                worker = await start(sink, str(CHECKPOINTS))
                assert await worker.wait() == -signal.SIGKILL
                killed_at.append(await _rows_now(place, disturbed))
            worker = await start()
            try:
                for _ in range(trial.kills):
                    killed_at.append(await _kill(place, disturbed, worker, killed_at[-1] + trial.apart))
                    worker = await start()
                ends = await _ends(place, disturbed, trial.seconds)
                calm = (await place.start("local~maker"))["id"]
                ends += await _ends(place, calm, trial.seconds)
            finally:
                if worker.returncode is None:
                    worker.kill()
                await worker.wait()
    return Outcome(folder, disturbed, calm, killed_at, http, ends)


async def _kill(place: Installation, run: str, worker: asyncio.subprocess.Process, rows: int) -> int:
    """Wait until the ledger has so many rows, and a moment more or less; kill; return how many it had then."""

    async def reached() -> bool | None:
        assert worker.returncode is None, "the worker ended by itself"
        deliveries = await _deliveries(place, run)
        assert not deliveries or not all(one.state.final for one in deliveries), "there is no middle left"
        return _rows(deliveries) >= rows or None

    await eventually(reached)
    await asyncio.sleep(Random(f"{run}{rows}").uniform(0, 0.05))
    worker.kill()
    assert await worker.wait() == -signal.SIGKILL
    return await _rows_now(place, run)


async def _rows_now(place: Installation, run: str) -> int:
    deliveries = await _deliveries(place, run)
    assert DeliveryState.RUNNING in {one.state for one in deliveries}, "it was not killed in the middle"
    return _rows(deliveries)


async def _deliveries(place: Installation, run: str) -> list[DeliveryRecord]:
    return (await place.ledger.of_run("apify", run))[1]


def _rows(deliveries: Sequence[DeliveryRecord]) -> int:
    return sum(row.read for one in deliveries for row in one.checkpoint.receipts)


async def _ends(place: Installation, run: str, seconds: float) -> list[DeliveryRecord]:
    async def ended() -> list[DeliveryRecord] | None:
        deliveries = await _deliveries(place, run)
        return deliveries if deliveries and all(one.state.final for one in deliveries) else None

    return await eventually(ended, seconds)


def _actors(folder: Path, rows: int) -> Path:
    """An Actor whose runs leave so many rows of about 1,000 bytes."""
    actor = folder / "actors" / "maker"
    actor.mkdir(parents=True)
    (actor / "actor.yaml").write_text(f"name: maker\nscript: {{rows: {rows}}}\n")
    return actor.parent


def starter(settings: Settings, folder: Path, lease: int) -> Callable[..., Awaitable[asyncio.subprocess.Process]]:
    """Starts worker processes, on the file in that folder. lease: ms. See `short_lease` for what they may be told."""
    environ = {
        **os.environ,
        "REDIS_URL": settings.redis_url,
        "RUNRELAY_NAMESPACE": settings.namespace,
        "RUNRELAY_CONFIG": str(folder / "runrelay.yaml"),
        "RUNRELAY_SPOOL_DIR": str(folder / "spool"),
    }

    async def start(*death: str) -> asyncio.subprocess.Process:
        with (folder / "workers.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.end_to_end.short_lease", str(lease), *death),
                cwd=ROOT,
                env=environ,
                stdout=log,
                stderr=log,
            )

    return start


def check(sinks: Sequence[str], outcome: Outcome, trial: Trial) -> dict[str, object]:
    """Nothing is lost, nothing is doubled. Returns the figures."""
    assert [one.state for one in outcome.ends] == [DeliveryState.DELIVERED] * 2 * len(sinks)
    assert {row.status for one in outcome.ends for row in one.checkpoint.receipts} == {"balanced"}
    every, disturbed, calm = list(range(trial.rows)), outcome.disturbed, outcome.calm
    if "file" in sinks:
        assert outcome.file(disturbed) == outcome.file(calm)
        assert outcome.file(calm).count(b"\n") == trial.rows
    if "http" in sinks:
        assert outcome.http.of(disturbed) == outcome.http.of(calm)
        assert outcome.http.of(calm)[0] == every
        assert {len(set(copies)) for copies in outcome.http.copies.values()} == {1}, "a repeat has other bytes"
        assert trial.deaths.count("http") <= outcome.http.repeats <= trial.kills + len(trial.deaths)
    if "sqlite" in sinks:
        assert outcome.table(disturbed) == outcome.table(calm)
        assert outcome.table(calm)[0] == every
    figures = {"sinks": sinks, "rows": trial.rows, "killed at row": outcome.killed_at}
    return figures | ({"repeated batches": outcome.http.repeats} if "http" in sinks else {})
