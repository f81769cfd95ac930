"""`runrelay replay`: deliver once more what was delivered, or was not."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from config.contracts.event import EventState
from config.contracts.reasons import Reason
from console.cli.advancing import Advance, pace_of
from console.cli.ledger import SHORT, table_of
from console.cli.options import Config, Json, example, not_empty
from console.cli.output import Output, plain
from console.cli.selecting import selection_of
from console.cli.spreading import spread
from console.ledger_search import Found, find
from console.moments import when_of
from console.opening import nearby, open_ledger, open_settings, open_table
from console.pacing import Pace
from console.replays import Anew, Candidate, Manner, Wanted, candidates, failed, make, runs_of, unmatched
from console.selection import Selection
from console.signals import run
from workers.ledger.ledger import Ledger
from workers.ledger.letters import Outcome, replan
from workers.ledger.records import DeliveryRecord, EventRecord

Id = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        callback=lambda id: None if id is None else not_empty(id),
        help="Of a run; or of one event or delivery of it.",
    ),
]
Failed = Annotated[bool, typer.Option("--failed", help="Only what ended dead or partial.")]
Effects = Annotated[
    bool,
    typer.Option(
        "--include-effects",
        help="Also start Actors and send messages once more. `after:` never follows a replay, with or without it.",
    ),
]
Using = Annotated[
    Literal["then", "now"],
    typer.Option(
        "--using", help="Routes as they were when it was planned, or those that have the same names in the file now."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list what would be made.")]

_ANEW = "HTTP targets get everything anew, under new ids: a receiver that remembers ids will not take it for a repeat"
_WHY = {
    Outcome.UNDER_WAY: "a delivery of the run is on its way to the same target",
    Outcome.KNOWN: "somebody has replayed it just now",
    Outcome.CHANGED: "it was changed by somebody else meanwhile",
}


def add_to(main: typer.Typer) -> None:
    main.command(
        "replay",
        epilog=example("runrelay replay HG7ML7M8z78YcAPEB --target lake", "runrelay replay --failed --since 7d"),
    )(replay_runs)


@spread(selection=selection_of, pace=pace_of)
def replay_runs(
    id: Id = None,
    *,
    only_failed: Failed = False,
    selection: Selection,
    effects: Effects = False,
    using: Using = "then",
    pace: Pace,
    dry_run: DryRun = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Deliver runs once more, with the routes they were planned with.

    Say which: a run, `--failed`, or selectors. Files and objects are replaced; HTTP targets get everything anew, under
    new ids. Nothing is deleted at the platform afterwards. What is still on its way is left alone. A run that no route
    wanted (`--reason no_route`) is planned anew, with the file as it is now.
    """
    if id is None and not only_failed and selection.everything:
        raise typer.BadParameter("say what to replay: a RUN, --failed, or selectors such as --route and --since")
    replaying = _Replaying(config, Output(json), effects=effects, using=using, pace=pace, dry_run=dry_run)
    try:
        run(replaying.perform(id, selection, only_failed=only_failed))
    finally:
        replaying.tell()
    if id is not None and not replaying.going:
        raise typer.Exit(1)


class _Replaying:
    """One call of the command.

    Attributes:
        told: everything looked at, made or with the reason why it was not.
        left: runs that are still to be looked at; None before they are known.
    """

    def __init__(
        self, config: Path | None, out: Output, *, effects: bool, using: str, pace: Pace, dry_run: bool
    ) -> None:
        settings = open_settings(config)
        self.manner = Manner(effects=effects, now=open_table(settings) if using == "now" else None)
        self.settings, self.out, self.pace, self.dry_run = nearby(settings), out, pace, dry_run
        self.told: list[Candidate | Anew] = []
        self.left: int | None = None

    @property
    def going(self) -> list[Candidate | Anew]:
        return [each for each in self.told if each.why_not is None]

    async def perform(self, id: str | None, selection: Selection, *, only_failed: bool) -> None:
        async with AsyncExitStack() as stack:
            ledger = await stack.enter_async_context(open_ledger(self.settings.redis_url, self.settings.namespace))
            advance = stack.enter_context(Advance(self.out))
            advance.begin("looking")
            found = None if id is None else await find(ledger, id)
            wanted, runs = await _wish(ledger, found, selection, only_failed=only_failed)
            events = [] if only_failed else await _unwanted(ledger, id or "", found, selection)
            wishes: list[tuple[str, str] | EventRecord] = [*runs, *events]
            self.left = len(wishes)
            advance.begin("replaying", self.left)
            for one in wishes:
                if isinstance(one, EventRecord):
                    await self._plan(ledger, one)
                else:
                    await self._make(ledger, [each async for each in candidates(ledger, *one, wanted, self.manner)])
                self.left -= 1
                advance.step()

    async def _make(self, ledger: Ledger, found: Sequence[Candidate]) -> None:
        """Of one run."""
        chosen = [each for each in found if each.why_not is None]
        if chosen and not self.dry_run:
            await self.pace.turn()
            outcomes = iter(await make(ledger, chosen))
            found = [each if each.why_not else _judged(each, next(outcomes)) for each in found]
        for each in found:
            self.told.append(each)
            self.out.fact(**_facts(each, dry_run=self.dry_run))

    async def _plan(self, ledger: Ledger, event: EventRecord) -> None:
        anew = Anew(event)
        if not self.dry_run:
            await self.pace.turn()
            outcome = await replan(ledger, event, effects=self.manner.effects)
            anew = anew if outcome is Outcome.DONE else replace(anew, why_not=(outcome.value, _WHY[outcome]))
        self.told.append(anew)
        self.out.fact(**_event_facts(anew, dry_run=self.dry_run))

    def tell(self) -> None:
        """What became of everything, for people. Nothing before anything was looked at."""
        if self.left is None:
            return
        table = table_of("ended", "target", "run", "was", "replay", "id")
        for each in self.told:
            when, *words = _row(each)
            table.add_row(when_of(when) if when else "", *map(plain, words))
        out, going = self.out, self.going
        out.show(table if self.told else "nothing is like that")
        for why in dict.fromkeys(each.why_not for each in self.told if each.why_not):
            out.note(f"left out ({why[0]}): {why[1]}")
        if any(isinstance(each, Candidate) and each.sink_type == "http" for each in going):
            out.note(_ANEW)
        if self.left:
            out.note(f"it ended before its time: {self.left:,} runs were left alone")
        out.tell(f"{len(going):,} " + ("would be replayed" if self.dry_run else "replayed"))


async def _wish(
    ledger: Ledger, found: Found | None, selection: Selection, *, only_failed: bool
) -> tuple[Wanted, Sequence[tuple[str, str]]]:
    """Which deliveries are wanted, and the runs to look for them in."""

    async def selected(one: DeliveryRecord) -> bool:
        return (failed(one) or not only_failed) and await selection.wants(ledger, one)

    if found is None:
        return selected, await runs_of(ledger, selected)
    places = {_place(one) for one in found.deliveries}

    async def named(one: DeliveryRecord) -> bool:
        return _place(one) in places and await selected(one)

    return named, list(dict.fromkeys((one.delivery.source, one.delivery.run_id) for one in found.deliveries))


async def _unwanted(ledger: Ledger, id: str, found: Found | None, selection: Selection) -> list[EventRecord]:
    """The events that no route wanted: of a run or an event that is named, or where the selectors ask for them."""

    async def selected(event: EventRecord) -> bool:
        return await selection.wants(ledger, event)

    if found is None:
        asked = selection.reason == Reason.NO_ROUTE
        return [event async for event in unmatched(ledger, selected)] if asked else []
    if any(one.delivery.id.startswith(id) for one in found.deliveries):
        return []
    return [event for event in found.events if event.state is EventState.UNMATCHED and await selected(event)]


def _place(one: DeliveryRecord) -> tuple[str, ...]:
    place = one.delivery
    return place.source, place.run_id, place.life, place.route, place.target


def _judged(each: Candidate, outcome: Outcome) -> Candidate:
    return each if outcome is Outcome.MADE else replace(each, why_not=(outcome.value, _WHY[outcome]))


def _row(each: Candidate | Anew) -> tuple[int, str, str, str, str, str]:
    """When it ended, where it leads, its run, what it was, what becomes of it, and the id of that."""
    word = each.why_not[0] if each.why_not else ""
    if isinstance(each, Anew):
        event = each.event
        return event.ended, "", event.run_id, event.state, word or "planned anew", event.id[:SHORT]
    place, shown = each.old.delivery, "" if word else each.new.id[:SHORT]
    target = f"{place.route}/{place.target}"
    return each.old.ended, target, place.run_id, each.old.state, word or f"generation {each.new.generation}", shown


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


def _event_facts(each: Anew, *, dry_run: bool) -> dict[str, Any]:
    event = each.event
    facts = {"source": event.source, "run_id": event.run_id, "event": event.id, "was": event.state.value}
    if each.why_not:
        return {"outcome": each.why_not[0], **facts, "detail": each.why_not[1]}
    return {"outcome": "would_plan" if dry_run else "planned_anew", **facts}
