"""Adds up a crawl for its `OUTPUT` record."""

import heapq
import platform
from dataclasses import dataclass, field
from typing import Any

from .crawl import Item

BIGGEST = 12  # pages named in the summary and drawn in the chart


@dataclass
class Tally:
    """Sums over the items seen so far."""

    modules: int = 0
    errors: int = 0
    classes: int = 0
    functions: int = 0
    html_bytes: int = 0
    _biggest: list[tuple[int, str]] = field(default_factory=list)  # a heap: bytes, name

    def add(self, item: Item) -> None:
        """Counts one item of the dataset."""
        self.modules += 1
        if "error" in item:
            self.errors += 1
            return
        self.classes += len(item["classes"])
        self.functions += len(item["functions"])
        self.html_bytes += item["htmlBytes"]
        heapq.heappush(self._biggest, (item["htmlBytes"], item["name"]))
        if len(self._biggest) > BIGGEST:
            heapq.heappop(self._biggest)

    def biggest(self) -> list[tuple[str, int]]:
        """Name and size in bytes of the biggest pages, biggest first."""
        return [(name, size) for size, name in sorted(self._biggest, reverse=True)]

    def summary(self, index_modules: int) -> dict[str, Any]:
        """The `OUTPUT` record."""
        return {
            "pythonVersion": platform.python_version(),
            "indexModules": index_modules,
            "modules": self.modules,
            "errors": self.errors,
            "classes": self.classes,
            "functions": self.functions,
            "htmlBytes": self.html_bytes,
            "biggestPages": [{"name": name, "htmlBytes": size} for name, size in self.biggest()],
        }
