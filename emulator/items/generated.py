"""Datasets that are computed instead of stored: millions of rows that take no room, the same at every reading."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from emulator.rows import is_clean, members_of

MAX_ROWS = 1_000_000_000
BLOCK_ROWS = 1000
_ROW = "{{row}}"
_WHOLE_STRING = re.compile(r'"\{\{row\}\}"(?!:)')  # not a member's name: that stays a string
_NUMBER = b"\x00"  # stands for the row's number in a template; no JSON text holds this byte
_THOUSANDS = b"\x01"  # stands for the number without its last three digits

DEFAULT_ITEM: Mapping[str, Any] = {
    "id": _ROW,
    "url": "https://shop.example.com/products/{{row}}",
    "title": "Product {{row}}",
    "price": {"amount": 19.9, "currency": "EUR"},
    "inStock": True,
    "categories": ["tools", "garden"],
    "rating": None,
    "description": " ".join(["A sturdy thing for house and garden that outlives its owner."] * 13),
    "#debug": {"row": _ROW},
}
"""A product of about 1,000 bytes."""


@dataclass(frozen=True)
class Generated:
    """So many rows, each made from one template; `{{row}}` in it is the row's number, counted from 0.

    A string that is nothing but `{{row}}` becomes a number; inside other strings and in names it is text.
    """

    rows: int
    template: str

    @classmethod
    def of(cls, rows: int, item: Mapping[str, Any]) -> "Generated":
        """Rows made from an item."""
        return cls(rows, json.dumps(item, ensure_ascii=False, separators=(",", ":")))

    @property
    def fields(self) -> list[str]:
        """Names of the top-level fields of the first row."""
        return list(members_of(self._first))

    @property
    def is_clean(self) -> bool:
        """Whether `clean` would keep the rows."""
        return is_clean(members_of(self._first))

    @property
    def _first(self) -> bytes:
        return _marked(self.template).replace(_NUMBER, b"0")

    def size_of(self, rows: int) -> int:
        """About as many bytes as so many rows have."""
        return rows * (len(self._first) + 1)

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        """The rows' lines, a block of up to 1000 at a time."""
        for first in range(start - start % BLOCK_ROWS, stop, BLOCK_ROWS):
            block = _block(self.template, first // BLOCK_ROWS)
            begin, end = max(start - first, 0), stop - first
            if begin or end < BLOCK_ROWS:
                block = b"".join(block.splitlines(keepends=True)[begin:end])
            yield block


@lru_cache(maxsize=8)
def _marked(template: str) -> bytes:
    """The template's bytes with a mark wherever the row's number goes."""
    mark = _NUMBER.decode()
    return _WHOLE_STRING.sub(mark, template).replace(_ROW, mark).encode()


@lru_cache(maxsize=8)
def _thousand(template: str) -> bytes:
    """A block whose rows lack only what all their numbers begin with."""
    row = _marked(template) + b"\n"
    return b"".join(row.replace(_NUMBER, _THOUSANDS + b"%03d" % last) for last in range(BLOCK_ROWS))


@lru_cache(maxsize=4)
def _block(template: str, block: int) -> bytes:
    """A thousand lines; beyond the first thousand one replacement makes them all."""
    if block:
        return _thousand(template).replace(_THOUSANDS, b"%d" % block)
    row = _marked(template) + b"\n"
    return b"".join(row.replace(_NUMBER, b"%d" % number) for number in range(BLOCK_ROWS))
