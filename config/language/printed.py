"""How a value looks where a template prints it."""

import re
from typing import Any

import msgspec
from jinja2 import Undefined


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
    """Nothing for null and for what is missing, JSON for booleans and containers, else the plain text."""
    if value is None or isinstance(value, Undefined):
        return ""
    if isinstance(value, bool | dict | list | tuple | msgspec.Raw):
        return msgspec.json.encode(value).decode()
    return str(value)
