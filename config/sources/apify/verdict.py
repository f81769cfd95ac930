"""What an error answer of Apify's API means for us. The status decides; the type refines it and explains."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from config.contracts.errors import Forbidden, NotFound, NotYet, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.sources.apify.refusals import FAMILIES, Family
from config.wire.answers import line, retry_after

#: Seconds after which to ask again for memory or a slot that other runs hold; Apify's own client waits as long.
_FULL = 10.0
#: Seconds after which to look again for the end of something that is still under way.
_UNDER_WAY = 30.0
_PASSING = frozenset({Family.AGAIN, Family.FULL, Family.NOT_YET})
_UNPAID = 402
_ANY, _NONE = frozenset(Family), frozenset[Family]()
#: What a status says by itself, and what a type may make of it.
_STATUSES = {
    401: (Family.PERSON, _PASSING),
    402: (Family.PERSON, _PASSING),
    403: (Family.FORBIDDEN, _PASSING | {Family.PERSON}),
    404: (Family.GONE, _ANY),
    408: (Family.AGAIN, _NONE),
    410: (Family.GONE, _ANY),
    425: (Family.AGAIN, _NONE),
    429: (Family.AGAIN, _NONE),
    501: (Family.NEVER, _NONE),
}
#: Tokens as Apify makes them, and the parts of addresses and headers that open doors.
_SECRET = re.compile(r"apify_(?:api|proxy)_\w+|(?<=token=)[^\s&]+|(?<=signature=)[^\s&]+|(?<=Bearer )\S+")


def verdict(status: int, headers: Mapping[str, str], body: bytes) -> WorkError:
    """The error to raise for an answer outside 2xx (header names lower case, body possibly cut)."""
    kind, message = _said(body)
    detail = _SECRET.sub("***", f"HTTP {status} {kind}: {message}".rstrip(": "))
    family = _family(status, kind)
    match family:
        case Family.AGAIN | Family.FULL:
            asked = retry_after(headers)
            wait = _FULL if asked is None and family is Family.FULL else asked
            return Transient(Reason.SOURCE_UNAVAILABLE, detail, retry_after=wait)
        case Family.NOT_YET:
            return NotYet(Reason.NOT_TERMINAL, detail, wait=_UNDER_WAY)
        case Family.PERSON:
            unpaid = status == _UNPAID
            return Unauthorized(Reason.SOURCE_UNPAID if unpaid else Reason.SOURCE_TOKEN_REFUSED, detail)
        case Family.FORBIDDEN:
            return Forbidden(Reason.SOURCE_TOKEN_REFUSED, detail)
        case Family.GONE:
            return NotFound(Reason.DATA_EXPIRED, detail)
        case Family.NEVER:
            return Permanent(Reason.SOURCE_REFUSED, detail)


def _family(status: int, kind: str) -> Family:
    by_status, refined = _STATUSES.get(status) or _by_class(status)
    by_type = FAMILIES.get(kind, by_status)
    return by_type if by_type in refined else by_status


def _by_class(status: int) -> tuple[Family, frozenset[Family]]:
    if status >= 500:
        return Family.AGAIN, _NONE
    return Family.NEVER, _ANY if status >= 400 else _NONE


def _said(body: bytes) -> tuple[str, str]:
    """Type and message of `{"error": {"type", "message"}}`, or of `{"kind", "message"}`, another wide-spread shape; a
    proxy in between may have sent anything else."""
    try:
        said: Any = msgspec.json.decode(body)
        error = said["error"] if "error" in said else {"type": said["kind"], "message": said.get("message")}
        return line(error["type"], 100), line(error.get("message") or "", 300)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError):
        return "without a readable error", ""
