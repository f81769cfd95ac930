"""One file that everybody appends to: what was sent, what was broken, what was seen. The checker reads nothing else
but this and what the sinks hold.

A line is a JSON object: `t` (seconds of the machine's monotonic clock, the same for all processes), `what`, and facts.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

Line = dict[str, Any]


class History:
    """Appends lines whole: one write to a file opened for appending is never mixed with another's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def tell(self, what: str, /, **facts: Any) -> None:
        os.write(self._fd, msgspec.json.encode({"t": round(time.monotonic(), 4), "what": what, **facts}) + b"\n")


def read(path: Path) -> Iterator[Line]:
    """The lines in the order they were written."""
    with path.open("rb") as file:
        for line in file:
            yield msgspec.json.decode(line)
