"""Showing how far a demo is: one live table on a terminal, plain lines of what changed elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from console.cli.output import Output, plain
from console.demo.play import Scene
from console.following import name_of
from workers.ledger.records import DeliveryRecord


class Progress:
    """A context in which scenes can be shown."""

    def __init__(self, out: Output) -> None:
        self.out = out
        self.live = Live(console=out.err, refresh_per_second=8, transient=True) if out.err.is_terminal else None
        self.shown: set[str] = set()

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()

    def show(self, scene: Scene) -> None:
        if self.live:
            self.live.update(_picture(scene))
            return
        for line in _lines(scene):
            if line not in self.shown:
                self.shown.add(line)
                self.out.note(plain(line).plain)


def _picture(scene: Scene) -> Group:
    status = (plain(scene.status).plain, "bold")
    run = Text.assemble(("run ", "dim"), plain(scene.run_id), " ", status, " ", plain(scene.message))
    items = Text(f"{scene.items:,} items in the dataset")
    table = Table.grid(padding=(0, 2))
    for one in _all(scene):
        table.add_row(Text(name_of(one)), Text(_state(one)), Text(f"{_delivered(one):,} delivered"))
    return Group(run, items, table)


def _lines(scene: Scene) -> list[str]:
    said = f": {scene.message}" if scene.message else ""
    run = f"run {scene.run_id} {scene.status}{said}"
    deliveries = [
        f"{name_of(one)} {_state(one)}" + (f", {count} delivered" if (count := _delivered(one)) else "")
        for one in _all(scene)
    ]
    return [run, *deliveries]


def _all(scene: Scene) -> list[DeliveryRecord]:
    return [one for fate in scene.fates for one in fate.deliveries]


def _state(one: DeliveryRecord) -> str:
    return f"{one.state.value} ({one.reason})" if one.reason else one.state.value


def _delivered(one: DeliveryRecord) -> int:
    return sum(row.delivered for row in one.checkpoint.receipts)
