"""Statistics of a dataset's fields (Apify, "Dataset field statistics")."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from emulator.rows import members_of


@dataclass
class _Field:
    nulls: int = 0
    missing: int = 0
    least: float | None = None
    most: float | None = None

    def add(self, value: Any) -> None:
        if value is None:
            self.nulls += 1
            return
        measure = _measure(value)
        self.least = measure if self.least is None else min(self.least, measure)
        self.most = measure if self.most is None else max(self.most, measure)
        if isinstance(value, bool):
            self.least = 0  # by the documentation, whatever the values are

    def shown(self) -> dict[str, float | None]:
        return {"min": self.least, "max": self.most, "nullCount": self.nulls, "emptyCount": self.missing}


def field_statistics(rows: Iterable[bytes], names: Iterable[str]) -> dict[str, dict[str, float | None]]:
    """`{field: {min, max, nullCount, emptyCount}}` for these top-level fields.

    Numbers and booleans count as themselves, strings, arrays and objects by how much they hold.
    """
    fields = {name: _Field() for name in names}
    for row in rows:
        members = members_of(row)
        for name, field in fields.items():
            if name in members:
                field.add(json.loads(bytes(members[name])))
            else:
                field.missing += 1
    return {name: field.shown() for name, field in fields.items()}


def _measure(value: Any) -> float:
    if isinstance(value, str | list | dict):
        return len(value)
    return int(value) if isinstance(value, bool) else value
