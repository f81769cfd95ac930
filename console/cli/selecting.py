"""The options that say which events, deliveries and runs are meant."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from config.contracts.old_runs import Places
from config.route import When
from config.units import NotAnAmount, seconds
from console.selection import Selection

_TIME = "ISO 8601 (UTC unless it says otherwise), or how long ago: 30d, 12h."


def _moment(written: str | None) -> int | None:
    """ms since 1970."""
    if written is None:
        return None
    try:
        return round((time.time() - seconds(written)) * 1000)
    except NotAnAmount:
        pass
    try:
        said = datetime.fromisoformat(written)
    except ValueError:
        raise typer.BadParameter(f"{written!r} is no time: write 2026-11-22T10:00:00Z, 2026-11-22 or 30d") from None
    return round((said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp() * 1000)


def _one(said: str) -> tuple[str, ...]:
    return (said,) if said else ()


def _when(source: str, actor: str, task: str, status: str) -> When:
    return When(source=_one(source), actor=_one(actor), task=_one(task), status=_one(status))


Route = Annotated[str, typer.Option("--route", help="Only of this route.")]
Target = Annotated[str, typer.Option("--target", help="Only to this target.")]
Sink = Annotated[str, typer.Option("--sink", help="Only to this sink.")]
OfSource = Annotated[str, typer.Option("--source", help="Only of this source.")]
Actor = Annotated[
    str, typer.Option("--actor", help="Only of runs of this Actor: `owner/name` as routes say it, or its id.")
]
Task = Annotated[str, typer.Option("--task", help="Only of runs of this task: `owner/name`, or its id.")]
Status = Annotated[str, typer.Option("--status", help="Only of runs that ended like this, such as FAILED.")]
Why = Annotated[str, typer.Option("--reason", help="Only what ended for this reason.")]
Since = Annotated[str | None, typer.Option("--since", help=f"Ended then or later. {_TIME}")]
Until = Annotated[str | None, typer.Option("--until", help=f"Ended earlier. {_TIME}")]


def selection_of(
    route: Route = "",
    target: Target = "",
    sink: Sink = "",
    source: OfSource = "",
    actor: Actor = "",
    task: Task = "",
    status: Status = "",
    reason: Why = "",
    since: Since = None,
    until: Until = None,
) -> Selection:
    """Of what the ledger has. Raises BadParameter."""
    return Selection(
        places=Places(route, target, sink),
        reason=reason,
        when=_when(source, actor, task, status),
        since=_moment(since),
        until=_moment(until),
    )


HeldSince = Annotated[str | None, typer.Option("--since", help=f"Held then or later. {_TIME}")]
HeldUntil = Annotated[str | None, typer.Option("--until", help=f"Held earlier. {_TIME}")]


def held_of(
    route: Route = "",
    target: Target = "",
    sink: Sink = "",
    source: OfSource = "",
    actor: Actor = "",
    task: Task = "",
    status: Status = "",
    since: HeldSince = None,
    until: HeldUntil = None,
) -> Selection:
    """Of what is in quarantine. Raises BadParameter."""
    return selection_of(route, target, sink, source, actor, task, status, "", since, until)


def runs_of(
    route: Route = "",
    target: Target = "",
    sink: Sink = "",
    source: OfSource = "",
    actor: Actor = "",
    task: Task = "",
    status: Status = "",
    since: Since = None,
    until: Until = None,
) -> Selection:
    """Of what the platform has: there is no reason yet. Raises BadParameter."""
    return selection_of(route, target, sink, source, actor, task, status, "", since, until)
