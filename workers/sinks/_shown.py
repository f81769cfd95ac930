"""How a preview shows rows, items and documents, the same way in every sink."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from config.contracts.document import Document, Glimpse
from config.contracts.sink import Rejected
from workers.rows import STAMPS, TableTarget

#: Of a document.
MOST_LINES = 12
#: What stands in a preview for the time of the delivery.
NOW = "(now)"
#: The column of the stamp that is another one in each row.
NUMBER = "_item"
_TEXT = ("text/", "application/json", "application/xml", "application/javascript", "image/svg+xml")


def row(values: Mapping[str, Any]) -> str:
    """Names and values, as JSON."""
    return json.dumps(values, ensure_ascii=False)


def lines(text: bytes) -> Iterator[str]:
    """JSON Lines, one by one. A bare CR does not end one."""
    for line in text.removesuffix(b"\n").split(b"\n") if text else ():
        yield line.decode(errors="replace")


def document(glimpse: Glimpse) -> Iterator[str]:
    """What it is and, if that is text, how it begins."""
    size = "" if glimpse.size is None else f", {glimpse.size} bytes"
    yield f"{glimpse.key} ({glimpse.content_type}{size})"
    if is_text(glimpse):
        whole = glimpse.size == len(glimpse.start)
        text = glimpse.start if whole else glimpse.start.decode(errors="ignore").encode() + "…".encode()
        for number, line in enumerate(islice(lines(text), MOST_LINES + 1)):
            yield line if number < MOST_LINES else "…"


def stamped(target: TableTarget, origin: Sequence[str]) -> Iterator[str]:
    """What all rows of a stream have in common, but for their number."""
    if target.stamp:
        names = [name for name in STAMPS if name != NUMBER]
        yield f"each row is stamped {row(dict(zip(names, (*origin, NOW), strict=True)))}"


def numbered(target: TableTarget, number: int, values: Mapping[str, Any]) -> str:
    """A row, without the rest of its stamp."""
    return row({NUMBER: number, **values} if target.stamp else values)


def columns(target: TableTarget, named: Iterable[str]) -> str:
    """The columns of a table that nobody has looked at."""
    if target.grows:
        return f"columns, added where they are missing: {', '.join(named)}"
    return "the table was not looked at: this is as if it had a column for every member, of the type of its first value"


def refusal(rejected: Rejected) -> str:
    """An item that the delivery would leave out."""
    return f"item {rejected.offset} is rejected: {rejected.why}"


def is_text(document: Document | Glimpse) -> bool:
    """Whether its content type says that people can read it."""
    kind = document.content_type.partition(";")[0].strip().lower()
    return kind.startswith(_TEXT) or kind.endswith(("+json", "+xml"))
