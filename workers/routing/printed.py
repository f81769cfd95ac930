"""How a value looks where a template prints it."""

from typing import Any

import msgspec
from jinja2 import Undefined


def printed(value: Any) -> str:
    """Nothing for null and for what is missing, JSON for booleans and containers, else the plain text."""
    if value is None or isinstance(value, Undefined):
        return ""
    if isinstance(value, bool | dict | list | tuple | msgspec.Raw):
        return msgspec.json.encode(value).decode()
    return str(value)
