"""What may stand behind `is`: each function here is one test, under its own name. Null is nothing but `none`.

The names of Python's own words have a `_` behind them, which the language does not know.
"""

import inspect
from collections.abc import Callable
from typing import Any

from config.language.operators import Misfit, kind, within


def defined(value: Any) -> bool:
    """Whether it is there, and not null. `0 is defined` → `true`; `none is defined` → `false`."""
    return value is not None


def undefined(value: Any) -> bool:
    """Whether it is missing, or null."""
    return value is None


def none(value: Any) -> bool:
    """Whether it is null, or missing."""
    return value is None


def boolean(value: Any) -> bool:
    """Whether it is `true` or `false`."""
    return isinstance(value, bool)


def true(value: Any) -> bool:
    """Whether it is `true` itself."""
    return value is True


def false(value: Any) -> bool:
    """Whether it is `false` itself."""
    return value is False


def string(value: Any) -> bool:
    """Whether it is a text."""
    return kind(value) == "text"


def number(value: Any) -> bool:
    """Whether it is a number."""
    return kind(value) == "number"


def mapping(value: Any) -> bool:
    """Whether it is an object."""
    return kind(value) == "object"


def sequence(value: Any) -> bool:
    """Whether it is a list."""
    return kind(value) == "list"


def in_(value: Any, holder: Any) -> bool | None:
    """As `in` does without `is`."""
    return within(value, holder)


def startswith(value: Any, beginning: str) -> bool | None:
    """Whether a text begins so. `'https://a.example' is startswith('https:')` → `true`."""
    return value is not None and _text("startswith", value).startswith(_text("startswith", beginning))


def endswith(value: Any, end: str) -> bool | None:
    """Whether a text ends so. `'cover.jpg' is endswith('.jpg')` → `true`."""
    return value is not None and _text("endswith", value).endswith(_text("endswith", end))


def matching(value: Any, pattern: str) -> bool:
    """Whether a text fits a pattern in which `*` stands for any text. `'acme/shop' is matching('acme/*')` → `true`."""
    if value is None:
        return False
    text, (first, *rest) = _text("matching", value), _text("matching", pattern).split("*")
    if not rest:
        return text == first
    *between, last = rest
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in between:  # the leftmost place leaves the most room for the others
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Misfit(f"`{name}` needs a text, not {kind(value)}")
    return value


#: name → function: every function that is defined above
CONDITIONS: dict[str, Callable[..., Any]] = {
    name.removesuffix("_"): found
    for name, found in list(globals().items())
    if inspect.isfunction(found) and found.__module__ == __name__ and not name.startswith("_")
}
