"""What of two lists of items is not the same, in words. A field that is null is as one that is missing. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from workers.routing.why import shown

#: Of what, below a list, and in which words.
Difference = tuple[tuple[str | int, ...], str]


def differences(expected: Sequence[Any], got: Sequence[Any]) -> Iterator[Difference]:
    """Item by item, field by field."""
    for index in range(max(len(expected), len(got))):
        if index >= len(got):
            yield (index,), f"item {index} is not sent: {shown(expected[index])}"
        elif index >= len(expected):
            yield (), f"item {index} was not expected: {shown(got[index])}"
        else:
            yield from _of_item(index, expected[index], got[index])


def of_texts(expected: str, got: str) -> str:
    """The first line that differs; empty if none does."""
    lines, others = expected.split("\n"), got.split("\n")
    if len(lines) == len(others) == 1 and expected != got:
        return f"should be {shown(expected)}, and is {shown(got)}"
    for number, (line, other) in enumerate(zip(lines, others, strict=False), 1):
        if line != other:
            return f"line {number} should be {shown(line)}, and is {shown(other)}"
    if len(lines) != len(others):
        return f"should have {len(lines)} lines, and has {len(others)}"
    return ""


def same(expected: Any, got: Any) -> bool:
    return next(_unlike(expected, got, ()), None) is None


def _of_item(index: int, expected: Any, got: Any) -> Iterator[Difference]:
    for path, one, other in _unlike(expected, got, ()):
        of = f"item {index}: `{'.'.join(path)}`" if path else f"item {index}"
        if one is None:
            yield (index, *path), f"{of} was not expected, and is {shown(other)}"
        else:
            yield (index, *path), f"{of} should be {shown(one)}, and is {'missing' if other is None else shown(other)}"


def _unlike(expected: Any, got: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Each pair of values that differ, with the names that lead to it."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for name in {**expected, **got}:
            yield from _unlike(expected.get(name), got.get(name), (*at, name))
    elif isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got) or not all(map(same, expected, got)):
            yield at, expected, got
    elif expected != got or isinstance(expected, bool) != isinstance(got, bool):
        yield at, expected, got
