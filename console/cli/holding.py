"""`runrelay pause`, `resume`, `retry`: what a person says about a source, a sink or a target. It outlives restarts."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from config.contracts.errors import ConfigInvalid
from config.routes import RouteTable
from config.settings import Settings
from config.units import NotAnAmount, seconds
from console.cli.options import Config, Json, example, not_empty
from console.cli.output import Output, plain
from console.holds import hold_words
from console.moments import iso, when_of
from console.names import Kind, Names, names_of
from console.opening import nearby, open_ledger, open_settings, open_table
from console.signals import run
from workers.ledger.holds import Hold
from workers.ledger.hurrying import hurry
from workers.ledger.ledger import Ledger
from workers.ledger.standing import Place, Standing, look

#: Records looked at from each end of a list, for the names of work of an older file.
MOST = 1000

T = TypeVar("T")
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        callback=not_empty,
        help="As runrelay.yaml says it; of a target `ROUTE/TARGET`, or its own name if only one route has it.",
    ),
]
Which = Annotated[Kind, typer.Argument(metavar="source|sink|target", help="What is meant.")]
For = Annotated[str, typer.Option("--for", help="How long, such as 30m or 2h; until `resume` unless given.")]
Target = Annotated[
    str, typer.Option("--target", callback=not_empty, help="`ROUTE/TARGET`, or its own name if only one route has it.")
]


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=example("runrelay pause target products/crm --for 2h", "runrelay pause source apify"),
    )(pause)
    app.command(epilog=example("runrelay resume target products/crm"))(resume)
    app.command(epilog=example("runrelay retry --target products/crm"))(retry)


def pause(kind: Which, name: Name, span: For = "", config: Config = None, json: Json = False) -> None:
    """Hold everything of a source, to a sink, or to one target: it waits, and nothing is lost or counted as a try.

    Webhooks are taken as before. What is at work ends its slice, which takes two minutes at most.
    """
    length, out = _length(span), Output(json)

    async def hold(ledger: Ledger, names: Names, standing: Standing) -> None:
        full = names.full(kind, name)
        until = standing.at + length if length else 0
        await ledger.pause(f"{kind}:{full}", until)
        out.fact(kind=kind, name=full, until=iso(until))
        end = when_of(until) if until else f"`runrelay resume {kind} {full}`"
        out.tell(plain(f"{kind} {full} is held until {end}", 1000).plain)

    _ask(config, out, hold)


def resume(kind: Which, name: Name, config: Config = None, json: Json = False) -> None:
    """Let go on what was held by `pause`, and try at once what waits because the far side had failed or refused us."""
    out = Output(json)

    async def let_go(ledger: Ledger, names: Names, standing: Standing) -> None:
        full = names.full(kind, name)
        held = any((one.kind, one.name) == (kind, full) for one in standing.paused)
        waited = await ledger.resume(f"{kind}:{full}")
        out.fact(kind=kind, name=full, was_held=held, waited=waited)
        said = f"{kind} {full} {_go_on(waited)}" if held or waited else f"nothing held {kind} {full}"
        out.tell(plain(said, 1000).plain)
        _tell_others(out, _beside(kind, full, names, standing))

    _ask(config, out, let_go)


def retry(target: Target, config: Config = None, json: Json = False) -> None:
    """Try now what waits for a target, whatever its schedule says, as if the target had just answered again.

    That is for deliveries which are still tried: `dlq retry` brings back those that were given up as dead letters. What
    somebody holds with `pause` stays held: `resume` lets it go.
    """
    out = Output(json)

    async def try_now(ledger: Ledger, names: Names, standing: Standing) -> None:
        full = names.full("target", target)
        route, _, name = full.partition("/")
        waited = await hurry(ledger, Place(route, name))
        out.fact(target=full, waited=waited)
        out.tell(plain(f"target {full} {_go_on(waited)}", 1000).plain)
        own = [one for one in standing.paused if (one.kind, one.name, one.why) == ("target", full, "held")]
        _tell_others(out, [*own, *_beside("target", full, names, standing)])

    _ask(config, out, try_now)


def _length(span: str) -> int:
    """ms; 0 for no end. Raises BadParameter."""
    try:
        length = round(seconds(span) * 1000) if span else 0
    except NotAnAmount as exc:
        raise typer.BadParameter(f"`{span}` is {exc}", param_hint="--for") from None
    if span and length <= 0:
        raise typer.BadParameter("that is no time at all: write 30m or 2h, or leave it out", param_hint="--for")
    return length


def _go_on(waited: int) -> str:
    return f"may go on, and {waited:,} that waited with it" if waited else "may go on; nothing waited for it"


def _beside(kind: Kind, name: str, names: Names, standing: Standing) -> list[Hold]:
    """What else keeps deliveries to a target waiting."""
    if kind != "target":
        return []
    sink = names.sinks.get(name)
    return [one for one in standing.paused if one.kind == "source" or (one.kind == "sink" and one.name == sink)]


def _tell_others(out: Output, holds: list[Hold]) -> None:
    for one in holds:
        out.note(plain(f"but {hold_words(one)}", 1000).plain)


def _ask(config: Path | None, out: Output, question: Callable[[Ledger, Names, Standing], Awaitable[None]]) -> None:
    settings = nearby(open_settings(config))
    table = _table(settings, out)

    async def ask() -> None:
        async with open_ledger(settings.redis_url, settings.namespace) as ledger:
            standing = await look(ledger.redis, ledger.keys, MOST)
            await question(ledger, names_of(table, standing), standing)

    run(ask())


def _table(settings: Settings, out: Output) -> RouteTable | None:
    """A file that cannot be used any more must not keep anybody from acting: workers go on with what they have."""
    try:
        return open_table(settings)
    except ConfigInvalid:
        out.note(f"{settings.config} cannot be used now: `runrelay check` says why")
        return None
