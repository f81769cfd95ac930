"""`clean: true`: drop hidden fields and empty items on our side, so that row numbers stay what they are."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import msgspec

from config.contracts.sink import Batch

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
#: A name that begins with `#`, as it may be written.
_HIDDEN = re.compile(rb'"(?:#|\\u0023)')
_NOTHING = frozenset({b"{}", b"null", b"[]", b'""'})
_MARK = re.compile(r"[ \t\r\n]*([{}:,])[ \t\r\n]*")
#: Finds where a value ends; what it makes of the value is thrown away.
_SCAN = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode


def clean(batch: Batch) -> tuple[Batch, int]:
    """The batch without fields whose name begins with `#` and without rows that are empty then, and how many those
    were (Apify: "clean" of Get dataset items). Values stay as they were written; a row that is no object stays whole.
    """
    kept = [row for row in map(_visible, batch.items()) if row not in _NOTHING]
    lines = b"".join(row + b"\n" for row in kept)
    return replace(batch, lines=lines, count=len(kept)), batch.count - len(kept)


def _visible(row: bytes) -> bytes:
    if not _HIDDEN.search(row):
        return row
    try:
        fields = _OBJECT.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _visible_in_odd(row)
    if not any(name.startswith("#") for name in fields):
        return row
    return msgspec.json.encode({name: value for name, value in fields.items() if not name.startswith("#")})


def _visible_in_odd(row: bytes) -> bytes:
    """The same for a row with half of a surrogate pair, which JavaScript writes and msgspec refuses to read."""
    text = row.decode("utf-8", "surrogateescape")
    try:
        members = list(_members(text))
    except (ValueError, RecursionError):
        return row
    visible = (written for name, written in members if not name.startswith("#"))
    return f"{{{','.join(visible)}}}".encode("utf-8", "surrogateescape")


def _members(text: str) -> Iterator[tuple[str, str]]:
    """Name and text of each member of an object that has some. Raises ValueError if it is no such object."""
    mark, at = _mark(text, 0, "{")
    while mark != "}":
        start = at
        name, at = _SCAN(text, at)
        _, at = _mark(text, at, ":")
        _, at = _SCAN(text, at)
        yield str(name), text[start:at]
        mark, at = _mark(text, at, ",}")
    if at != len(text):
        raise ValueError("something stands behind the object")


def _mark(text: str, at: int, expected: str) -> tuple[str, int]:
    """The mark at this place, and the place behind it and the spaces around it. Raises ValueError for another one."""
    match = _MARK.match(text, at)
    if match is None or match[1] not in expected:
        raise ValueError(f"none of {expected}")
    return match[1], match.end()
