"""`runrelay backfill`: deliver runs that ended before anybody here listened, or before there was a route for them."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Any

import typer

from config.contracts.errors import NotFound, Permanent
from config.contracts.source import Listing
from config.queue import RunQueue
from config.routes import RouteTable
from config.settings import Settings
from config.sources.apify import ApifySource
from console.backfill import MOST, Backfill, Fate, Past
from console.cli.advancing import Advance, pace_of
from console.cli.ledger import table_of
from console.cli.options import Config, Json, example
from console.cli.output import Output, plain
from console.cli.reconciling import listings
from console.cli.run_options import known
from console.cli.selecting import runs_of
from console.cli.spreading import spread
from console.moments import when_of
from console.opening import nearby, open_ledger, open_settings, open_table
from console.pacing import Pace
from console.selection import Selection
from console.signals import run
from workers.fetch.api import HttpApi, open_session
from workers.names import Names

Effects = Annotated[
    bool,
    typer.Option("--include-effects", help="Also start Actors, send messages, and let `after:` of the routes follow."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken.")]

#: How many runs there were of each fate, in this order.
_COUNTED = {
    Fate.TAKEN: "taken",
    Fate.WANTED: "would be taken",
    Fate.KNOWN: "already known here",
    Fate.NO_ROUTE: "that no route wants",
    Fate.LEFT_OUT: "left out, because only sinks that act want them",
    Fate.EXPIRED: "expired at the platform",
}
#: Fates that are worth a line each.
_SHOWN = frozenset({Fate.TAKEN, Fate.WANTED, Fate.EXPIRED, Fate.LEFT_OUT})


def add_to(main: typer.Typer) -> None:
    main.command(
        "backfill",
        epilog=example(
            "runrelay backfill --actor acme/shop-de --since 30d --dry-run",
            "runrelay backfill --route products --since 2026-11-01 --pace 30/m",
        ),
    )(backfill)


@spread(selection=runs_of, pace=pace_of)
def backfill(
    *,
    selection: Selection,
    effects: Effects = False,
    pace: Pace,
    dry_run: DryRun = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Deliver past runs, also those that ended before Runrelay was there: to every target that has not got them yet.

    Needs --since. Twice is once: what is here, or on its way, is left alone. Sinks that start Actors or send messages,
    and `after:`, only with --include-effects. A run whose data the platform has deleted is counted apart; each storage
    that would be read is asked for once, in a dry run too.
    """
    if selection.since is None:
        raise typer.BadParameter("say how far back: --since 30d")
    settings = nearby(open_settings(config))
    table = open_table(settings)
    sources = listings(table, next(iter(selection.when.source), None))
    if any(isinstance(source, ApifySource) for source in sources):
        for name in (*selection.when.actor, *selection.when.task):
            known(name.replace("*", "x"))
    filling = _Filling(Output(json), pace, dry_run=dry_run)
    try:
        run(filling.perform(settings, table, sources, selection, effects=effects))
    finally:
        filling.tell()


class _Filling:
    """One call of the command.

    Attributes:
        count: runs of which it is known what becomes of them.
        left: wanted runs that are known and still to be taken.
    """

    def __init__(self, out: Output, pace: Pace, *, dry_run: bool) -> None:
        self.out, self.pace, self.dry_run = out, pace, dry_run
        self.count: Counter[Fate] = Counter()
        self.shown: list[Past] = []
        self.left = 0
        self.done = False

    async def perform(
        self, settings: Settings, table: RouteTable, sources: Sequence[Listing], selection: Selection, *, effects: bool
    ) -> None:
        names = Names()
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(open_session())
            ledger = await stack.enter_async_context(open_ledger(settings.redis_url, settings.namespace))
            inbox = await stack.enter_async_context(RunQueue.connect(settings))
            advance = stack.enter_context(Advance(self.out))
            for source in sources:
                api = HttpApi(session, source.manners)
                one = Backfill(source, api, ledger, inbox, table, names, selection, effects=effects)
                try:
                    await self._fill(one, advance)
                except (NotFound, Permanent) as no:  # it lists none, or none of that Actor
                    if len(sources) == 1:
                        raise
                    self.out.note(f"{source.name}: {no.detail}")
        self.done = True

    async def _fill(self, one: Backfill, advance: Advance) -> None:
        """The oldest finish first: what targets keep of several runs is that of the newest."""
        wanted = await self._wanted(one, advance)
        advance.begin(f"{one.source.name}: taking", len(wanted))
        for past in sorted(wanted, key=lambda past: past.run.finished):
            if not self.dry_run:
                await self.pace.turn()
            self._note(await one.take(past, dry_run=self.dry_run))
            self.left -= 1
            advance.step()

    async def _wanted(self, one: Backfill, advance: Advance) -> list[Past]:
        wanted: list[Past] = []
        advance.begin(f"{one.source.name}: looking")
        async for past in one.past():
            advance.step()
            if past.fate is not Fate.WANTED:
                self._note(past)
                continue
            wanted.append(past)
            self.left += 1
            if len(wanted) == MOST:
                self.out.note(f"{one.source.name}: only the newest {MOST:,} runs; the next call goes on with the rest")
                break
        return wanted

    def _note(self, past: Past) -> None:
        self.count[past.fate] += 1
        self.out.fact(**_facts(past))
        if past.fate in _SHOWN:
            self.shown.append(past)

    def tell(self) -> None:
        """What became of everything, for people."""
        if self.shown:
            table = table_of("ended", "source", "run", "status", "outcome", "leads to")
            for past in self.shown:
                words = (past.run.source, past.run.id, past.run.status, past.fate.replace("_", " "))
                table.add_row(when_of(round(past.run.finished * 1000)), *map(plain, (*words, ", ".join(past.places))))
            self.out.show(table)
        if any(past.left_out for past in self.shown):
            self.out.note("sinks that act and `after:` are left out: --include-effects if they are meant")
        if self.left:
            self.out.note(f"it ended before its time: {self.left:,} runs are left; the same command goes on with them")
        if self.done or self.count or self.left:
            self.out.tell(_sum(self.count, dry_run=self.dry_run))


def _sum(count: Counter[Fate], *, dry_run: bool) -> str:
    """`12 taken, 3 already known here`: the first one always, the others if there are any."""
    first = Fate.WANTED if dry_run else Fate.TAKEN
    parts = [f"{count[fate]:,} {word}" for fate, word in _COUNTED.items() if count[fate] or fate is first]
    return ", ".join(parts)


def _facts(past: Past) -> dict[str, Any]:
    found = past.run
    return {
        "outcome": "would_take" if past.fate is Fate.WANTED else past.fate.value,
        "source": found.source,
        "run_id": found.id,
        "status": found.status,
        "finished": found.life,
        "targets": past.places,
        "left_out": [f"{one.route}/{one.target}" for one in past.left_out],
        "event": past.event.id if past.event and past.fate is Fate.TAKEN else None,
    }
