"""Where batches are cut: it depends on the rows alone."""

from collections.abc import Sequence

from config.route import BatchSize


def rows_of(lines: bytes) -> list[bytes]:
    """Rows of JSON Lines, each with its newline."""
    return [row + b"\n" for row in lines.split(b"\n")[:-1]]


def whole(rows: Sequence[bytes], size: BatchSize) -> int:
    """How many rows the next batch has; 0 while it may still grow. A row that does not fit begins another one."""
    taken = 0
    for count, row in enumerate(rows):
        taken += len(row)
        if count == size.items or (count and taken > size.bytes):
            return count
    return len(rows) if len(rows) == size.items else 0
