"""`runrelay preview`: what would a run of today lead to, with the file as it is now?"""

from dataclasses import asdict
from typing import Annotated

import typer

from config.routes import RouteTable
from config.settings import Settings
from config.sources.apify import ApifySource
from console.choosing import api_of, chosen
from console.cli.options import Config, Json, Source, example
from console.cli.output import Output, plain
from console.cli.run_options import known
from console.opening import open_settings, open_table
from console.past_run import fetched, place_of
from console.previewing import LONGEST, Preview, Prospect, narrowed, previews, prospect
from console.signals import run

RunId = Annotated[
    str, typer.Argument(metavar="[RUN]", help="Id of a run, also as `source:id`, or of an event or a delivery of it.")
]
Last = Annotated[bool, typer.Option("--last", help="The last run of --actor that has ended.")]
Actor = Annotated[str, typer.Option("--actor", help="owner/name, owner~name or id; a task has `task:` in front.")]
Items = Annotated[int, typer.Option("--items", min=1, max=100, help="How many items, or records, of each stream.")]
Route = Annotated[str, typer.Option("--route", help="Only of this route, or of ROUTE/TARGET.")]
Target = Annotated[str, typer.Option("--target", help="Only to this target, also as ROUTE/TARGET.")]


def add_to(main: typer.Typer) -> None:
    main.command(
        epilog=example("runrelay preview HG7ML7M8z78YcAPEB", "runrelay preview --last --actor acme/shop-de --items 2")
    )(preview)


def preview(
    run_id: RunId = "",
    last: Last = False,
    actor: Actor = "",
    items: Items = 5,
    route: Route = "",
    target: Target = "",
    source: Source = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show what a run would be delivered as: rows, paths, statements, messages, for each target. Writes nothing.

    The run and its first items are read from the platform, and the file as it is now says what becomes of them. Sinks
    are not connected to: a table counts as a new one. Exits with 1 if a delivery would end as a dead letter.
    """
    if bool(run_id) == last or last != bool(actor):
        raise typer.BadParameter("say which run: its id, or --last and --actor", param_hint="RUN")
    settings = open_settings(config)
    table = open_table(settings)
    if last and isinstance(chosen(table, source), ApifySource):
        known(actor)
    broken = run(_show(Output(json), settings, table, source, run_id or actor, last, (route, target), items))
    if broken:
        raise typer.Exit(1)


async def _show(
    out: Output,
    settings: Settings,
    table: RouteTable,
    named: str | None,
    word: str,
    last: bool,
    place: tuple[str, str],
    items: int,
) -> bool:
    """Whether a delivery would end as a dead letter."""
    source, run_id = (chosen(table, named), "") if last else await place_of(settings, table, named, word)
    async with api_of(source) as api:
        found = await prospect(source, api, table, await fetched(settings, source, api, run_id, word))
        _tell_run(out, found)
        found, broken = narrowed(found, table, *place), False
        if found.matched and not found.deliveries:
            out.tell("but nothing of it leads there: `runrelay explain` says why")
        async for one in previews(found, source, api, table, items):
            _tell(out, one)
            broken = broken or bool(one.problem)
    return broken


def _tell_run(out: Output, found: Prospect) -> None:
    run, routes = found.run, list(dict.fromkeys(one.route for one in found.deliveries))
    actor = run.actor or run.actor_id
    out.fact(run_id=run.id, source=run.source, status=run.status, actor=actor, matched=found.matched, routes=routes)
    out.tell(f"run {run.id} {plain(run.status).plain}" + (f" of {plain(actor).plain}" if actor else ""))
    if not run.terminal:
        out.tell("it has not ended: nothing is delivered before that, and it may have more items by then")
    if not found.matched:
        rest = "what follows is `unmatched`" if routes else "nothing is delivered"
        out.tell(f"no route wants it: {rest}; `runrelay explain {run.id}` says why")


def _tell(out: Output, one: Preview) -> None:
    out.fact(**asdict(one))
    out.tell(f"\n{one.route}/{one.target}, {plain(one.type).plain}, {one.stream}{_counts(one)}")
    for line in one.lines:
        out.tell(f"  {plain(line, LONGEST).plain}")
    for note in one.notes:
        out.tell(f"  note: {plain(note, LONGEST).plain}")
    if one.problem:
        out.tell(f"  the delivery would end: {plain(one.problem, LONGEST).plain}")


def _counts(one: Preview) -> str:
    """How many of those that were looked at are sent; nothing of a stream that is one document."""
    if one.stream in {"log", "run"} or one.problem:
        return ""
    counts = [f"{one.read - one.dropped - one.rejected} of the first {one.read}"]
    for count, what in ((one.dropped, "dropped"), (one.rejected, "rejected")):
        counts += [f"{count} {what}"] if count else []
    return f": {', '.join(counts)}"
