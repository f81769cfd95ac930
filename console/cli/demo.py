"""`runrelay demo`: everything, once, in one terminal."""

import asyncio
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from console.cli.options import Json, example
from console.cli.output import Output, plain, report
from console.cli.progress import Progress
from console.demo.folder import demo_folder
from console.demo.guests import GUESTS, Guest, chosen, compared, served
from console.demo.looking import Found
from console.demo.play import Scene, complaints, play
from console.demo.shops import told
from console.demo.stage import Stage, stage
from console.failures import CommandFailed
from console.receipts import receipt_table, row_of
from console.signals import run

#: Of a table of rows.
COLUMNS = 5
_PARTS = {
    "queue": "a Valkey of its own",
    "emulator": "a local Apify",
    "receiver": "takes webhooks",
    "worker": "fetches and delivers",
}


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay demo", "runrelay demo --json --out my-demo | tail -n 1"))(demo)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path("runrelay-demo"),
    keep: Annotated[bool, typer.Option("--keep", help="Stay up until Ctrl-C, to be looked at.")] = False,
    max_modules: Annotated[
        int, typer.Option("--max-modules", min=0, help="Crawl no more than so many modules; 0 means all.")
    ] = 0,
    sinks: Annotated[
        str, typer.Option("--sinks", help=f"Also deliver to these, separated by commas: {', '.join(GUESTS)}.")
    ] = "",
    deadline: Annotated[float, typer.Option("--deadline", min=1, help="Seconds after which it is given up.")] = 150.0,
    json: Json = False,
) -> None:
    """Crawl Python's documentation with a real Actor on a local Apify, and deliver what it found, with a receipt.

    Starts a queue server, the emulator, a receiver and a worker, and leaves nothing running. Needs no account and no
    network. With --sinks it also starts the real servers of those, and shows what lies there in the end. Exits with 0
    only if everything arrived and every count agrees.
    """
    guests, voice = chosen(sinks), Output(json)
    for name in (name for name, guest in guests.items() if guest.serve):
        voice.note(f"{'server':<9} starting one for {name} …")
    with served(guests) as environment:
        play = _Demo(voice, out, keep, max_modules, deadline, guests, environment)
        try:
            run(play.perform())
        except KeyboardInterrupt:
            if play.code is None or not keep:
                raise
    raise typer.Exit(play.code or 0)


class _Demo:
    def __init__(
        self,
        out: Output,
        folder: Path,
        keep: bool,
        max_modules: int,
        deadline: float,
        guests: Mapping[str, Guest],
        environment: dict[str, str],
    ) -> None:
        self.out, self.folder, self.keep = out, folder, keep
        self.max_modules, self.deadline = max_modules, deadline
        self.guests, self.environment = guests, environment
        self.found: dict[str, Found] = {}
        self.scene: Scene | None = None
        self.code: int | None = None

    async def perform(self) -> None:
        """Sets the exit code as soon as it is known."""
        with demo_folder(self.folder, self.guests) as folder:
            async with stage(folder, self._ready, self.environment) as on:
                wrong = await self._play(on)
                self._end(on, wrong)
                self.code = 1 if wrong else 0
                if self.keep:
                    await self._stay(on)

    def _ready(self, part: str, url: str) -> None:
        self.out.fact(event="ready", part=part, url=url)
        self.out.note(f"{part:<9} {_PARTS[part]}, at {url}")

    async def _play(self, on: Stage) -> list[str]:
        """What went wrong."""
        try:
            with Progress(self.out) as progress:
                async with asyncio.timeout(self.deadline):
                    scene = await on.crew.together(
                        play(on, self.max_modules, lambda scene: self._watch(progress, scene))
                    )
        except TimeoutError:
            return [f"not done after {self.deadline:g} s: {self.scene.stuck() if self.scene else 'nothing started'}"]
        except CommandFailed as died:
            return [died.message]
        wrong = complaints(on, scene)
        return wrong or await self._look(on, scene)

    async def _look(self, on: Stage, scene: Scene) -> list[str]:
        """What the other sinks hold, and what is wrong with that."""
        for name, guest in self.guests.items():
            self.found[name] = await guest.look(self.environment, on.folder.path)
        return compared(self.found, {row.target: row.delivered for row in scene.fate.receipts})

    def _watch(self, progress: Progress, scene: Scene) -> None:
        before, self.scene = self.scene, scene
        progress.show(scene)
        if before is None or before.status != scene.status:
            self.out.fact(event="run", run_id=scene.run_id, status=scene.status)

    def _end(self, on: Stage, wrong: list[str]) -> None:
        receipts = self.scene.fate.receipts if self.scene else []
        if not self.out.json:
            self.out.show(receipt_table(receipts, self.out.out.width))
        if wrong:
            logs = on.folder.log("worker").parent
            report(
                "demo_failed", "\n  ".join(["the demo failed:", *wrong, f"the logs are in {logs}"]), json=self.out.json
            )
        elif not self.out.json:
            self._what_now(on)
        lying = {name: {"count": one.count, "where": one.where} for name, one in self.found.items()}
        days = {day.name: [row_of(row) for row in day.fate.receipts] for day in self.scene.days} if self.scene else {}
        held = {day.name: day.held for day in self.scene.days if day.held} if self.scene else {}
        more = {"held": held, **({"found": lying} if lying else {})}
        self.out.fact(receipts=[row_of(row) for row in receipts], days=days, **more)

    def _what_now(self, on: Stage) -> None:
        folder = _short(on.folder.path)
        days = self.scene.days if self.scene else []
        files = {
            "modules.jsonl": "the items, one a line",
            "far-side.jsonl": "the same items, as the HTTP target took them",
            "records/": "the run's key-value records",
            "log.txt": "the run's log",
            "prices/": "a price list on three days, without what has no price, in fields of our own",
            "changes/": "of it only what was not as the day before",
            "held/": "the run of a day that was not as expected",
            "runrelay.yaml": "the routes that did this",
        }
        ideas = {
            f"head -n 1 {folder}/modules.jsonl": "look at an item",
            **({} if self.keep else {f"{_called()} demo --keep": "the same, and it stays up to be looked at"}),
            f"{_called()} init file": "begin with your own Apify account",
        }
        for one in self.found.values():
            self.out.show(_rows(one))
        self.out.tell("A price list on three days, by one route (where, fields, expect, only):")
        self._pairs({day.name: told(on.folder, day) for day in days})
        self.out.tell(f"\nEverything arrived. In {folder}/:")
        self._pairs(files)
        self.out.tell("\nTo try next:")
        self._pairs(ideas)

    def _pairs(self, pairs: dict[str, str]) -> None:
        widest = max(map(len, pairs))
        for left, right in pairs.items():
            self.out.tell(f"  {left:<{widest}}  {right}")

    async def _stay(self, on: Stage) -> None:
        note = self.out.note
        note("")
        note("Everything stays up until Ctrl-C. In another terminal:")
        note(f"  REDIS_URL={on.redis_url} runrelay runs")
        note(f"  REDIS_URL={on.redis_url} runrelay quarantine list")
        note(f"  REDIS_URL={on.redis_url} runrelay changes list")
        note(f"  curl {on.urls['receiver']}/readyz")
        note(f"  curl {on.urls['worker']}/metrics")
        await on.crew.together(_forever())


def _rows(found: Found) -> Table:
    """The first rows, as far as they fit; columns that say where a row comes from stand last."""
    table = Table(title=f"{found.where}: {found.count:,} items, the first of them", title_justify="left")
    names = list(dict.fromkeys(name for row in found.rows for name in row))
    shown = sorted(names, key=lambda name: name.startswith("_"))[:COLUMNS]
    for name in shown:
        table.add_column(plain(name, 20), no_wrap=True, max_width=24)
    for row in found.rows:
        table.add_row(*(plain(row.get(name), 24) for name in shown))
    return table


async def _forever() -> Any:
    await asyncio.Event().wait()


def _called() -> str:
    """How this user can call the command again: by its name if that is found, else by its path."""
    found, ours = shutil.which("runrelay"), Path(sys.argv[0]).resolve()
    return "runrelay" if found and Path(found).resolve() == ours else _short(ours)


def _short(path: Path) -> str:
    """As seen from here, if that is shorter."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
