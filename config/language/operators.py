"""What paths, signs and brackets of the language do. What is missing is null, and null is quiet: no sign trips over it.

Whatever puts values together is capped, so that a short expression cannot make much out of little.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

import msgspec

from config.language.printed import Code

#: characters that an expression may put together, and a template print
MOST = 65_536
#: levels of a template: of blocks, brackets, filters and terms; what it is compiled to may not be deeper than 100. And
#: keys of a path that an item names.
DEEPEST = 50


class Misfit(ValueError):
    """Values do not fit what is done with them. The message is one line without anything of the values."""


def why(exc: Exception) -> str:
    """What did not fit, in words that hold nothing of the values."""
    if isinstance(exc, Misfit):
        return str(exc)
    return "nested too deeply" if isinstance(exc, RecursionError) else "values do not fit"


def kind(value: Any) -> str:
    """What a value is, in the words of JSON."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "text"
        case int() | float():
            return "number"
        case Mapping():
            return "object"
    return "list"


def key(data: Any, name: Any) -> Any:
    """What lies under a key or an index: nothing else of any object can be reached. Null if there is none."""
    if data.__class__ is dict:
        try:
            return data.get(name)
        except TypeError:  # a list or an object is no key
            return None
    if isinstance(data, msgspec.Raw):
        return key(msgspec.json.decode(data), name)
    if isinstance(data, Mapping | Sequence):
        try:
            return data[name]
        except (LookupError, TypeError):
            return None
    return None


def cut(data: Any, start: Any, stop: Any, step: Any) -> Any:
    """`data[start:stop:step]` of a text or a list."""
    if data is None:
        return None
    if not isinstance(data, str | list) or step == 0:
        raise Misfit(f"no part of {kind(data)} can be cut out" if step != 0 else "a step of 0")
    try:
        return data[start:stop:step]
    except TypeError:
        raise Misfit("a part is cut out at whole numbers") from None


def plain(value: Any) -> Any:
    """The value as JSON has it."""
    if value.__class__ in _PLAIN:
        return value
    if isinstance(value, msgspec.Raw):
        return msgspec.json.decode(value)
    return str(value) if isinstance(value, Code) else value


def held(values: Any) -> Any:
    """A list or an object that was put together. Raises Misfit if it prints more than `MOST` characters."""
    room, left = MOST, [values]
    while left:
        value = left.pop()
        match value:
            case str():
                room -= len(value)
            case msgspec.Raw():
                room -= memoryview(value).nbytes
            case dict():
                left.extend(value)
                left.extend(value.values())
            case list() | tuple():
                left.extend(value)
        room -= 2
        if room < len(left):
            raise Misfit(f"more than {MOST} characters are put together")
    return values


def listed(values: list[Any]) -> list[Any]:
    """`[a, b]`."""
    return held([plain(value) for value in values])  # type: ignore[no-any-return]  # what went in


def mapped(pairs: dict[str, Any]) -> dict[str, Any]:
    """`{'a': b}`."""
    return held({name: plain(value) for name, value in pairs.items()})  # type: ignore[no-any-return]  # what went in


def add(left: Any, right: Any) -> Any:
    """`left + right`: of numbers, of texts, of lists."""
    if left is None or right is None:
        return None
    try:
        total = left + right
    except (TypeError, ArithmeticError):
        raise _odd("+", left, right) from None
    return held(total) if isinstance(total, str | list) else _finite(total)


def subtract(left: Any, right: Any) -> Any:
    """`left - right`."""
    if left is None or right is None:
        return None
    try:
        return _finite(left - right)
    except (TypeError, ArithmeticError):
        raise _odd("-", left, right) from None


def negative(value: Any) -> Any:
    """`-value`."""
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise Misfit(f"- of {kind(value)}")
    return -value


def within(value: Any, holder: Any) -> bool | None:
    """`value in holder`: a part of a text, an element of a list, a key of an object."""
    if holder is None:
        return None
    if value is None and isinstance(holder, str):
        return None
    try:
        return value in holder
    except TypeError:
        raise _odd("in", value, holder) from None


def without(value: Any, holder: Any) -> bool:
    """`value not in holder`."""
    return not within(value, holder)


def compared(value: Any, *rest: Any) -> bool | None:
    """`value < a <= b`: what follows are names of comparisons, each before what is compared with."""
    holds: bool | None = True
    for name, other in zip(rest[::2], rest[1::2], strict=True):
        holds = COMPARISONS[name](value, other)
        if not holds:
            return holds
        value = other
    return holds


def _ordering(sign: str, compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool | None]:
    def ordered(left: Any, right: Any) -> bool | None:
        if left is None or right is None:
            return None
        try:
            return compare(left, right)
        except TypeError:
            raise _odd(sign, left, right) from None

    return ordered


def _odd(sign: str, left: Any, right: Any) -> Misfit:
    kinds = kind(left), kind(right)
    cure = ": `number` reads a number out of text" if sorted(kinds) == ["number", "text"] else ""
    return Misfit(f"{kinds[0]} {sign} {kinds[1]}{cure}")


def _finite(number: Any) -> Any:
    if isinstance(number, float) and not isfinite(number):
        raise Misfit("a number becomes too large")
    return number


_PLAIN = frozenset({type(None), bool, int, float, str, list, dict})
#: Jinja's word for a comparison → what it does
COMPARISONS: dict[str, Callable[[Any, Any], bool | None]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": _ordering("<", operator.lt),
    "lteq": _ordering("<=", operator.le),
    "gt": _ordering(">", operator.gt),
    "gteq": _ordering(">=", operator.ge),
    "in": within,
    "notin": without,
}
