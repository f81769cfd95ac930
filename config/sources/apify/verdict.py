"""What an error answer of Apify's API means for us. The status decides; the type explains."""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from config.contracts.errors import Forbidden, NotFound, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason

#: 4xx types that pass by themselves (API reference, ErrorType; which ones pass is our reading).
_PASSING = frozenset(
    {
        "rate-limit-exceeded",
        "too-many-requests",
        "actor-memory-limit-exceeded",
        "concurrent-runs-limit-exceeded",
        "socket-closed",
        "socket-destroyed",
        "query-timeout",
        "operation-timed-out",
        "request-aborted-prematurely",
        "concurrent-update-detected",
    }
)


def verdict(status: int, headers: Mapping[str, str], body: bytes) -> WorkError:
    """The error to raise for an answer outside 2xx (header names lower case, body possibly cut)."""
    kind, message = _said(body)
    detail = f"HTTP {status} {kind}: {message}".rstrip(": ")
    if status in {408, 425, 429} or status >= 500 or kind in _PASSING:
        return Transient(Reason.SOURCE_UNAVAILABLE, detail, retry_after=_retry_after(headers))
    if status == 403:
        return Forbidden(Reason.SOURCE_TOKEN_REFUSED, detail)
    if status in {401, 402}:
        return Unauthorized(Reason.SOURCE_TOKEN_REFUSED, detail)
    if status in {404, 410}:
        return NotFound(Reason.DATA_EXPIRED, detail)
    return Permanent(Reason.SOURCE_REFUSED, detail)


def _said(body: bytes) -> tuple[str, str]:
    """Type and message of `{"error": {"type", "message"}}`; a proxy in between may have sent anything else."""
    try:
        error: Any = msgspec.json.decode(body).get("error")
        return _line(error["type"], 100), _line(error["message"], 300)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AttributeError, KeyError, TypeError):
        return "without a readable error", ""


def _line(said: object, most: int) -> str:
    return " ".join(str(said).split())[:most]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, written as such or as a date by the platform's own clock (RFC 9110, 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    then, now = _moment(text), clock(headers)
    return max(then - now, 0.0) if then and now else None


def clock(headers: Mapping[str, str]) -> float:
    """The platform's time, from the `Date` header, Unix seconds. 0.0 if it did not say: nothing counts as settled."""
    return _moment(headers.get("date", ""))


def _moment(written: str) -> float:
    try:
        moment = parsedate_to_datetime(written)
    except (ValueError, OverflowError):
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
