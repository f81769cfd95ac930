"""What a table of items must say, worked out the slow and simple way."""

import json
from collections.abc import Callable
from typing import Any

from tests.workers.formats.items import halved, has_column

Table = tuple[list[str], list[list[Any]]]


def expected(items: list[Any], cell: Callable[[Any], Any]) -> Table:
    """Header and rows. `cell`: what a value with a column becomes."""
    names = list(dict.fromkeys(name for item in objects(items) for name in item if has_column(name)))
    rests = [_rest(item, names) for item in items]
    more = any(rest is not None for rest in rests) or not names
    rows = [[cell(item.get(name)) if isinstance(item, dict) else cell(None) for name in names] for item in items]
    if more:
        rows = [[*row, rest] for row, rest in zip(rows, rests, strict=True)]
    return [*names, *(["_more"] if more else [])], rows


def objects(items: list[Any]) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)]


def as_text(value: Any) -> str | None:
    """Null is nothing, a text itself if it can be written, anything else its JSON."""
    if value is None:
        return None
    return value if isinstance(value, str) and not halved(value) else json.dumps(value)


def _rest(item: Any, names: list[str]) -> str | None:
    if not names or not isinstance(item, dict):
        return json.dumps(item)
    left = {name: value for name, value in item.items() if name not in names}
    return json.dumps(left, separators=(",", ":")) if left else None
