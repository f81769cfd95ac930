"""What an error answer of an API means that we know nothing else of: its status decides (RFC 9110)."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from config.contracts.errors import NotFound, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.wire.answers import line, retry_after
from config.wire.places import first

_FORBIDDEN = 403
_GONE = frozenset({404, 410})
_AGAIN = frozenset({408, 425, 429})
_PERSON = {401: Reason.SOURCE_TOKEN_REFUSED, 402: Reason.SOURCE_UNPAID, 403: Reason.SOURCE_TOKEN_REFUSED}
#: Where APIs have their words for people, the most telling first.
_WORDS = ("message", "error.message", "detail", "error_description", "error", "errors.0.message")
_SECRET = re.compile(
    r"(?i)(?<=bearer )\S+|(?<=basic )\S+|(?<=token=)[^\s&]+|(?<=key=)[^\s&]+|(?<=signature=)[^\s&]+|(?<=secret=)[^\s&]+"
)
#: Characters of a platform's own words that are kept.
_MOST = 300


def verdict(status: int, headers: Mapping[str, str], body: bytes) -> WorkError:
    """The error to raise for an answer outside 2xx (header names lower case, body possibly cut)."""
    detail = f"HTTP {status}: {_said(body)}".rstrip(": ")
    if status == _FORBIDDEN and _is_rate(headers):
        return Transient(Reason.SOURCE_UNAVAILABLE, detail, retry_after=retry_after(headers))
    if reason := _PERSON.get(status):
        return Unauthorized(reason, detail)
    if status in _GONE:
        return NotFound(Reason.DATA_EXPIRED, detail)
    if status in _AGAIN or status >= 500:
        return Transient(Reason.SOURCE_UNAVAILABLE, detail, retry_after=retry_after(headers))
    return Permanent(Reason.SOURCE_REFUSED, detail)


def _is_rate(headers: Mapping[str, str]) -> bool:
    """Some answer 403 where others answer 429 (GitHub: "Rate limits for the REST API")."""
    return "retry-after" in headers or headers.get("x-ratelimit-remaining", "").strip() == "0"


def _said(body: bytes) -> str:
    """The platform's own words, if its answer is JSON and has any."""
    try:
        said: Any = first(msgspec.json.decode(body), _WORDS)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return _SECRET.sub("***", line(said, _MOST)) if isinstance(said, str) else ""
