"""Items as tables: columns found in a first pass over the records, rows written in a second (CSV and HTML).

Nested values spread over columns named by their path, `address/city` and `images/0`, as the platform's tables have
them; what holds nothing has an empty cell. Tables take 2000 columns with names of up to 200 characters (Apify API,
"Get dataset items"); here the columns beyond are left out.
"""

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

MAX_COLUMNS = 2000
MAX_NAME_LENGTH = 200


class Number(str):
    """A number as it was written: it is never converted on its way into a text."""

    __slots__ = ()


Cell = str | Number | bool | None
_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number)


def decoded(record: bytes) -> dict[str, Any]:
    """A record whose numbers are `Number`."""
    value: dict[str, Any] = _DECODER.decode(record.decode())
    return value


def cells_of(record: bytes) -> dict[str, Cell]:
    """A record's cells by column name."""
    return {path: cell for name, value in decoded(record).items() for path, cell in _spread(name, value)}


def _spread(path: str, value: Any) -> Iterator[tuple[str, Cell]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _spread(f"{path}/{name}", inner)
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value):
            yield from _spread(f"{path}/{place}", inner)
    else:
        yield path, None if isinstance(value, dict | list) else value


def columns_of(records: Iterable[bytes], wanted: Sequence[str] = ()) -> list[str]:
    """All columns: the wanted ones in their order, then as they turn up; those of one field stay together."""
    fields: dict[str, dict[str, None]] = {name: {} for name in wanted}
    count = 0
    for record in records:
        for field, value in decoded(record).items():
            columns = fields.setdefault(field, {})
            for path, _ in _spread(field, value):
                if path not in columns and len(path) <= MAX_NAME_LENGTH and count < MAX_COLUMNS:
                    columns[path] = None
                    count += 1
        if count >= MAX_COLUMNS:
            break
    return list(dict.fromkeys(path for name in fields for path in fields[name] or ([name] if name in wanted else [])))


def as_csv(
    records: Iterable[bytes], wanted: Sequence[str] = (), *, delimiter: str = ",", header: bool = True
) -> Iterator[str]:
    """Lines of CSV, each ended by a line feed."""
    columns = columns_of(records, wanted)
    special = re.compile(f'[\r\n"{re.escape(delimiter)}]')

    def line(cells: Iterable[str]) -> str:
        quoted = ('"' + cell.replace('"', '""') + '"' if special.search(cell) else cell for cell in cells)
        return (delimiter.join(quoted) or '""') + "\n"  # a lone empty cell must not read as no row at all

    if header and columns:
        yield line(columns)
    for record in records if columns else ():
        cells = cells_of(record)
        yield line([text_of(cells.get(column)) for column in columns])


def as_html(records: Iterable[bytes], wanted: Sequence[str] = ()) -> Iterator[str]:
    """One table, with nothing around it."""
    columns = columns_of(records, wanted)
    yield "<table>"
    if columns:
        yield _html_row("th", columns)
    for record in records if columns else ():
        cells = cells_of(record)
        yield _html_row("td", [text_of(cells.get(column)) for column in columns])
    yield "</table>"


def _html_row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def text_of(cell: Cell) -> str:
    """A cell as text: `true`, `false`, a number as written, nothing for null."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return cell
