"""What an error answer of Apify's API means for us. The status decides; the type explains."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from config.contracts.errors import NotFound, Permanent, Transient, Unauthorized, WorkError
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
    if status in {401, 402, 403}:
        return Unauthorized(Reason.SOURCE_TOKEN_REFUSED, detail)
    if status in {404, 410}:
        return NotFound(Reason.DATA_EXPIRED, detail)
    return Permanent(Reason.SOURCE_REFUSED, detail)


def _said(body: bytes) -> tuple[str, str]:
    """Type and message of `{"error": {"type", "message"}}`; a proxy in between may have sent anything else."""
    try:
        error: Any = msgspec.json.decode(body).get("error")
        return str(error["type"])[:100], str(error["message"])[:300]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AttributeError, KeyError, TypeError):
        return "without a readable error", ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "").strip()
    return float(text) if text.isdecimal() else None


def clock(headers: Mapping[str, str]) -> float:
    """The platform's time, from the `Date` header, Unix seconds. 0.0 if it did not say: nothing counts as settled."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (TypeError, ValueError):
        return 0.0
