"""`runrelay init`: a routes file to begin with."""

import os
from pathlib import Path
from typing import Annotated

import typer
from dotenv import dotenv_values

from console.cli.options import Json, example
from console.cli.output import Output
from console.failures import CommandFailed
from console.recipes import recipe, recipes, variables


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay init file"))(init)


def init(
    name: Annotated[str | None, typer.Argument(metavar="RECIPE", help="Which; without it they are listed.")] = None,
    config: Annotated[Path, typer.Option("--config", "-c", help="The file to write.")] = Path("runrelay.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
    json: Json = False,
) -> None:
    """Write a routes file with comments, and a .env with new secrets beside it.

    Variables that a .env already has are left alone.
    """
    out = Output(json)
    if name is None:
        _list(out)
        return
    text = recipe(name)
    if config.exists() and not force:
        raise CommandFailed("file_exists", f"{config} is there already: --force replaces it, --config names another")
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(text, encoding="utf-8")
    added = _complete(config.parent / ".env", variables(name))
    out.fact(file=str(config), env=str(config.parent / ".env"), added=added)
    out.tell(f"wrote {config}" + (f" and put {', '.join(added)} into {config.parent / '.env'}" if added else ""))
    out.tell("its first lines say how to go on")


def _list(out: Output) -> None:
    for name, about in recipes().items():
        out.fact(recipe=name, about=about)
        out.tell(f"{name:<10} {about}")
    out.note("write one with: runrelay init NAME")


def _complete(path: Path, wanted: dict[str, str]) -> list[str]:
    """Add the lines whose variables are not there yet; only the owner can read a new file. Returns their names."""
    known = dotenv_values(path, interpolate=False) if path.exists() else {}
    missing = {name: lines for name, lines in wanted.items() if name not in known}
    if not missing:
        return []
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    gap = "" if not before or before.endswith("\n") else "\n"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as file:
        file.write(gap + "".join(missing.values()))
    return list(missing)
