"""`runrelay init`: a routes file to begin with."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from dotenv import dotenv_values

from console.cli.options import Json, example
from console.cli.output import Output
from console.failures import CommandFailed
from console.recipes import Variable, recipe, recipes, steps, variables


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay init file"))(init)


def init(
    name: Annotated[str | None, typer.Argument(metavar="RECIPE", help="Which; without it they are listed.")] = None,
    config: Annotated[Path, typer.Option("--config", "-c", help="The file to write.")] = Path("runrelay.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
    named: Annotated[str | None, typer.Option("--recipe", hidden=True, help="The same as RECIPE.")] = None,
    json: Json = False,
) -> None:
    """Write a routes file with comments, and a .env with new secrets beside it.

    Variables that a .env already has are left alone.
    """
    out = Output(json)
    name = name or named
    if name is None:
        _list(out)
        return
    text = recipe(name)
    if config.exists() and not force:
        raise CommandFailed("file_exists", f"{config} is there already: --force replaces it, --config names another")
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(text, encoding="utf-8")
    env = config.parent / ".env"
    added = _complete(env, variables(name))
    out.fact(file=str(config), env=str(env), added=[variable.name for variable in added], next=steps(name))
    out.tell(f"wrote {config}" + (f", and into {env}:" if added else ""))
    _lay_out(out, {f"  {variable.name}": variable.why for variable in added})
    out.tell("next:")
    for step in steps(name):
        out.tell(f"  {step}")


def _list(out: Output) -> None:
    for name, about in recipes().items():
        out.fact(recipe=name, about=about)
    _lay_out(out, recipes())
    out.note("write one with: runrelay init NAME")


def _lay_out(out: Output, words: Mapping[str, str]) -> None:
    """A line each, what they mean in one column."""
    width = max(map(len, words), default=0)
    for word, meaning in words.items():
        out.tell(f"{word:<{width}}  {meaning}")


def _complete(path: Path, wanted: Sequence[Variable]) -> list[Variable]:
    """Add the variables that are not there yet, and return them; only the owner can read a new file."""
    known = dotenv_values(path, interpolate=False) if path.exists() else {}
    missing = [variable for variable in wanted if variable.name not in known]
    if not missing:
        return []
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    gap = "" if not before or before.endswith("\n") else "\n"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as file:
        file.write(gap + "".join(variable.lines for variable in missing))
    return missing
