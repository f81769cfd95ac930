"""`runrelay schema`: what an editor needs to complete and check a routes file while it is written."""

from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from config import plugins
from console import schema as schemas
from console.cli.options import Json, example
from console.cli.output import Output
from console.failures import CommandFailed


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay schema --output runrelay.schema.json"))(schema)


def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write, instead of stdout.")] = None,
    type: Annotated[
        list[str] | None, typer.Option("--type", help="A sink of yours, by its dotted module. May be given again.")
    ] = None,
    json: Json = False,
) -> None:
    """Print the JSON Schema of runrelay.yaml, for editors: they complete keys, explain them and mark mistakes.

    It knows the sinks and sources that are installed here.
    """
    try:
        made = schemas.schema(type or ())
    except plugins.PluginMissing as exc:
        raise CommandFailed("plugin_missing", exc.message) from None
    if output is None:
        print(dumps(made, ensure_ascii=False, indent=None if json else 2))
        return
    output.write_text(f"{dumps(made, ensure_ascii=False, indent=2)}\n", encoding="utf-8")
    out = Output(json)
    out.fact(file=str(output))
    out.tell(f"wrote {output}; an editor finds it by this first line of a routes file beside it:")
    out.tell(schemas.modeline(output.name))
