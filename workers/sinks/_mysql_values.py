"""JSON texts as MySQL literals for columns of each type, and the types of columns that we make.

Nothing is cut or rounded: a value that its column cannot hold as it is does not fit. The types:
dev.mysql.com/doc/refman/8.4 and mariadb.com/kb, chapters on data types.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import msgspec
from pymysql.converters import escape_string

from workers.rows import Unfit

#: What columns for numbers are made as: 35 digits before the point and 30 behind it, all exact.
NUMBER = "decimal(65,30)"
TRUTH = "tinyint(1)"
TEXT = "longtext"
NULL = "NULL"

_PLAIN = re.compile(r"-?[0-9]{1,35}(?:\.[0-9]{1,30})?", re.ASCII)
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
#: A number with a longer exponent fits no column, and would fill the memory when written out.
_LONGEST_EXPONENT = 400


class Column(NamedTuple):
    """A column of a table. `type`: as the database writes it, with its length. `may_be_emptied`: an upsert may write
    null to it. `written`: by us, and not by the table itself."""

    type: str
    may_be_emptied: bool = True
    written: bool = True

    @property
    def family(self) -> str:
        return self.type.partition("(")[0].partition(" ")[0]


def type_of(written: bytes) -> str:
    """The type of a column that is made for a JSON text."""
    match written[:1]:
        case b'"' | b"{" | b"[":
            return TEXT
        case b"t" | b"f":
            return TRUTH
        case _:
            return NUMBER


def literal(written: bytes, column: Column) -> str | None:
    """A JSON text as a literal. None: the column cannot hold it. Of types that we make no columns of, the database
    itself says what fits. Raises Unfit for what is no JSON, though some write it."""
    if written == b"null":
        return NULL
    if written[:1] in {b"N", b"I"} or written == b"-Infinity":
        raise Unfit("NaN and Infinity are no JSON")
    if not column.written:
        return None
    if column.type == TRUTH:
        return {b"true": "1", b"false": "0"}.get(written)
    made = _OF.get(column.family)
    return quoted(plain(written)) if made is None else made(written, column)


def plain(written: bytes) -> str:
    """A string without its quotes; anything else as it was written, and so a string with half of a surrogate pair."""
    if written[:1] != b'"':
        return written.decode()
    try:
        text: str = msgspec.json.decode(written, type=str)
    except msgspec.DecodeError:
        return written.decode()
    return text


def quoted(text: str) -> str:
    """A string literal, for a session without NO_BACKSLASH_ESCAPES."""
    return f"'{escape_string(text)}'"


def name(column: str) -> str:
    """A name as SQL writes it, whatever it is."""
    return "`" + column.replace("`", "``") + "`"


def moment(text: str) -> str:
    """A time with its zone, in the way DATETIME reads it: in UTC, with microseconds. Anything else stays as it is."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return text
    return text if read.tzinfo is None else read.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _moment(written: bytes, column: Column) -> str:
    return quoted(moment(plain(written)))


def _json(written: bytes, column: Column) -> str:
    return quoted(written.decode())


def _real(written: bytes, column: Column) -> str | None:
    return written.decode() if type_of(written) == NUMBER else None


def _decimal(written: bytes, column: Column) -> str | None:
    text, found = written.decode(), _DECIMAL.match(column.type)
    if column.type == NUMBER and _PLAIN.fullmatch(text):
        return text
    digits, behind = (int(found[1]), int(found[2])) if found else (65, 30)
    return _exact(text, before=digits - behind, behind=behind)


def _integer(written: bytes, column: Column) -> str | None:
    return _exact(written.decode(), before=20, behind=0)


def _exact(text: str, *, before: int, behind: int) -> str | None:
    """A number written out, if it has no more digits than that."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or abs(number.adjusted()) > _LONGEST_EXPONENT or len(digits) > _LONGEST_EXPONENT:
        return None
    whole, _, rest = format(number, "f").lstrip("-").partition(".")
    rest = rest.rstrip("0")
    if len(whole.lstrip("0")) > before or len(rest) > behind:
        return None
    sign = "-" if number.is_signed() else ""
    return f"{sign}{whole}.{rest}" if rest else f"{sign}{whole}"


_OF = {
    "decimal": _decimal,
    "json": _json,
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint"), _integer),
    **dict.fromkeys(("float", "double"), _real),
    **dict.fromkeys(("datetime", "timestamp"), _moment),
}
