"""Dataset rows as bytes: split a pushed body, keep numbers and key order as written, filter fields."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from emulator.errors import invalid_input

_BLANK = " \t\n\r"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


# Numbers stay text: they are only skipped over here, and a long integer must not cost a conversion.
_SCANNER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)


def split_rows(body: bytes) -> list[bytes]:
    """The rows of a pushed object or array of objects, each the bytes that were sent, on one line.

    Raises: ApiError 400 if the body is not JSON or a row is not an object; then nothing is stored.
    """
    try:
        return list(_split(body.decode()))
    except RecursionError:
        raise invalid_input("The items are nested too deeply.") from None
    except ValueError as error:
        raise invalid_input(f"The body must be a JSON object or an array of objects: {error}.") from None


def _split(text: str) -> Iterator[bytes]:
    at = _skip_blank(text, 0)
    if text[at : at + 1] != "[":
        row, at = _row(text, at)
        yield row
    else:
        at = _skip_blank(text, at + 1)
        while text[at : at + 1] != "]":
            row, at = _row(text, at)
            yield row
            if text[at : at + 1] == ",":
                at = _skip_blank(text, at + 1)
                if text[at : at + 1] == "]":
                    raise ValueError("there is a comma before the end of the array")
            elif text[at : at + 1] != "]":
                raise ValueError("the array does not end or lacks a comma")
        at = _skip_blank(text, at + 1)
    if at != len(text):
        raise ValueError("there is text after the end")


def _row(text: str, at: int) -> tuple[bytes, int]:
    if text[at : at + 1] != "{":
        raise ValueError("a row is not an object")
    _, end = _SCANNER.raw_decode(text, at)
    row = text[at:end]
    if "\n" in row or "\r" in row:  # only ever between tokens: a string cannot hold a raw line break
        row = row.replace("\n", "").replace("\r", "")
    return row.encode(), _skip_blank(text, end)


def _skip_blank(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


@dataclass(frozen=True)
class RowFilter:
    """What the query wants left of each row (Apify API, "Get dataset items")."""

    fields: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    skip_hidden: bool = False
    skip_empty: bool = False

    def __bool__(self) -> bool:
        return bool(self.fields or self.omit or self.skip_hidden or self.skip_empty)

    def apply(self, rows: Iterable[bytes]) -> Iterator[bytes]:
        """The rows that stay, with the fields that stay."""
        for row in rows:
            members = _members(row)
            left = self._left(members)
            if left or not self.skip_empty:
                yield row if len(left) == len(members) and not self.fields else msgspec.json.encode(left)

    def _left(self, members: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
        names = [name for name in self.fields if name in members] if self.fields else list(members)
        return {
            name: members[name]
            for name in names
            if name not in self.omit and not (self.skip_hidden and name.startswith("#"))
        }


def _members(row: bytes) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(row, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:  # half a surrogate pair, which JavaScript writes and strict readers refuse
        return {name: msgspec.Raw(json.dumps(value)) for name, value in json.loads(row).items()}


def is_clean(row: bytes) -> bool:
    """Whether `clean` would keep this row: it has a field that is not hidden."""
    return any(not name.startswith("#") for name in _members(row))
