"""What an answer's status and headers say, whoever sent it (RFC 9110)."""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

#: Most bytes of a small JSON answer: a run, a count, a page of a list.
SMALL = 8 * 1024 * 1024


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, written as such or as a date by the platform's own clock (RFC 9110, 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    then, now = _moment(text), clock(headers)
    return max(then - now, 0.0) if then and now else None


def clock(headers: Mapping[str, str]) -> float:
    """The platform's time, from the `Date` header, Unix seconds. 0.0 if it did not say: nothing counts as settled."""
    return _moment(headers.get("date", ""))


def line(said: object, most: int) -> str:
    """Words of the platform's as one line."""
    return " ".join(str(said).split())[:most]


def _moment(written: str) -> float:
    try:
        moment = parsedate_to_datetime(written)
    except (ValueError, OverflowError):
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
