"""The play: start the Actor, watch, and judge what arrived by counting it again."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from config.contracts.delivery import DeliveryState, Receipt
from config.contracts.errors import Transient
from config.contracts.event import EventState
from config.contracts.run import Run
from config.sources.apify.starting import RunOptions, start
from config.sources.apify.webhooks import pointing_at
from console.demo import shops
from console.demo.folder import DemoFolder
from console.demo.shops import Day
from console.demo.stage import Stage
from console.following import PAUSE, Fate, fate_of, name_of
from console.receipts import balanced

ACTOR = "runrelay~pydoc-crawler"
ROUTE = "modules"
#: What has to arrive: each target of the route with its stream.
WANTED = {"file": "items:default", "http": "items:default", "records": "records", "log": "log"}


@dataclass(frozen=True)
class Scene:
    """How far everything is.

    Attributes:
        items: rows the platform counts in the dataset.
        days: the small runs beside it.
    """

    run_id: str
    status: str
    message: str = ""
    items: int = 0
    fate: Fate = field(default_factory=Fate)
    days: Sequence[Day] = ()

    @property
    def final(self) -> bool:
        return all(fate.final for fate in self.fates)

    @property
    def fates(self) -> list[Fate]:
        return [self.fate, *(day.fate for day in self.days)]

    def stuck(self) -> str:
        """What it waits for."""
        run = f"run {self.run_id} is {self.status}"
        return "; ".join([run, *(line for fate in self.fates for line in fate.open())])


Watch = Callable[[Scene], None]


async def play(stage: Stage, max_modules: int, watch: Watch) -> Scene:
    """Run the Actor and wait until everything it left is delivered, or dead. `watch` sees every scene."""
    days = await shops.open_shops(stage)
    scene = replace(await _start(stage, max_modules), days=days)
    watch(scene)
    while not scene.final:
        await asyncio.sleep(PAUSE)
        scene = await _next(stage, scene)
        watch(scene)
    return scene


async def _start(stage: Stage, max_modules: int) -> Scene:
    """Run Actor, with the `webhooks` parameter that makes the platform tell our receiver of the end."""
    body = json.dumps({"maxModules": max_modules} if max_modules else {}).encode()
    webhook = pointing_at(stage.webhooks, stage.source.secret)
    run = await start(stage.api, ACTOR, options=RunOptions(), body=body, webhooks=[webhook])
    return Scene(run["id"], run["status"])


async def _next(stage: Stage, scene: Scene) -> Scene:
    with suppress(Transient):  # the next look will tell
        run = await stage.source.run(stage.api, scene.run_id)
        scene = replace(scene, status=run.status, message=_message(run), items=await _count(stage, run))
    fate = await fate_of(stage.ledger, stage.source.name, scene.run_id)
    return replace(scene, fate=fate, days=await shops.looked(stage, scene.days))


async def _count(stage: Stage, run: Run) -> int:
    return (await stage.source.count(stage.api, run, run.datasets["default"])).rows


def _message(run: Run) -> str:
    return str(run.fields.get("statusMessage") or "")


def complaints(stage: Stage, scene: Scene) -> list[str]:
    """Everything that is not as it should be, by counts of our own; empty if the demo did its job."""
    rows = {row.target: row for row in scene.fate.receipts}
    return [
        *_of_states(scene),
        *_of_rows(scene.fate.receipts),
        *(f"{ROUTE}/{target} has no receipt" for target in WANTED if target not in rows),
        *_of_counts(stage.folder, stage.far.items, rows),
        *shops.complaints(stage.folder, scene.days),
    ]


def _of_states(scene: Scene) -> list[str]:
    run = [] if scene.status == "SUCCEEDED" else [f"the run ended {scene.status}: {scene.message}"]
    events = [
        f"the event ended {event.state.value}: {event.reason}: {event.detail}"
        for event in scene.fate.events
        if event.state is not EventState.PLANNED
    ]
    deliveries = [
        f"{name_of(one)} ended {one.state.value}: {one.reason}: {one.detail}"
        for one in scene.fate.deliveries
        if one.state is not DeliveryState.DELIVERED
    ]
    return [*run, *events, *deliveries]


def _of_rows(rows: list[Receipt]) -> list[str]:
    return [
        f"{row.route}/{row.target} does not balance: expected {row.expected}, read {row.read}, "
        f"filtered {row.filtered}, rejected {row.rejected}, delivered {row.delivered} ({row.status})"
        for row in rows
        if row.status != "balanced" or not balanced(row)
    ]


def _of_counts(folder: DemoFolder, taken: int, rows: dict[str, Receipt]) -> list[str]:
    """What really lies there, against what the receipt says."""
    counted = {
        "file": (lines_of(folder.modules), "lines are in modules.jsonl"),
        "http": (taken, "items are at the far side"),
        "records": (_files_in(folder), "files are in records/"),
    }
    return [
        f"{ROUTE}/{target}: the receipt says {rows[target].delivered}, but {count} {what}"
        for target, (count, what) in counted.items()
        if target in rows and rows[target].delivered != count
    ]


def lines_of(path: Path) -> int:
    """How many lines a file has; 0 without a file."""
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))


def _files_in(folder: DemoFolder) -> int:
    return sum(1 for each in folder.records.iterdir() if each.is_file()) if folder.records.is_dir() else 0
