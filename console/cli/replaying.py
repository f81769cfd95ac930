"""`runrelay replay`: deliver once more what was delivered, or was not."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from console.cli.ledger import SHORT, ask_ledger, table_of, when_of
from console.cli.options import Config, Json, example, not_empty
from console.cli.output import Output, plain
from console.cli.selecting import selection_of
from console.cli.spreading import spread
from console.ledger_search import find
from console.replays import Candidate, Wanted, candidates, failed, make, runs_of
from console.selection import Selection
from workers.ledger.ledger import Ledger
from workers.ledger.letters import Outcome
from workers.ledger.records import DeliveryRecord

Id = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        callback=lambda id: None if id is None else not_empty(id),
        help="Of a run; or of one event or delivery of it.",
    ),
]
Failed = Annotated[bool, typer.Option("--failed", help="Only what ended dead or partial.")]
Effects = Annotated[bool, typer.Option("--include-effects", help="Also start Actors and send messages once more.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list what would be made.")]

_ANEW = "HTTP targets get everything anew, under new ids: a receiver that remembers ids will not take it for a repeat"
_WHY = {
    Outcome.UNDER_WAY: "a delivery of the run is on its way to the same target",
    Outcome.KNOWN: "somebody has replayed it just now",
}


def add_to(main: typer.Typer) -> None:
    main.command(
        "replay",
        epilog=example("runrelay replay HG7ML7M8z78YcAPEB --target lake", "runrelay replay --failed --since 7d"),
    )(replay_runs)


@spread(selection=selection_of)
def replay_runs(
    id: Id = None,
    *,
    only_failed: Failed = False,
    selection: Selection,
    effects: Effects = False,
    dry_run: DryRun = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Deliver runs once more, with the routes they were planned with.

    Say which: a run, `--failed`, or selectors. Files and objects are replaced; HTTP targets get everything anew, under
    new ids. Nothing is deleted at the platform afterwards. What is still on its way is left alone.
    """
    if id is None and not only_failed and selection.everything:
        raise typer.BadParameter("say what to replay: a RUN, --failed, or selectors such as --route and --since")
    out = Output(json)

    async def work(ledger: Ledger) -> list[Candidate]:
        wanted, runs = await _wish(ledger, id, selection, only_failed=only_failed)
        told: list[Candidate] = []
        for source, run_id in runs:
            found = [each async for each in candidates(ledger, source, run_id, wanted, effects=effects)]
            told += found if dry_run else await _made(ledger, found)
        return told

    found = ask_ledger(config, work)
    _tell(out, found, dry_run=dry_run)
    if id is not None and not any(each.why_not is None for each in found):
        raise typer.Exit(1)


async def _wish(
    ledger: Ledger, id: str | None, selection: Selection, *, only_failed: bool
) -> tuple[Wanted, Sequence[tuple[str, str]]]:
    """What is wanted, and the runs to look for it in."""

    async def selected(one: DeliveryRecord) -> bool:
        return (failed(one) or not only_failed) and await selection.wants(ledger, one)

    if id is None:
        return selected, await runs_of(ledger, selected)
    found = await find(ledger, id)
    places = {_place(one) for one in found.deliveries}

    async def named(one: DeliveryRecord) -> bool:
        return _place(one) in places and await selected(one)

    return named, list(dict.fromkeys((one.delivery.source, one.delivery.run_id) for one in found.deliveries))


def _place(one: DeliveryRecord) -> tuple[str, ...]:
    place = one.delivery
    return place.source, place.run_id, place.life, place.route, place.target


async def _made(ledger: Ledger, found: Sequence[Candidate]) -> list[Candidate]:
    """The same ones, made or with the reason why they were not."""
    chosen = [each for each in found if each.why_not is None]
    outcomes = iter(await make(ledger, chosen) if chosen else ())
    return [each if each.why_not else _judged(each, next(outcomes)) for each in found]


def _judged(each: Candidate, outcome: Outcome) -> Candidate:
    return each if outcome is Outcome.MADE else replace(each, why_not=(outcome.value, _WHY[outcome]))


def _tell(out: Output, found: Sequence[Candidate], *, dry_run: bool) -> None:
    table = table_of("ended", "target", "run", "was", "replay", "id")
    for each in found:
        out.fact(**_facts(each, dry_run=dry_run))
        place, word = each.old.delivery, each.why_not[0] if each.why_not else f"generation {each.new.generation}"
        shown = "" if each.why_not else each.new.id[:SHORT]
        words = (f"{place.route}/{place.target}", place.run_id, each.old.state, word, shown)
        table.add_row(when_of(each.old.ended) if each.old.ended else "", *map(plain, words))
    going = [each for each in found if each.why_not is None]
    out.show(table if found else "nothing is like that")
    for why in dict.fromkeys(each.why_not for each in found if each.why_not):
        out.note(f"left out ({why[0]}): {why[1]}")
    if any(each.sink_type == "http" for each in going):
        out.note(_ANEW)
    out.tell(f"{len(going):,} " + ("would be replayed" if dry_run else "replayed"))


def _facts(each: Candidate, *, dry_run: bool) -> dict[str, Any]:
    place = each.old.delivery
    facts = {
        "source": place.source,
        "run_id": place.run_id,
        "route": place.route,
        "target": place.target,
        "sink": place.sink,
        "replays": place.id,
        "was": each.old.state.value,
    }
    if each.why_not:
        return {"outcome": each.why_not[0], **facts, "detail": each.why_not[1]}
    outcome = "would_replay" if dry_run else "replayed"
    return {"outcome": outcome, **facts, "delivery": each.new.id, "generation": each.new.generation}
