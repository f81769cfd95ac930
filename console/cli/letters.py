"""`runrelay dlq list|show|retry|drop`: what ended as a dead letter, and what a person does about it."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from console.cli.asking import Yes, confirm
from console.cli.ledger import SHORT, ask_ledger, delivery_facts, event_facts, table_of, tell_facts, when_of
from console.cli.options import Config, Json, example, not_empty
from console.cli.output import Output, plain
from console.cli.selecting import selection_of
from console.cli.spreading import spread
from console.failures import CommandFailed
from console.ledger_search import find
from console.receipts import receipt_table
from console.selection import Selection
from workers.ledger.ledger import Ledger
from workers.ledger.letters import Letter, Outcome, dead_letter, dead_letters, drop, retry
from workers.ledger.records import DeliveryRecord

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

app = typer.Typer(help="Dead letters: what could not be planned or delivered, and why.", no_args_is_help=True)


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
    out = Output(json)

    async def gather(ledger: Ledger) -> tuple[Counter[str], list[Letter]]:
        counts: Counter[str] = Counter()
        shown = []
        async for one in _selected(ledger, selection):
            out.fact(**_facts(one))
            counts[one.reason] += 1
            if counts[one.reason] <= limit:
                shown.append(one)
        return counts, shown

    _show_groups(out, *ask_ledger(config, gather))


def show(id: Id, config: Config = None, json: Json = False) -> None:
    """Tell everything known of a dead letter: why and when it died, its tries, and how far it got."""
    out = Output(json)

    async def tell(ledger: Ledger) -> None:
        for one in await _named(ledger, id):
            event = await ledger.event(one.delivery.event_id) if isinstance(one, DeliveryRecord) else one
            facts = _facts(one) | {"body_bytes": len(event.body) if event else None}
            out.fact(**facts)
            tell_facts(out, "dead letter", facts, skip=("receipts",))
            if isinstance(one, DeliveryRecord) and one.checkpoint.receipts:
                out.show(receipt_table(one.checkpoint.receipts, out.out.width))

    ask_ledger(config, tell)


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
        for one in letters:
            out.fact(**_facts(one))
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
    keys = [("ev", one.id) for one in found.events] + [("dl", one.delivery.id) for one in found.deliveries]
    letters = [letter for kind, key in keys if (letter := await dead_letter(ledger, kind, key))]
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


def _facts(one: Letter) -> dict[str, Any]:
    return delivery_facts(one) if isinstance(one, DeliveryRecord) else event_facts(one)


def _name(one: Letter) -> dict[str, str]:
    return {"delivery" if isinstance(one, DeliveryRecord) else "event": _id(one)}


def _id(one: Letter) -> str:
    return one.delivery.id if isinstance(one, DeliveryRecord) else one.id


def _run_of(one: Letter) -> str:
    return one.delivery.run_id if isinstance(one, DeliveryRecord) else one.run_id


def _what(one: Letter) -> str:
    return f"{one.delivery.route}/{one.delivery.target}" if isinstance(one, DeliveryRecord) else "event"


def _count(number: int) -> str:
    return f"{number:,} dead letter" + ("" if number == 1 else "s")
