"""What an error answer of ittybit's API means for us (`docs/errors`). The status decides; the kind explains."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from config.contracts.errors import NotFound, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.wire.answers import line, retry_after

_AGAIN = frozenset({408, 425, 429})
#: What a person can do about it, for statuses and kinds that need one.
_CURES = {
    402: "see to billing in the dashboard of ittybit",
    "project_required": "use a key from the project's own settings, not one of the organisation's",
}
_UNREADABLE = "without a readable error"
#: Keys and endpoint secrets as ittybit makes them, and the parts of addresses and headers that open doors.
_SECRET = re.compile(r"\b(?:ittybit|sk|whsec)_[\w+/=-]+|(?<=Bearer )\S+|(?<=signature=)[^\s&]+")


def verdict(status: int, headers: Mapping[str, str], body: bytes) -> WorkError:
    """The error to raise for an answer outside 2xx (header names lower case, body possibly cut)."""
    kind, message = _said(body)
    detail = _detail(status, kind, message)
    if status >= 500 or status in _AGAIN:
        return Transient(Reason.SOURCE_UNAVAILABLE, detail, retry_after=retry_after(headers))
    match status:
        case 401 | 403:
            return Unauthorized(Reason.SOURCE_TOKEN_REFUSED, detail)
        case 402:
            return Unauthorized(Reason.SOURCE_UNPAID, detail)
        case 404:
            return NotFound(Reason.DATA_EXPIRED, detail)
    return Permanent(Reason.SOURCE_REFUSED, detail)


def _detail(status: int, kind: str, message: str) -> str:
    said = ": ".join(filter(None, (kind, message))) or _UNREADABLE
    cure = _CURES.get(kind) or _CURES.get(status)
    return _SECRET.sub("***", f"HTTP {status} {said}") + (f"; {cure}" if cure else "")


def _said(body: bytes) -> tuple[str, str]:
    """Kind and message of `{kind, message}`, or of the `error` that stood around them before 2026; a proxy in between
    may have sent anything else."""
    try:
        said: Any = msgspec.json.decode(body)
        error = said.get("error") or said
        return line(error.get("kind") or "", 60), line(error.get("message") or "", 140)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AttributeError):
        return "", ""
