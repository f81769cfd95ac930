"""`runrelay quarantine list|show|release|discard`: runs that are not as their route expects, and what a person does
about them."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from console.cli.asking import Yes, confirm
from console.cli.ledger import SHORT, ask_ledger, delivery_facts, table_of, tell_facts
from console.cli.letters import All, DryRun
from console.cli.options import Config, Json, example, not_empty
from console.cli.output import Output, plain
from console.cli.selecting import held_of
from console.cli.spreading import spread
from console.expiries import expires_at, sources_of
from console.moments import iso, when_of
from console.opening import open_settings
from console.quarantine import HeldRun, chosen, held_runs, named
from console.selection import Selection
from workers.ledger.ledger import Ledger
from workers.ledger.letters import Outcome
from workers.ledger.quarantine import discard, release
from workers.ledger.records import DeliveryRecord

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]", callback=lambda ids: ids and not_empty(ids), help="Of runs, or of deliveries."),
]
Id = Annotated[
    str, typer.Argument(metavar="ID", callback=not_empty, help="Of a run, or of a delivery (8 characters or more).")
]
Most = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many runs of each route and reason.")]

Wish = Callable[[Ledger], Awaitable[list[DeliveryRecord]]]
#: What is said of one that stays as it is.
_WHY = {
    Outcome.CHANGED: "was changed by somebody else meanwhile",
    Outcome.SUPERSEDED: "a later finish of the run has its rows: release that one, discard this",
}

app = typer.Typer(
    help="Runs that are not as their route expects: what was seen, and whether they are delivered after all.",
    no_args_is_help=True,
)


def add_to(main: typer.Typer) -> None:
    app.command("list", epilog=example("runrelay quarantine list --route products"))(list_held)
    app.command("show", epilog=example("runrelay quarantine show HG7ML7M8z78YcAPEB"))(show)
    app.command("release", epilog=example("runrelay quarantine release HG7ML7M8z78YcAPEB"))(release_held)
    app.command("discard", epilog=example("runrelay quarantine discard HG7ML7M8z78YcAPEB --yes"))(discard_held)
    main.add_typer(app, name="quarantine")


@spread(selection=held_of)
def list_held(*, selection: Selection, limit: Most = 10, config: Config = None, json: Json = False) -> None:
    """List what is in quarantine by route and reason: what is not as expected, and when the platform deletes the data.
    Of each route, what goes first comes first. With `--json` one delivery a line."""

    _show(Output(json), config, ask_ledger(config, partial(chosen, selection=selection)), limit)


def show(id: Id, config: Config = None, json: Json = False) -> None:
    """Tell everything known of a run that is held: what was expected and seen, how many items are usual, until when its
    data is there, and where it would go."""
    out, sources = Output(json), sources_of(open_settings(config))

    async def tell(ledger: Ledger) -> None:
        for run in held_runs(await named(ledger, id), sources):
            usual = await _usual(ledger, run.deliveries[0])
            for one in run.deliveries:
                out.fact(**delivery_facts(one), **one.facts, usual=usual, source_expires_at=_iso(run))
            _tell(out, run, usual)

    ask_ledger(config, tell)


async def _usual(ledger: Ledger, one: DeliveryRecord) -> list[int]:
    event = await ledger.event(one.delivery.event_id)
    return await ledger.usual(one.delivery.route, event.run.actor_id) if event and event.run else []


def _tell(out: Output, run: HeldRun, usual: Sequence[int]) -> None:
    facts: dict[str, Any] = {
        "route": run.route,
        "data until": _iso(run),
        "held since": iso(run.at),
        "finished": run.life,
        "items": run.items,
        "usual": ", ".join(map(str, usual)),
    }
    tell_facts(out, f"run {run.run_id} of {run.source}: {run.reason}", facts, skip=())
    for line in run.why:
        out.tell(f"  not so     {plain(line, 1000).plain}")
    for one in run.deliveries:
        out.tell(f"  held       {plain(one.delivery.target).plain} ({one.delivery.id[:SHORT]})")


@spread(selection=held_of)
def release_held(
    ids: Ids = None, *, selection: Selection, every: All = False, dry_run: DryRun = False,
    config: Config = None, json: Json = False,
) -> None:  # fmt: skip
    """Deliver after all what is held. The number of items that a released run has counts as usual from then on.

    Say which: by id, by selectors, or `--all`. The id of a run lets all of it go, whatever holds it.
    """
    _act(Output(json), config, _wish(ids, selection, every), dry_run, release, "released")


@spread(selection=held_of)
def discard_held(
    ids: Ids = None, *, selection: Selection, every: All = False, dry_run: DryRun = False, yes: Yes = False,
    config: Config = None, json: Json = False,
) -> None:  # fmt: skip
    """Give up what is held. It stays in the ledger as dropped, and is never delivered; nothing of its run is deleted at
    the platform. Asks first.

    Say which: by id, by selectors, or `--all`.
    """
    _act(Output(json), config, _wish(ids, selection, every), dry_run, discard, "discarded", yes=yes)


def _wish(ids: Sequence[str] | None, selection: Selection, every: bool) -> Wish:
    """Raises BadParameter if it does not say which."""
    if not (ids or every) and selection.everything:
        raise typer.BadParameter("say which: give ids, selectors such as --route, or --all")
    return partial(chosen, selection=selection, ids=ids or ())


def _act(
    out: Output,
    config: Path | None,
    wish: Wish,
    dry_run: bool,
    change: Callable[[Ledger, DeliveryRecord], Awaitable[Outcome]],
    done: str,
    *,
    yes: bool = True,
) -> None:
    """Exits with 1 if one of them stays as it is."""
    held = ask_ledger(config, wish)
    if dry_run or not held:
        _show(out, config, held, len(held))
        return
    if not yes:
        counts = Counter(f"{one.delivery.route}/{one.delivery.target}" for one in held)
        out.note(plain(", ".join(f"{count} to {place}" for place, count in counts.items()), 1000).plain)
        confirm(out, f"Give up {_count(len(held))} for good?", yes=False)

    async def change_all(ledger: Ledger) -> int:
        left = 0
        for one in held:
            outcome = await change(ledger, one)
            why = _WHY.get(outcome, "")
            left += bool(why)
            out.fact(delivery=one.delivery.id, outcome=str(outcome) if why else done, detail=why)
            if why:
                out.note(f"{one.delivery.id[:SHORT]} stays as it is: {why}")
        return left

    left = ask_ledger(config, change_all)
    out.tell(f"{_count(len(held) - left)} {done}")
    if left:
        raise typer.Exit(1)


def _show(out: Output, config: Path | None, held: Sequence[DeliveryRecord], most: int) -> None:
    sources = sources_of(open_settings(config))
    for one in held:
        out.fact(**delivery_facts(one), **one.facts, source_expires_at=expires_at(sources, one))
    if not held:
        out.tell("nothing is in quarantine")
    for (route, reason), group in groupby(held_runs(held, sources), key=lambda run: (run.route, run.reason)):
        runs = list(group)
        more = f", {most} of them" if len(runs) > most else ""
        out.tell(f"{plain(route).plain}: {len(runs)} {'run is' if len(runs) == 1 else 'runs are'} {reason}{more}")
        table = table_of("data until", "held since", "run", "to", "what is not as expected")
        for run in runs[:most]:
            words = (run.run_id, run.targets, "; ".join(run.why))
            table.add_row(when_of(run.expires) if run.expires else "", when_of(run.at), *map(plain, words))
        out.show(table)


def _iso(run: HeldRun) -> str | None:
    return iso(run.expires) if run.expires else None


def _count(number: int) -> str:
    return f"{number:,} " + ("delivery" if number == 1 else "deliveries")
