"""`runrelay check`: is the routes file right?"""

import typer

from config.routes import RouteTable
from console.cli.options import Config, Json, example
from console.cli.output import Output
from console.opening import open_settings, open_table


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay check --config runrelay.yaml"))(check)
    app.command("validate", hidden=True, epilog=example("runrelay validate --config runrelay.yaml"))(check)


def check(config: Config = None, json: Json = False) -> None:
    """Say whether the routes file and the settings can be used, with every problem at once.

    Exits with 78 if they cannot. Connects to nothing.
    """
    settings = open_settings(config)
    table = open_table(settings)
    out = Output(json)
    for warning in table.warnings:
        out.note(f"{warning} (warning)")
    out.fact(
        status="ok",
        file=str(settings.config),
        sources=list(table.sources),
        sinks=list(table.sinks),
        routes=[route.name for route in table.routes],
        unmatched=table.unmatched is not None,
        warnings=[str(warning) for warning in table.warnings],
    )
    out.tell(f"{settings.config}: {_found(table)}: ok")


def _found(table: RouteTable) -> str:
    counts = {"source": len(table.sources), "sink": len(table.sinks), "route": len(table.routes)}
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for word, count in counts.items())
