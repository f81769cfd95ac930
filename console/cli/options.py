"""Options that many commands share, each described once."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The routes file; RUNRELAY_CONFIG or runrelay.yaml unless given."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout; the rest goes to stderr.")]
Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many, the newest first.")]
Source = Annotated[str | None, typer.Option("--source", help="Which of the file's sources; needed if it has several.")]


def not_empty(value: str | list[str]) -> str | list[str]:
    """For ids: without one the platform would be asked for all there is. Raises BadParameter."""
    if not all(each.strip() for each in ([value] if isinstance(value, str) else value)):
        raise typer.BadParameter("an id is empty: does a variable lack its value?")
    return value


def port(help: str) -> typer.models.OptionInfo:
    """A `--port` option."""
    info: typer.models.OptionInfo = typer.Option("--port", min=0, max=65535, help=f"{help} 0 picks a free one.")
    return info


def example(*lines: str) -> str:
    """The end of a command's help."""
    return "Example:\n\n" + "\n\n".join(f"  {line}" for line in lines)
