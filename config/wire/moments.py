"""Moments as platforms write them: ISO 8601, Unix seconds or Unix milliseconds."""

import re
from datetime import UTC, datetime
from typing import Any

#: Unix seconds reach it in the year 5138, Unix milliseconds had it in 1973.
_MILLISECONDS = 1e11
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?\Z")
#: Of runs whose platform does not say when they ended.
NEVER_SAID = "1970-01-01T00:00:00.000Z"


def seconds(written: Any) -> float:
    """Unix seconds of a moment; a text without a zone is UTC. Raises ValueError for anything else."""
    if isinstance(written, str):
        if _NUMBER.match(written):
            return seconds(float(written))
        moment = datetime.fromisoformat(written)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(written, bool) or not isinstance(written, int | float) or not 0 <= written < 1e15:
        raise ValueError("not a moment")
    return written / 1000 if written >= _MILLISECONDS else float(written)


def same_moment(one: str, other: str) -> bool:
    """Whether two texts mean the same moment; if one of them has whole seconds only, to the second."""
    if one == other:
        return True
    try:
        first, second = seconds(one), seconds(other)
    except ValueError:
        return False
    return first == second or ((first.is_integer() or second.is_integer()) and int(first) == int(second))


def iso(written: Any) -> str:
    """The same moment in ISO 8601: as it was written, if it was written so. Raises ValueError for anything else."""
    moment = seconds(written)
    if isinstance(written, str) and not _NUMBER.match(written):
        return written
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
