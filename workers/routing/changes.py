"""Which items differ from what a target was last delivered. Pure.

An item is known by 8 bytes of the hash of its key, and what it was like by 8 bytes of the hash of its canonical JSON.
Of two different keys among a million, some two have one hash once in thirty million times.

What is remembered is cut into buckets, by the first two bytes of the key's hash: so a batch reads and writes what it
touches only, and the keys of a million items share 65,536 names. A bucket is a string: one byte that says how it is
written, then for each key the rest of its hash, the value, the row it had, and its name if that may be needed again.
"""

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from config.contracts.sink import Batch, Rejected
from config.route import Change

#: The row of a key that the run does not have.
NOWHERE = 2**32 - 1
#: In place of a value: it was being sent as new, or as changed or removed, and nobody knows what the target has of it.
NEW_IN_DOUBT, KNOWN_IN_DOUBT = bytes(8), bytes(7) + b"\x01"
IN_DOUBT = frozenset({NEW_IN_DOUBT, KNOWN_IN_DOUBT})
#: Bytes of a key whose name is kept.
LONGEST_NAME = 4096
#: What an item is, is written into it under this name.
MARK = "_change"

_PLAIN, _NAMED = b"\x00", b"\x01"
_ENTRY, _HEAD = struct.Struct(">6s8sI"), struct.Struct(">6s8sIH")
_new = tuple.__new__
_SORTED = msgspec.json.Encoder(order="sorted").encode
_NOT_FILLED: tuple[Any, ...] = (None, "", [], {})


class Entry(NamedTuple):
    """What is remembered of one key.

    Attributes:
        value: hash of the item, or a word of doubt.
        row: of the item in the run that was delivered last, or NOWHERE.
        name: JSON list of the key's fields; empty if nobody needs it.
    """

    value: bytes
    row: int = NOWHERE
    name: bytes = b""


#: Rest of a key's hash → what is remembered of it.
Bucket = dict[bytes, Entry]


def bucket_of(key: bytes) -> str:
    """The bucket that a key's hash belongs to."""
    return key[:2].hex()


def packed(bucket: Mapping[bytes, Entry], *, named: bool) -> bytes:
    """In order of keys, so that two of the same content are the same bytes."""
    ones = sorted(bucket.items())
    if not named:
        return _PLAIN + b"".join(_ENTRY.pack(rest, one.value, one.row) for rest, one in ones)
    heads = ((_HEAD.pack(rest, one.value, one.row, len(one.name)), one.name) for rest, one in ones)
    return _NAMED + b"".join(part for pair in heads for part in pair)


def unpacked(text: bytes | None) -> Bucket:
    if not text:
        return {}
    if text[:1] == _PLAIN:
        # `Entry(…)` takes twice as long, and there are fifteen for each item of a million.
        return {rest: _new(Entry, (value, row, b"")) for rest, value, row in _ENTRY.iter_unpack(text[1:])}
    return dict(_named(text))


def _named(text: bytes) -> Iterator[tuple[bytes, Entry]]:
    at = 1
    while at < len(text):
        rest, value, row, size = _HEAD.unpack_from(text, at)
        at += _HEAD.size
        yield rest, Entry(value, row, text[at : at + size])
        at += size


class Keyed(NamedTuple):
    """One item of a batch that can be compared."""

    row: int
    line: bytes
    key: bytes
    entry: Entry
    marked: bool


def keyed(batch: Batch, fields: Sequence[str], *, named: bool) -> tuple[list[Keyed], list[Rejected]]:
    """The items of a batch with their hashes, and those that cannot be compared. `named`: whether names are kept."""
    found, rejected = list[Keyed](), list[Rejected]()
    for row, line in zip(batch.numbers, batch.items(), strict=True):
        one = _keyed(row, line, fields, named=named)
        if isinstance(one, str):
            rejected.append(Rejected(row, one))
        else:
            found.append(one)
    return found, rejected


def _keyed(row: int, line: bytes, fields: Sequence[str], *, named: bool) -> Keyed | str:
    """Or why it cannot be."""
    try:
        item = _decoded(line)
    except (ValueError, RecursionError):
        return "cannot be read, so it cannot be compared"
    if not isinstance(item, dict):
        return "is no object, so it has nothing to compare by"
    values = [item.get(name) for name in fields]
    for field, value in zip(fields, values, strict=True):
        if value in _NOT_FILLED:
            return f"has no `{field}` to compare by"
    name, digest = _canonical(values), _hash(_canonical(item))
    if named and len(name) > LONGEST_NAME:
        return f"its key has {len(name):,} bytes, more than {LONGEST_NAME:,}"
    entry = Entry(_hash(digest) if digest in IN_DOUBT else digest, row, name if named else b"")
    return Keyed(row, line, _hash(name), entry, MARK in item)


def _decoded(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # Half of a surrogate pair, which JavaScript writes and msgspec refuses to read, or a number beyond all others.
        return json.loads(line.decode("utf-8", "surrogateescape"))


def _canonical(value: Any) -> bytes:
    """The same for two that differ in the order of their fields alone."""
    try:
        return _SORTED(value)
    except UnicodeEncodeError:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _hash(text: bytes) -> bytes:
    return blake2b(text, digest_size=8).digest()


class Note(NamedTuple):
    """What will be remembered of a key.

    Attributes:
        entry: once the target has its item.
        doubt: if the target does not take it, and while it is being sent.
        fresh: whether the target had never heard of it.
    """

    key: bytes
    entry: Entry
    doubt: Entry
    fresh: bool = False

    def refused(self) -> "Note":
        return self._replace(entry=self.doubt)


@dataclass(frozen=True, slots=True)
class Compared:
    """What of a batch is sent, and what is remembered of each of its rows, sent or not.

    Attributes:
        doubts: key → what is to be remembered before it is sent.
    """

    batch: Batch
    notes: Mapping[int, Note]
    doubts: Mapping[bytes, Entry]


class Known:
    """Buckets that are at hand, by name; keys are whole hashes."""

    def __init__(self) -> None:
        self.buckets: dict[str, Bucket] = {}

    def get(self, key: bytes) -> Entry | None:
        return self.buckets[bucket_of(key)].get(key[2:])

    def put(self, key: bytes, entry: Entry) -> None:
        self.buckets[bucket_of(key)][key[2:]] = entry


def compare(
    batch: Batch, items: Iterable[Keyed], last: Known, done: Known, wanted: Sequence[Change], *, again: bool = False
) -> Compared:
    """last: what the target had before this delivery. done: what this delivery has sent. Of several items with one key
    the first counts.

    again: a replay sends all that the run has: what the target was told of it may have been taken back.
    """
    lines, rows = list[bytes](), list[int]()
    notes, doubts, seen = dict[int, Note](), dict[bytes, Entry](), set[bytes]()
    for one in items:
        known, has = last.get(one.key), done.get(one.key)
        had = _doubted(known) if again and known else known
        if one.key in seen or (has is not None and has.value not in IN_DOUBT):
            continue
        seen.add(one.key)
        fresh = had is None or had.value == NEW_IN_DOUBT
        doubt = Entry(NEW_IN_DOUBT if fresh else KNOWN_IN_DOUBT, one.row, one.entry.name)
        notes[one.row] = Note(one.key, one.entry, doubt, fresh)
        change = _change(had, one.entry.value, wanted, fresh=fresh)
        if change is None:
            continue
        lines.append(_told(one, change))
        rows.append(one.row)
        if known is None or known.value != doubt.value:
            doubts[one.key] = doubt._replace(row=NOWHERE)
    sent = replace(batch, lines=b"".join(lines), count=len(rows), kept=tuple(rows))
    return Compared(sent, notes, doubts)


def _doubted(one: Entry) -> Entry:
    return one if one.value in IN_DOUBT else one._replace(value=KNOWN_IN_DOUBT)


def _change(had: Entry | None, value: bytes, wanted: Sequence[Change], *, fresh: bool) -> Change | None:
    """What is told of an item, if anything. In doubt it is told by any word that is wanted of an item that is there."""
    if had is not None and had.value == value:
        return None
    words: tuple[Change, ...] = ("new",) if fresh else ("changed",)
    if had is not None and had.value in IN_DOUBT:
        words = ("new", "changed") if fresh else ("changed", "new")
    return next((word for word in words if word in wanted), None)


def _told(one: Keyed, change: Change) -> bytes:
    """The item as it was written, with what it is as its last field."""
    if not one.marked:
        return one.line.rstrip()[:-1] + f',"{MARK}":"{change}"}}\n'.encode()
    item = {name: value for name, value in _decoded(one.line).items() if name != MARK}
    return _encoded({**item, MARK: change})


def removed(name: bytes, fields: Sequence[str]) -> bytes:
    """What is sent for a key that is gone."""
    return _encoded({**dict(zip(fields, _decoded(name), strict=True)), MARK: "removed"})


def _encoded(item: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(item) + b"\n"
    except UnicodeEncodeError:
        return json.dumps(item, separators=(",", ":")).encode() + b"\n"
