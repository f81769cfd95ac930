"""Items written as a file by the code under test, for readers that are not ours."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st

from workers.formats import Layout, Written, columns, convert, lines, named

#: Bytes that are read at a time, and cells that are worked on: one item, a few, or all of a test.
PIECES = st.sampled_from([(1, 1), (64, 5), (1 << 20, 1 << 20)])


def written(
    folder: Path, items: list[Any], word: str, pieces: tuple[int, int] = (1 << 20, 1 << 20), **layout: Any
) -> tuple[Path, Written]:
    """The file of those items, and what was counted there. Items of bytes are JSON already."""
    staged, to = folder / "staged", folder / f"made.{word}"
    staged.write_bytes(b"".join(_line(item) for item in items))
    with patch.object(lines, "_PIECE", pieces[0]), patch.object(columns, "_CELLS", pieces[1]):
        return to, convert(staged, to, named(word), Layout(**layout))


def _line(item: Any) -> bytes:
    return (item if isinstance(item, bytes) else json.dumps(item).encode()) + b"\n"
