"""What a run leaves. Every row follows from the run's id and its number, so that whoever finds one knows whose it is
and what must stand beside it."""

from collections.abc import Iterator


def row(run: str, number: int) -> bytes:
    return b'{"run":"%s","n":%d,"text":"%s"}' % (run.encode(), number, b"x" * (number % 37))


def rows(run: str, begin: int, end: int) -> Iterator[bytes]:
    return (row(run, number) for number in range(begin, end))


def json_lines(run: str, end: int) -> bytes:
    """The file of a run with so many rows."""
    return b"".join(each + b"\n" for each in rows(run, 0, end))
