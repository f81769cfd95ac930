"""JSON values as texts that DuckDB casts to the type of a column, and which of them say the same there.

A text is VARCHAR, a number DOUBLE, `true` and `false` BOOLEAN, an object or a list JSON. What a type of ours can hold
is decided here, for integers and DECIMAL as well, since a cast rounds; of other types DuckDB says it itself.
"""

import re
from collections.abc import Callable
from decimal import Context, Decimal

import msgspec

#: A number of at most 15 digits is the same again once it has been a double.
_SURE = re.compile(rb"-?(?:[0-9]{1,15}|[0-9]{1,7}\.[0-9]{1,8})")
_EXPONENT = re.compile(rb"[eE][+-]?0*([0-9]*)")
#: Digits of a number and of its exponent beyond which no column holds it.
_LONGEST, _LARGEST = 800, 400
_EXACT = Context(prec=2 * (_LONGEST + _LARGEST))
_INTEGERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"}
)
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")

Fit = Callable[[bytes], str | None]


def type_of(written: bytes) -> str:
    """The type of a column that begins with this JSON value, which is not null."""
    match written[:1]:
        case b"t" | b"f":
            return "BOOLEAN"
        case b'"':
            return "VARCHAR"
        case b"{" | b"[":
            return "JSON"
        case _:
            return "DOUBLE"


def fit_of(kind: str) -> Fit:
    """From a JSON value, not null, to the text that a column of this type is given; None if it would say less there."""
    if kind in _INTEGERS:
        return _integer
    if decimal := _DECIMAL.fullmatch(kind):
        places = int(decimal[2])
        return lambda written: _decimal(written, places)
    return _FITS.get(kind, _other)


def is_sure(kind: str) -> bool:
    """Whether a column of this type takes every text that `fit_of` gives for it."""
    return kind in {"VARCHAR", "BOOLEAN", "DOUBLE"}


def text(written: bytes) -> str | None:
    """Half of a surrogate pair is no text: DuckDB's are UTF-8."""
    try:
        return msgspec.json.decode(written, type=str)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def _boolean(written: bytes) -> str | None:
    return written.decode() if written in {b"true", b"false"} else None


def _double(written: bytes) -> str | None:
    if _SURE.fullmatch(written):
        return written.decode()
    number = _number(written)
    return written.decode() if number is not None and number == Decimal(repr(float(number))) else None


def _integer(written: bytes) -> str | None:
    return _decimal(written, 0)


def _decimal(written: bytes, places: int) -> str | None:
    """A number with so many decimal places at most; DuckDB says whether it is too large."""
    number = _number(written)
    if number is None:
        return None
    shifted = _EXACT.scaleb(number, places)
    return f"{number:f}" if shifted == _EXACT.to_integral_value(shifted) else None


def _number(written: bytes) -> Decimal | None:
    """None, too, for one that is too long for any type: it would only be slow to look at."""
    exponent = _EXPONENT.search(written)
    if len(written) > _LONGEST or written[:1] not in b"-0123456789" or (exponent and int(exponent[1] or 0) > _LARGEST):
        return None
    return Decimal(written.decode())


def _other(written: bytes) -> str | None:
    return text(written) if written[:1] == b'"' else written.decode()


_FITS: dict[str, Fit] = {
    "VARCHAR": text,
    "BOOLEAN": _boolean,
    "DOUBLE": _double,
    "FLOAT": _double,
    "JSON": lambda written: written.decode(),
}
