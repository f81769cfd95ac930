"""How a value looks where a template prints it."""

import json
import re
from typing import Any

import msgspec


class Code(str):
    """Text that is shown as it is, in letters of one width, where a medium can. Elsewhere, between fences.

    Attributes:
        inside: without the fences.
    """

    __slots__ = ("inside",)
    inside: str

    def __new__(cls, inside: str) -> "Code":
        fence = max(3, 1 + max((len(run) for run in _TICKS.findall(inside)), default=0)) * "`"
        code = super().__new__(cls, f"{fence}\n{inside}\n{fence}" if inside else "")
        code.inside = inside
        return code


_TICKS = re.compile("`+")


def printed(value: Any) -> str:
    """Nothing for null, JSON for booleans and containers, else the plain text."""
    if value is None:
        return ""
    if isinstance(value, bool | dict | list | tuple | msgspec.Raw):
        return written(value)
    return str(value)


def written(value: Any) -> str:
    """Compact JSON. Integers of any size and halves of surrogate pairs stay what they are."""
    try:
        return msgspec.json.encode(value).decode()
    except (OverflowError, UnicodeEncodeError, TypeError):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_decoded)


def _decoded(value: Any) -> Any:
    """What msgspec knows and the standard library does not: a value that is still the bytes it came in."""
    if isinstance(value, msgspec.Raw):
        return msgspec.json.decode(value)
    raise TypeError(f"{type(value).__name__} is no JSON")
