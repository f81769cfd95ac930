"""`runrelay check`: is the routes file right?"""

from typing import Annotated

import typer

from config.routes import RouteTable
from config.settings import Settings
from console.cli.options import Config, Json, example
from console.cli.output import Output, plain
from console.cli.verdict import mark
from console.connecting import reach
from console.opening import open_settings, open_table
from console.signals import run
from workers.rehearsal import prove


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay check --config runrelay.yaml", "runrelay check --connect"))(check)
    app.command("validate", hidden=True, epilog=example("runrelay validate --config runrelay.yaml"))(check)


def check(
    config: Config = None,
    connect: Annotated[bool, typer.Option("--connect", help="Also reach for every source and target.")] = False,
    json: Json = False,
) -> None:
    """Say whether the routes file and the settings can be used, with every problem at once, and run the file's tests.

    Exits with 78 if they cannot, or if a test fails. Connects to nothing, unless it is told to: then with 1 if a source
    or a target cannot be reached, lets nobody in, or could not be written to. Nothing is delivered, and nothing is left
    there.
    """
    settings = open_settings(config)
    table = open_table(settings)
    out = Output(json)
    for warning in table.warnings:
        out.note(f"{warning} (warning)")
    prove(table)
    out.fact(
        status="ok",
        file=str(settings.config),
        sources=list(table.sources),
        sinks=list(table.sinks),
        routes=[route.name for route in table.routes],
        unmatched=table.unmatched is not None,
        tests=len(table.cases),
        warnings=[str(warning) for warning in table.warnings],
    )
    out.tell(f"{settings.config}: {_found(table)}: ok")
    if connect:
        _reach(out, settings, table)


def _reach(out: Output, settings: Settings, table: RouteTable) -> None:
    found = run(reach(settings, table))
    for one in found:
        out.fact(reached=one.name, ok=one.well if one.tried else None, message=one.message)
        out.tell(f"{mark(one)} {plain(one.name).plain}: {plain(one.message, 1000).plain}")
    if not all(one.well for one in found):
        raise typer.Exit(1)


def _found(table: RouteTable) -> str:
    counts = {"source": len(table.sources), "sink": len(table.sinks), "route": len(table.routes)}
    counts |= {"test": len(table.cases)} if table.cases else {}
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for word, count in counts.items())
