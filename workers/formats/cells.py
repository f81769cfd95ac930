"""What a JSON text is as a cell."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from workers.formats.lines import Json

#: A number in so many characters, without an exponent, has at most 15 digits: a double holds it (IEEE 754).
_SHORT = 15
_texts = msgspec.json.Decoder(list[str | None]).decode
_text = msgspec.json.Decoder(str).decode


def joined(cells: Sequence[Json]) -> bytes:
    """The cells as one JSON array."""
    return b"[" + b",".join(cells) + b"]"


def only_texts(cells: Sequence[Json]) -> list[str | None] | None:
    """The texts of a column of nothing but texts and nulls; None if it is another one."""
    try:
        return _texts(joined(cells))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def text_of(written: bytes) -> str:
    """A JSON string as the text it stands for; one with half of a surrogate pair stays as it was written."""
    try:
        return _text(written)
    except msgspec.DecodeError:
        return written.decode()


def as_text(cell: Json) -> str | None:
    """Null is nothing, a string itself, anything else its JSON text."""
    written = bytes(cell)
    match written[:1]:
        case b"n":
            return None
        case b'"':
            return text_of(written)
    return written.decode()


def survives(written: str) -> bool:
    """Whether a JSON number keeps its value as a double."""
    if len(written) <= _SHORT and written.lstrip("-").replace(".", "", 1).isdigit():
        return True
    real = float(written)
    if real == 0:
        return not any("1" <= digit <= "9" for digit in written.lower().partition("e")[0])
    return abs(real) != float("inf") and Decimal(repr(real)) == Decimal(written)
