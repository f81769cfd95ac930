"""Moments as platforms write them: ISO 8601, Unix seconds or Unix milliseconds."""

from datetime import UTC, datetime
from typing import Any

#: Unix seconds reach it in the year 5138, Unix milliseconds had it in 1973.
_MILLISECONDS = 1e11


def seconds(written: Any) -> float:
    """Unix seconds of a moment; a text without a zone is UTC. Raises ValueError for anything else."""
    if isinstance(written, str):
        if written.replace(".", "", 1).isdecimal():
            return seconds(float(written))
        moment = datetime.fromisoformat(written)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(written, bool) or not isinstance(written, int | float) or not 0 <= written < 1e15:
        raise ValueError("not a moment")
    return written / 1000 if written >= _MILLISECONDS else float(written)


def as_written(moment: Any) -> str:
    """The same moment as text, as the platform wrote it; empty without one."""
    return "" if moment is None else str(moment)
