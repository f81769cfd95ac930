"""Dataset rows as bytes: split a pushed body, keep numbers and key order as written, look at what a row holds."""

import json
from collections.abc import Iterable, Iterator

import msgspec

from emulator.errors import invalid_input

Members = dict[str, msgspec.Raw]
"""A row's members in their order, each value the bytes that were pushed."""

#: Objects and arrays inside of one another. Every format has to be able to follow: Python's stack ends at 1000.
MAX_DEPTH = 500

_BLANK = " \t\n\r"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


# Numbers stay text: they are only skipped over here, and a long integer must not cost a conversion.
_SCANNER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)
_MEMBERS = msgspec.json.Decoder(Members)
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])


def split_rows(body: bytes) -> list[bytes]:
    """The rows of a pushed object or array of objects, each the bytes that were sent, on one line.

    Raises: ApiError 400 if the body is not JSON, or a row is not an object or is too deep; then nothing is stored.
    """
    try:
        return list(_split(body.decode()))
    except RecursionError:
        raise invalid_input(f"The items are nested too deeply: the emulator takes {MAX_DEPTH} levels.") from None
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
    value, end = _SCANNER.raw_decode(text, at)
    row = text[at:end]
    if row.count("{") + row.count("[") > MAX_DEPTH:
        _check_depth(value)
    if "\n" in row or "\r" in row:  # only ever between tokens: a string cannot hold a raw line break
        row = row.replace("\n", "").replace("\r", "")
    return row.encode(), _skip_blank(text, end)


def _check_depth(value: object) -> None:
    """Raises: RecursionError beyond MAX_DEPTH."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return
    if any(isinstance(each, dict | list) for each in level):
        raise RecursionError


def _inside(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _skip_blank(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def members_of(row: bytes) -> Members:
    """The members of a JSON object that has been read before."""
    try:
        return _MEMBERS.decode(row)
    except msgspec.DecodeError:  # half a surrogate pair, which JavaScript writes and strict readers refuse
        pieces = list(_pieces(row.decode()))
        names = (str(_SCANNER.decode(name)) for name in pieces[::2])
        return dict(zip(names, map(_raw, pieces[1::2]), strict=True))


def elements_of(array: bytes) -> list[msgspec.Raw]:
    """The elements of a JSON array that has been read before."""
    try:
        return _ELEMENTS.decode(array)
    except msgspec.DecodeError:
        return [_raw(piece) for piece in _pieces(array.decode())]


def row_of(members: Members) -> bytes:
    """Members as a row again."""
    try:
        return msgspec.json.encode(members)
    except UnicodeEncodeError:
        inside = b",".join(json.dumps(name).encode() + b":" + bytes(value) for name, value in members.items())
        return b"{" + inside + b"}"


def is_clean(members: Members) -> bool:
    """Whether `clean` would keep this row: it has a field that is not hidden."""
    return any(not name.startswith("#") for name in members)


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def _pieces(text: str) -> Iterator[str]:
    """The values inside an array, or the names and values inside an object, as written."""
    at = _skip_blank(text, 1)
    while text[at] not in "]}":
        _, end = _SCANNER.raw_decode(text, at)
        yield text[at:end]
        at = _skip_blank(text, end)
        if text[at] in ",:":
            at = _skip_blank(text, at + 1)
