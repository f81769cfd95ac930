"""`transform: package.module:function`: Python of an operator's own, for what expressions cannot say."""

import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

_PLACE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


class Function:
    """A function that takes an item and the run, both as JSON types, and returns the item to go on with; None drops it.

    It runs in the worker, with the worker's rights: it is code, and belongs into version control. Usable as a pydantic
    field; `str()` is where it is found. Raises ValueError if there is none.
    """

    __slots__ = ("call", "source")

    def __init__(self, source: str) -> None:
        if not _PLACE.fullmatch(source):
            raise ValueError("not a function: write package.module:function")
        self.source = source
        self.call: Callable[[Any, Mapping[str, Any]], Any] = _found(*source.split(":"))

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"Function({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    @classmethod
    def _of(cls, given: Any) -> Self:
        if isinstance(given, cls):
            return given
        if not isinstance(given, str):
            raise ValueError("not a function: write package.module:function")
        return cls(given)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.to_string_ser_schema()
        return core_schema.no_info_plain_validator_function(cls._of, serialization=written)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": _PLACE.pattern}


def _found(module: str, name: str) -> Callable[..., Any]:
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as exc:  # whatever somebody's module does when it is imported
        raise ValueError(f"the module `{module}` cannot be imported: {type(exc).__name__}: {exc}") from None
    if not callable(found):
        raise ValueError(f"the module `{module}` has no function `{name}`")
    return found  # type: ignore[no-any-return]  # it is callable, that is all that can be known
