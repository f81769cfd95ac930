"""The `runrelay` command.

Exit codes: 0 done, 1 failed, 2 wrong usage, 78 bad configuration, 130 after Ctrl-C.
"""

import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from config.contracts.errors import ConfigInvalid
from console import VERSION
from console.cli import output
from console.cli.verdict import FAILED, INTERRUPTED, explain

BAD_CONFIG = 78

#: Which module of this package has which commands, in the order in which they are listed. Only that of the command that
#: was asked for is loaded: all of them take half a second.
GROUPS = {
    "beginning": ("init",),
    "checking": ("check", "validate"),
    "testing": ("test",),
    "explaining": ("explain",),
    "preview": ("preview",),
    "actors": ("start", "call"),
    "platform": ("actor",),
    "webhooks": ("webhooks",),
    "captured": ("captured",),
    "up": ("up",),
    "demo": ("demo",),
    "serving": ("receiver", "worker"),
    "emulator": ("emulator",),
    "ledger": ("runs", "deliveries", "show"),
    "status": ("status",),
    "doctor": ("doctor",),
    "holding": ("pause", "resume", "retry"),
    "letters": ("dlq", "dead"),
    "quarantine": ("quarantine",),
    "changes": ("changes",),
    "replaying": ("replay",),
    "backfilling": ("backfill",),
    "reconciling": ("reconcile",),
    "sources": ("sources",),
    "sinks": ("sinks",),
    "schema": ("schema",),
}


def _version(asked: bool) -> None:
    if asked:
        print(f"runrelay {VERSION}")
        raise typer.Exit


def _runrelay(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
) -> None:
    pass


@cache
def command_line(command: str = "") -> typer.Typer:
    """The command line, with every command or only with those that are told together with one."""
    app = typer.Typer(
        name="runrelay",
        help="Hears that a run at Apify, ittybit or elsewhere finished, reads everything it left, and delivers it "
        "with a receipt.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_runrelay)
    for group in [group for group, names in GROUPS.items() if command in names] or GROUPS:
        import_module(f"console.cli.{group}").add_to(app)
    return app


def main(args: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115  # it stays as long as we do
    words = list(sys.argv[1:] if args is None else args)
    json = "--json" in words
    try:
        app = command_line(next(iter(words), ""))
        return int(app(words, prog_name="runrelay", standalone_mode=False) or 0)
    except KeyboardInterrupt:
        return INTERRUPTED
    except TyperException as wrong:
        return _misused(wrong, json=json)
    except ConfigInvalid as invalid:
        output.report_problems(invalid, json=json)
        return BAD_CONFIG
    except Exception as error:
        if (failure := explain(error)) is None:
            raise
        output.report(failure.kind, failure.message, json=json)
        return FAILED


def _misused(wrong: TyperException, *, json: bool) -> int:
    if json:
        output.report("usage_invalid", wrong.format_message(), json=True)
    else:
        from typer import rich_utils

        rich_utils.rich_format_error(wrong)  # type: ignore[arg-type]  # the class its own command line hands over
    return wrong.exit_code


if __name__ == "__main__":
    sys.exit(main())
