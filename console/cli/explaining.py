"""`runrelay explain`: why did a run go where it went?"""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from config.route import UNMATCHED
from console.cli.ledger import SHORT, delivery_facts
from console.cli.options import Config, Json, Source, example
from console.cli.output import Output, plain
from console.explaining import Explained, explained, narrowed, unknown_names
from console.opening import open_settings, open_table
from console.past_run import PastRun, find_run
from console.signals import run
from workers.ledger.records import DeliveryRecord
from workers.routing.why import Missed

#: Characters of a line.
LONGEST = 1000

RunId = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of a run, also as `source:id`, or of an event or a delivery of it.")
]
Route = Annotated[str, typer.Option("--route", help="Only what this route makes of it.")]


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=example("runrelay explain HG7ML7M8z78YcAPEB", "runrelay explain HG7ML7M8z78YcAPEB --route products")
    )(explain)


def explain(run_id: RunId, route: Route = "", source: Source = None, config: Config = None, json: Json = False) -> None:
    """Say of each route whether it takes a run, or which line of it does not hold, and what the run has there.

    Goes by the file as it is now, and by the run as the ledger keeps it; one it does not know is asked for at the
    platform. What became of the deliveries is told, too.
    """
    settings = open_settings(config)
    table, out = open_table(settings), Output(json)
    narrowed([], table, route)
    past = run(find_run(settings, table, source, run_id))
    found = explained(past, table)
    _tell_run(out, past, unknown_names(past, table))
    for one in narrowed(found, table, route):
        out.fact(**_facts(one))
        for line in _lines(one):
            out.tell(plain(line, LONGEST).plain)
    if not any(one.takes for one in found):
        out.tell("no route takes it, and the file has no `unmatched`: nothing is delivered")


def _tell_run(out: Output, past: PastRun, unknown: list[str]) -> None:
    one, told = past.run, "as it was planned" if past.kept else "as the platform tells it now"
    actor = one.actor or one.actor_id
    out.fact(run_id=one.id, source=one.source, status=one.status, actor=actor, kept=past.kept, unknown=unknown)
    whose = f" of {plain(actor).plain}" if actor else ""
    out.tell(f"run {one.id} {plain(one.status).plain}{whose}, {told}")
    if not one.terminal:
        out.tell("note: it has not ended: nothing is delivered before that")
    for name in unknown:
        out.tell(f"note: our token may not see the name of its {name}: only the id can fit `{name}`")


def _lines(one: Explained) -> Iterator[str]:
    yield f"{one.route}  {_judged(one)}"
    for place in one.places:
        yield f"  {place.name}  {f'no: {place.missed}' if place.missed else 'yes'}"
    if one.ends:
        yield "  it is final: no route below it is asked"
    for each in one.deliveries:
        yield f"  {_became(each)}"
    if one.older:
        yield "  note: that was planned with another version of this route"


def _judged(one: Explained) -> str:
    if one.gone:
        return "is no longer in the file"
    if not one.asked:
        return "not asked: a route above it " + ("takes it" if one.route == UNMATCHED else "is final")
    if one.missed:
        return f"no: {one.missed}"
    return "takes it" if one.takes else "would take it, but none of its targets does"


def _became(one: DeliveryRecord) -> str:
    place, why = one.delivery, ": ".join(filter(None, (one.reason, one.detail)))
    return f"{place.target}  {one.state.value}{f' ({why})' if why else ''}, delivery {place.id[:SHORT]}"


def _facts(one: Explained) -> dict[str, Any]:
    return {
        "route": one.route,
        "asked": one.asked,
        "gone": one.gone,
        "takes": one.takes,
        "missed": _missed(one.missed),
        "targets": [
            {"target": place.name, "sink": place.sink, "takes": not place.missed, "missed": _missed(place.missed)}
            for place in one.places
        ],
        "final": one.ends,
        "deliveries": [delivery_facts(each) for each in one.deliveries],
        "older": one.older,
    }


def _missed(missed: Missed | None) -> dict[str, str] | None:
    return missed._asdict() if missed else None
