"""`clean: true`: drop hidden fields and empty items on our side, so that row numbers stay what they are."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec

from config.contracts.sink import Batch

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
#: A name that begins with `#`, as it may be written.
_HIDDEN = re.compile(rb'"(?:#|\\u0023)')
_NOTHING = frozenset({b"{}", b"null", b"[]", b'""'})
_MARK = re.compile(r"[ \t\r\n]*([{}:,])[ \t\r\n]*")
#: Finds where a value ends; what it makes of the value is thrown away.
_SCAN = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode


def clean(batch: Batch) -> tuple[Batch, int]:
    """The batch without fields whose name begins with `#` and without rows that are empty then, and how many those
    were. Values stay as they were written; a row that is no object stays whole.
    """
    rows = batch.items()
    if _HIDDEN.search(batch.lines):
        rows = list(map(_visible, rows))
    kept = [row for row in rows if row not in _NOTHING]
    numbers = None if len(kept) == len(rows) else _numbers(rows, batch.offset)
    kept.append(b"")  # for the newline behind the last one
    count = len(kept) - 1
    return replace(batch, lines=b"\n".join(kept), count=count, kept=numbers), batch.count - count


def _numbers(rows: Sequence[bytes], offset: int) -> tuple[int, ...]:
    return tuple(number for number, row in enumerate(rows, offset) if row not in _NOTHING)


def _visible(row: bytes) -> bytes:
    try:
        fields = _decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _visible_in_odd(row)
    hidden = [name for name in fields if name[:1] == "#"]
    if not hidden:
        return row
    for name in hidden:
        del fields[name]
    return _encode(fields)


def _visible_in_odd(row: bytes) -> bytes:
    """The same for a row with half of a surrogate pair, which JavaScript writes and msgspec refuses to read."""
    if not _HIDDEN.search(row):
        return row
    text = row.decode("utf-8", "surrogateescape")
    try:
        found = list(members(text))
    except (ValueError, RecursionError):
        return row
    visible = (written for name, written in found if not name.startswith("#"))
    return f"{{{','.join(visible)}}}".encode("utf-8", "surrogateescape")


def members(text: str) -> Iterator[tuple[str, str]]:
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
