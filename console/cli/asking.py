"""Asking before something is done that cannot be undone."""

import sys
from typing import Annotated

import typer

from console.cli.output import Output
from console.failures import CommandFailed

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(out: Output, question: str, *, yes: bool) -> None:
    """Go on if somebody says so. Raises CommandFailed if they do not, BadParameter where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody can be asked here: say --yes if it is meant", param_hint="--yes")
    out.ask(f"{question} [y/N] ")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandFailed("not_confirmed", "nothing was changed")
