"""The options that say which events and deliveries are meant."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

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


def selection_of(
    route: Annotated[str, typer.Option("--route", help="Only of this route.")] = "",
    target: Annotated[str, typer.Option("--target", help="Only to this target.")] = "",
    sink: Annotated[str, typer.Option("--sink", help="Only to this sink.")] = "",
    source: Annotated[str, typer.Option("--source", help="Only of this source.")] = "",
    actor: Annotated[
        str, typer.Option("--actor", help="Only of runs of this Actor: `owner/name` as routes say it, or its id.")
    ] = "",
    status: Annotated[str, typer.Option("--status", help="Only of runs that ended like this, such as FAILED.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Only what ended for this reason.")] = "",
    since: Annotated[str | None, typer.Option("--since", help=f"Ended then or later. {_TIME}")] = None,
    until: Annotated[str | None, typer.Option("--until", help=f"Ended earlier. {_TIME}")] = None,
) -> Selection:
    """Raises BadParameter."""
    return Selection(
        route=route,
        target=target,
        sink=sink,
        reason=reason,
        when=When(source=_one(source), actor=_one(actor), status=_one(status)),
        since=_moment(since),
        until=_moment(until),
    )
