"""Ids and timestamps in the platform's spelling."""

import hashlib
import secrets
import string
from datetime import UTC, datetime

_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 17


def new_id() -> str:
    """A fresh id: 17 letters and digits, like every id in Apify's examples."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))


def stable_id(name: str) -> str:
    """The same 17-character id for the same name, so that an Actor keeps its id across restarts."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest())
    letters = []
    for _ in range(_ID_LENGTH):
        number, index = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return "".join(letters)


def stamp(moment: datetime | None = None) -> str:
    """ISO 8601 in UTC with exactly three decimals and `Z`: `2026-11-22T10:00:00.000Z`."""
    moment = moment or datetime.now(UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def moment_of(text: str) -> datetime:
    """Read an ISO 8601 time; one without a zone is taken as UTC.

    Raises: ValueError if it is not a time.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def millis_between(earlier: str, later: str) -> int:
    """Milliseconds from one stamp to another, never negative."""
    return max(0, round((moment_of(later) - moment_of(earlier)).total_seconds() * 1000))
