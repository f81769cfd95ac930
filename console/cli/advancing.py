"""How far a command is that goes through many things: a bar on a terminal, nothing elsewhere or with `--json`."""

from types import TracebackType
from typing import Annotated, Self

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from config.units import NotAnAmount, per_time
from console.cli.output import Output
from console.pacing import Pace


def pace_of(
    pace: Annotated[str, typer.Option("--pace", help="How many runs at most per time, such as 5/s or 30/m.")] = "5/s",
) -> Pace:
    """Raises BadParameter."""
    try:
        return Pace(per_time(pace))
    except NotAnAmount as exc:
        raise typer.BadParameter(f"--pace: {exc}") from None


class Advance:
    """A context. Lines of the result are told once it is over: they would tear the bar."""

    def __init__(self, out: Output) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(
            *columns,
            console=out.err,
            transient=True,
            disable=out.json or not out.err.is_terminal,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, what: str, total: int | None = None) -> None:
        """From now on it is about so many of something else."""
        self._bar.reset(self._task, description=what, total=total)

    def step(self) -> None:
        self._bar.advance(self._task)
