"""`runrelay test`: do the routes make of a run what the file says they do?"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from config.nearest import guess
from config.routes import RouteTable
from console.cli.options import Config, Json, example
from console.cli.output import Output, plain
from console.failures import CommandFailed
from console.opening import open_settings, open_table
from workers.rehearsal import Outcome, rehearse

#: Characters of a line that says what failed.
LONGEST = 1000

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Only tests of these names.")]


def add_to(app: typer.Typer) -> None:
    app.command("test", epilog=example("runrelay test", 'runrelay test "cheap junk is filtered out"'))(rehearsed)


def rehearsed(names: Names = None, config: Config = None, json: Json = False) -> None:
    """Run the tests of the routes file, offline: no Redis, no network.

    Says of each whether it passed or what was expected and what came of it. Exits with 1 if one fails.
    """
    table, out = open_table(open_settings(config)), Output(json)
    _known(names or (), table)
    failed = 0
    for outcome in rehearse(table, names or ()):
        failed += bool(outcome.problems)
        _tell(out, outcome)
    count = len(names or table.cases)
    out.note(f"{count - failed} of {count} passed" if table.cases else "the file has no `tests:`")
    if failed:
        raise typer.Exit(1)


def _known(names: Sequence[str], table: RouteTable) -> None:
    known = [case.name for case in table.cases]
    for name in names:
        if name not in known:
            listed = f"{guess(name, known)}known are {', '.join(map(repr, known)) or 'none'}"
            raise CommandFailed("not_found", f"there is no test {name!r}: {listed}")


def _tell(out: Output, outcome: Outcome) -> None:
    name, problems = outcome.case.name, outcome.problems
    out.fact(test=name, ok=not problems, problems=[msgspec.to_builtins(problem) for problem in problems])
    out.tell(f"{'FAILED' if problems else 'ok    '} {plain(name).plain}")
    for problem in problems:
        place = f"{problem.file}:{problem.line}:{problem.column}"
        out.tell(f"       {place}: {plain(problem.message, LONGEST).plain}")
