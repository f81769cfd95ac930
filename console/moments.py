"""Moments of the ledger, ms since 1970, for people and for scripts."""

from datetime import UTC, datetime


def when_of(ms: int) -> str:
    """Here, to the second."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone().strftime("%m-%d %H:%M:%S")


def iso(ms: int) -> str | None:
    """None for no moment."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds") if ms else None
