"""`runrelay reconcile`: look now for finished runs that nobody announced."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Annotated

import typer

from config.contracts.errors import Permanent
from config.contracts.run import Run
from config.contracts.source import Listing, Reconcile
from config.queue import RunQueue
from config.routes import RouteTable
from config.settings import Settings
from config.units import NotAnAmount, seconds
from console.cli.options import Config, Json, example
from console.cli.output import Output, plain
from console.failures import CommandFailed
from console.opening import nearby, open_ledger, open_settings, open_table
from console.signals import run
from workers.care.reconciler import Reconciler
from workers.fetch.api import HttpApi, open_session
from workers.names import Names


def _seconds(written: str) -> float:
    """Raises BadParameter."""
    try:
        if (amount := seconds(written)) > 0:
            return amount
    except NotAnAmount as exc:
        raise typer.BadParameter(str(exc)) from None
    raise typer.BadParameter("nothing ended in no time: write 1h, say")


Name = Annotated[str | None, typer.Option("--source", help="Only this source; all unless given.")]
Since = Annotated[
    float | None,
    typer.Option(
        "--since",
        parser=_seconds,
        metavar="DURATION",
        help="How long ago runs may have ended; `lookback` unless given.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken.")]


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay reconcile --since 6h --dry-run"))(reconcile)


def reconcile(
    source: Name = None, since: Since = None, dry_run: DryRun = False, config: Config = None, json: Json = False
) -> None:
    """Find finished runs whose webhook never came, and deliver them.

    Runs that ended less than two minutes ago, or before the first worker started for their source, are left alone:
    `runrelay backfill` takes older ones.
    """
    settings = nearby(open_settings(config))
    table = open_table(settings)
    run(_reconcile(settings, table, listings(table, source), since, Output(json), dry_run=dry_run))


def listings(table: RouteTable, name: str | None) -> list[Listing]:
    """The sources whose runs can be listed, or the one of a name. Raises CommandFailed."""
    found = {each: source for each, source in table.sources.items() if isinstance(source, Listing)}
    if name is not None and name not in found:
        known = ", ".join(found) or "none"
        raise CommandFailed(
            "source_not_found", f"the file has no source {name!r} whose runs can be listed; has {known}"
        )
    return [source for each, source in found.items() if name in {None, each}]


async def _reconcile(
    settings: Settings,
    table: RouteTable,
    sources: Sequence[Listing],
    since: float | None,
    out: Output,
    *,
    dry_run: bool,
) -> None:
    names = Names()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session())
        ledger = await stack.enter_async_context(open_ledger(settings.redis_url, settings.namespace))
        inbox = await stack.enter_async_context(RunQueue.connect(settings))
        for source in sources:
            one = Reconciler(source, HttpApi(session, source.manners), ledger, inbox, table, names)
            try:
                await _look(one, since, out, dry_run=dry_run)
            except Permanent as no:  # nothing says where its runs are listed
                if len(sources) == 1:
                    raise
                out.note(f"{source.name}: {no.detail}")


async def _look(reconciler: Reconciler, since: float | None, out: Output, *, dry_run: bool) -> None:
    name = reconciler.source.name
    if await reconciler.first_start() is None:
        out.note(f"{name}: no worker has started yet, so nothing counts as missed; start one with `runrelay worker`")
        return
    lookback = (reconciler.source.reconcile or Reconcile()).lookback
    count: Counter[str] = Counter()
    async for missed in reconciler.unannounced(lookback, within=since):
        wanted = await reconciler.wanted(missed)
        if dry_run or await reconciler.take(missed):
            count["wanted" if wanted else "other"] += 1
            _tell(out, missed, wanted=wanted, taken=not dry_run)
    verb = "would be taken" if dry_run else "taken"
    rest = f", and {count['other']} that no route wants" if count["other"] else ""
    out.tell(f"{name}: {count['wanted']} unannounced runs {verb}{rest}")


def _tell(out: Output, missed: Run, *, wanted: bool, taken: bool) -> None:
    out.fact(
        source=missed.source,
        run_id=missed.id,
        status=missed.status,
        finished=missed.life,
        wanted=wanted,
        taken=taken,
    )
    if wanted:
        out.tell(f"{plain(missed.id)}  {plain(missed.status)}  {plain(missed.life)}")
