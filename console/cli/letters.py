"""`runrelay dlq list|show|retry|drop`: what ended as a dead letter, and what a person does about it."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from config.contracts.source import Source
from console.cli.asking import Yes, confirm
from console.cli.ledger import (
    SHORT,
    after_facts,
    ask_ledger,
    delivery_facts,
    event_facts,
    table_of,
    tell_facts,
)
from console.cli.options import Config, Json, example, not_empty
from console.cli.output import Output, plain
from console.cli.selecting import selection_of
from console.cli.spreading import spread
from console.expiries import expires_at, sources_of
from console.failures import CommandFailed
from console.ledger_search import find
from console.moments import when_of
from console.opening import open_settings
from console.receipts import receipt_table
from console.selection import Selection
from workers.ledger.ledger import Ledger
from workers.ledger.letters import Letter, Outcome, dead_letter, dead_letters, drop, name_of, retry
from workers.ledger.records import AfterRecord, DeliveryRecord, EventRecord

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]", callback=lambda ids: ids and not_empty(ids), help="Of letters, or of their run."),
]
Id = Annotated[str, typer.Argument(metavar="ID", callback=not_empty, help="Of a letter (8 characters or more).")]
All = Annotated[bool, typer.Option("--all", help="Every dead letter there is.")]
Most = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many of each reason, the newest.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list what is meant.")]

#: What is said of a letter that stays as it is.
_WHY = {
    Outcome.CHANGED: "was changed by somebody else meanwhile",
    Outcome.SUPERSEDED: "its rows are those of a later delivery of the run by now: retry or replay that one",
}

app = typer.Typer(
    help="Dead letters: what could not be planned, delivered or deleted afterwards, and why.", no_args_is_help=True
)


def add_to(main: typer.Typer) -> None:
    app.command("list", epilog=example("runrelay dlq list --route products --since 7d"))(list_letters)
    app.command(epilog=example("runrelay dlq show 3f9a1c0b7d24"))(show)
    app.command("retry", epilog=example("runrelay dlq retry --sink crm --reason target_refused"))(retry_letters)
    app.command("drop", epilog=example("runrelay dlq drop 3f9a1c0b7d24"))(drop_letters)
    main.add_typer(app, name="dlq")
    main.add_typer(app, name="dead", hidden=True)


@spread(selection=selection_of)
def list_letters(*, selection: Selection, limit: Most = 10, config: Config = None, json: Json = False) -> None:
    """List dead letters, grouped by the reason they died for. With `--json` all of them, the newest first."""
    out, sources = Output(json), sources_of(open_settings(config))

    async def gather(ledger: Ledger) -> tuple[Counter[str], list[Letter]]:
        counts: Counter[str] = Counter()
        shown = []
        async for one in _selected(ledger, selection):
            out.fact(**_facts(one, sources))
            counts[one.reason] += 1
            if counts[one.reason] <= limit:
                shown.append(one)
        return counts, shown

    _show_groups(out, *ask_ledger(config, gather))


def show(id: Id, config: Config = None, json: Json = False) -> None:
    """Tell everything known of a dead letter: why and when it died, its tries, how far it got, and when the platform
    deletes the data that a retry needs."""
    out, sources = Output(json), sources_of(open_settings(config))

    async def tell(ledger: Ledger) -> None:
        for one in await _named(ledger, id):
            facts = _facts(one, sources) | await _size(ledger, one)
            out.fact(**facts)
            tell_facts(out, "dead letter", facts | _words(one), skip=("receipts",))
            if isinstance(one, DeliveryRecord) and one.checkpoint.receipts:
                out.show(receipt_table(one.checkpoint.receipts, out.out.width))

    ask_ledger(config, tell)


def _words(one: Letter) -> dict[str, Any]:
    """Lists among the facts, for people."""
    return {"delete": ", ".join(one.after.delete)} if isinstance(one, AfterRecord) else {}


async def _size(ledger: Ledger, one: Letter) -> dict[str, Any]:
    """Of the body that the webhook brought."""
    if isinstance(one, AfterRecord):
        return {}
    event = await ledger.event(one.delivery.event_id) if isinstance(one, DeliveryRecord) else one
    return {"body_bytes": len(event.body) if event else None}


@spread(selection=selection_of)
def retry_letters(
    ids: Ids = None, *, selection: Selection, every: All = False, dry_run: DryRun = False,
    config: Config = None, json: Json = False,
) -> None:  # fmt: skip
    """Let dead letters go on where they stopped, once what they died of is mended. Their tries are counted afresh.

    Say which: by id, by selectors, or `--all`. What the target has confirmed is not sent again.
    """
    _act(Output(json), config, _wish(ids, selection, every), dry_run, retry, "retried")


@spread(selection=selection_of)
def drop_letters(
    ids: Ids = None, *, selection: Selection, every: All = False, dry_run: DryRun = False, yes: Yes = False,
    config: Config = None, json: Json = False,
) -> None:  # fmt: skip
    """Give dead letters up. They stay in the ledger as dropped, and are not delivered any more. Asks first.

    Say which: by id, by selectors, or `--all`.
    """
    _act(Output(json), config, _wish(ids, selection, every), dry_run, drop, "dropped", yes=yes)


def _wish(ids: Sequence[str] | None, selection: Selection, every: bool) -> Callable[[Ledger], Awaitable[list[Letter]]]:
    """Raises BadParameter if it does not say which."""
    if not (ids or every) and selection.everything:
        raise typer.BadParameter("say which dead letters: give ids, selectors such as --reason, or --all")

    async def chosen(ledger: Ledger) -> list[Letter]:
        if not ids:
            return [one async for one in _selected(ledger, selection)]
        named = [one for id in ids for one in await _named(ledger, id)]
        return [one for one in named if await selection.wants(ledger, one)]

    return chosen


def _act(
    out: Output,
    config: Path | None,
    chosen: Callable[[Ledger], Awaitable[list[Letter]]],
    dry_run: bool,
    change: Callable[[Ledger, Letter], Awaitable[Outcome]],
    done: str,
    *,
    yes: bool = True,
) -> None:
    """Exits with 1 if one of them stays as it is."""
    letters = ask_ledger(config, chosen)
    if dry_run or not letters:
        sources = sources_of(open_settings(config))
        for one in letters:
            out.fact(**_facts(one, sources))
        _show_groups(out, Counter(one.reason for one in letters), letters)
        return
    if not yes:
        out.note(", ".join(f"{count} {reason}" for reason, count in Counter(one.reason for one in letters).items()))
        confirm(out, f"Give up {_count(len(letters))} for good?", yes=False)

    async def change_all(ledger: Ledger) -> int:
        left = 0
        for one in letters:
            outcome = await change(ledger, one)
            why = _WHY.get(outcome, "")
            left += bool(why)
            out.fact(**_name(one), outcome=str(outcome) if why else done, detail=why)
            if why:
                out.note(plain(f"{_id(one)[:SHORT]} stays as it is: {why}").plain)
        return left

    left = ask_ledger(config, change_all)
    out.tell(f"{_count(len(letters) - left)} {done}")
    if left:
        raise typer.Exit(1)


async def _selected(ledger: Ledger, selection: Selection) -> AsyncIterator[Letter]:
    async for one in dead_letters(ledger):
        if await selection.wants(ledger, one):
            yield one


async def _named(ledger: Ledger, id: str) -> list[Letter]:
    """The dead letters of an id. Raises CommandFailed if there is none."""
    found = await find(ledger, id)
    known: list[Letter] = [*found.events, *found.deliveries, *found.afters]
    names = [name_of(one) for one in known]
    letters = [letter for kind, key in names if (letter := await dead_letter(ledger, kind, key))]
    if not letters:
        raise CommandFailed("not_dead", f"{id} is no dead letter: `runrelay show {id}` tells what it is")
    return letters


def _show_groups(out: Output, counts: Counter[str], shown: Sequence[Letter]) -> None:
    if not counts:
        out.tell("no dead letters")
        return
    for reason, group in groupby(sorted(shown, key=lambda one: one.reason), key=lambda one: one.reason):
        ones = list(group)
        more = f", the newest {len(ones)}" if len(ones) < counts[reason] else ""
        out.tell(f"{reason}: {counts[reason]}{more}")
        table = table_of("died", "what", "run", "tries", "id", "last error")
        for one in ones:
            words = (_what(one), _run_of(one), one.attempt, _id(one)[:SHORT], one.detail)
            table.add_row(when_of(one.ended), *map(plain, words))
        out.show(table)


def _facts(one: Letter, sources: Mapping[str, Source]) -> dict[str, Any]:
    return {**_known(one), "source_expires_at": expires_at(sources, one)}


def _known(one: Letter) -> dict[str, Any]:
    match one:
        case DeliveryRecord():
            return delivery_facts(one)
        case AfterRecord():
            return {**_name(one), "source": one.after.source, "run_id": one.after.run_id, **after_facts(one)}
        case EventRecord():
            return event_facts(one)


def _name(one: Letter) -> dict[str, str]:
    kind, id = name_of(one)
    return {{"ev": "event", "dl": "delivery", "af": "after"}[kind]: id}


def _id(one: Letter) -> str:
    return name_of(one)[1]


def _run_of(one: Letter) -> str:
    match one:
        case DeliveryRecord():
            return one.delivery.run_id
        case AfterRecord():
            return one.after.run_id
        case EventRecord():
            return one.run_id


def _what(one: Letter) -> str:
    match one:
        case DeliveryRecord():
            return f"{one.delivery.route}/{one.delivery.target}"
        case AfterRecord():
            return f"delete {'+'.join(one.after.delete)}"
        case EventRecord():
            return "event"


def _count(number: int) -> str:
    return f"{number:,} dead letter" + ("" if number == 1 else "s")
