"""What a query makes of each row (Apify API, "Get dataset items"; dataset schema, "Handle nested structures").

The order: failed pages and hidden fields go, then `unwind`, `flatten`, `fields` and `omit`, renaming by
`outputFields`, and last the rows that have become empty go. Views name flattened and unwound properties in
`fields`, while `simplified` names the unwound field itself; so here a name in `fields` or `omit` means the member of
that name and also whatever unwinding or flattening made of it.

Values stay the bytes that were pushed: only the objects and arrays that are taken apart are looked into.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce

import msgspec

from emulator.rows import Members, elements_of, members_of, row_of

_FAILED = "errorInfo"


@dataclass(frozen=True)
class Transformation:
    """What is done to rows; the plain one leaves them alone and is false."""

    fields: tuple[str, ...] = ()
    output_fields: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    unwind: tuple[str, ...] = ()
    flatten: tuple[str, ...] = ()
    skip_hidden: bool = False
    skip_empty: bool = False
    skip_failed: bool = False

    def __bool__(self) -> bool:
        return self != _PLAIN

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns a table has whatever the rows hold: the chosen fields, unless they are taken apart."""
        names = zip(self.fields, self.output_fields or self.fields, strict=True)
        return tuple(new for old, new in names if old not in {*self.unwind, *self.flatten, *self.omit})

    def apply(self, rows: Iterable[bytes]) -> Iterator[bytes]:
        """The records that come of the rows; a row that nothing changes stays as it was written."""
        for row in rows:
            members = members_of(row)
            if self.skip_failed and _FAILED in members:
                continue
            for record in self._records(_Record(members)):
                left = self._chosen(record)
                if left or not self.skip_empty:
                    yield row if left is members else row_of(left)

    def _records(self, record: "_Record") -> Iterator["_Record"]:
        if self.skip_hidden:
            record = _Record(_without_hidden(record.members))
        for unwound in _unwound(record, self.unwind):
            yield reduce(_Record.flattened, self.flatten, unwound)

    def _chosen(self, record: "_Record") -> Members:
        members = record.members
        for name in self.omit:
            members = _without(members, name, record.made_of(name))
        if not self.fields:
            return members
        picked: Members = {}
        for name, new in zip(self.fields, self.output_fields or self.fields, strict=True):
            if name in members:
                picked[new] = members[name]
            picked |= {made: members[made] for made in record.made_of(name) if made in members}
        return picked


_PLAIN = Transformation()


def _unwound(record: "_Record", names: Sequence[str]) -> Iterator["_Record"]:
    """One after the other: arrays in several fields multiply, and are too many to be held."""
    if not names:
        yield record
        return
    for unwound in record.unwound(names[0]):
        yield from _unwound(unwound, names[1:])


@dataclass(frozen=True)
class _Record:
    """Members, and the names that taking a field apart has made of it."""

    members: Members
    made: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def made_of(self, name: str) -> tuple[str, ...]:
        return self.made.get(name, ())

    def unwound(self, name: str) -> Iterator["_Record"]:
        """An object is merged into its parent; an array gives a record per element; all else stays."""
        value = bytes(self.members.get(name, b""))
        if value.startswith(b"{"):
            yield self._merged(name, members_of(value))
        elif value.startswith(b"["):
            for element in elements_of(value):
                yield self._with_element(name, element)
        else:
            yield self

    def _with_element(self, name: str, element: msgspec.Raw) -> "_Record":
        if bytes(element).startswith(b"{"):
            return self._merged(name, members_of(bytes(element)))
        return _Record(self.members | {name: element}, self.made)  # cannot be merged: takes the array's place

    def _merged(self, name: str, inner: Members) -> "_Record":
        parent = {key: value for key, value in self.members.items() if key != name}
        return _Record(parent | inner, self.made | {name: tuple(inner)})

    def flattened(self, name: str) -> "_Record":
        """The object's properties, however deep, stand where it stood, under dotted names."""
        if not bytes(self.members.get(name, b"")).startswith(b"{"):
            return self
        leaves = dict(_leaves(name, self.members[name]))
        members: Members = {}
        for key, value in self.members.items():
            members |= leaves if key == name else {key: value}
        return _Record(members, self.made | {name: tuple(leaves)})


def _leaves(path: str, value: msgspec.Raw) -> Iterator[tuple[str, msgspec.Raw]]:
    inner = members_of(bytes(value)) if bytes(value).startswith(b"{") else {}
    if not inner:
        yield path, value
    for name, member in inner.items():
        yield from _leaves(f"{path}.{name}", member)


def _without_hidden(members: Members) -> Members:
    if not any(name.startswith("#") for name in members):
        return members
    return {name: value for name, value in members.items() if not name.startswith("#")}


def _without(members: Members, path: str, made: tuple[str, ...] = ()) -> Members:
    """Members less the one of this name, or less what a dotted name reaches inside of objects."""
    if path in members or made:
        return {name: value for name, value in members.items() if name != path and name not in made}
    head, dot, rest = path.partition(".")
    if not dot or not bytes(members.get(head, b"")).startswith(b"{"):
        return members
    inner = members_of(bytes(members[head]))
    less = _without(inner, rest)
    return members if less is inner else members | {head: msgspec.Raw(row_of(less))}
