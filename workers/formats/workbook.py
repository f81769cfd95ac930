"""Excel. After 1,048,576 rows, or much text, the next sheet goes on, with a header of its own: `items`, `items 2`, …

Texts are never formulas or links. A number is a number, unless a double does not keep it, or it is an integer of more
than 15 digits, which Excel does not show: then it is a text, so that ids stay what they are. Lists and objects are
their JSON. The limits: support.microsoft.com, "Excel specifications and limits". The parts of the package: ECMA-376,
part 1, of which this is the least that a workbook needs.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from workers.formats.cells import as_text, only_texts, survives
from workers.formats.columns import Columns, column, find
from workers.formats.layout import Layout
from workers.formats.lines import Held, Json, Staged, members_of

MOST_COLUMNS = 16_383  # and one for the rest
MOST_ROWS = 1_048_576
MOST_CHARACTERS = 32_767
#: Bytes of one sheet, unpacked: beyond 2 GiB a ZIP file needs extensions that Excel warns of.
MOST_BYTES = 3 << 29

_PIECE = 1 << 20
_LEVEL = 3
#: Digits of an integer that Excel shows.
_SHOWN = 15
_ROW = b"<row "
_SPECIAL = re.compile("[&<>\x00-\x08\x0b-\x1f\ufffe\uffff]")
#: What would be read as the escape of a character.
_LIKE_AN_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_OFFICE = "http://schemas.openxmlformats.org"
_MAIN = f"{_OFFICE}/spreadsheetml/2006/main"
_RELATIONS = f"{_OFFICE}/package/2006/relationships"
_KIND = f"{_OFFICE}/officeDocument/2006/relationships"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_TYPES = (
    f'{_XML}<Types xmlns="{_OFFICE}/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Default Extension="xml" ContentType="{_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/></Types>'
)
_ROOT = (
    f'{_XML}<Relationships xmlns="{_RELATIONS}">'
    f'<Relationship Id="rId1" Type="{_KIND}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
)


def write(staged: Staged, to: Path, layout: Layout) -> None:
    """Raises OSError, Unfit; Permanent for a `_more` that is too long for a cell."""
    columns = columns_of(staged, layout)
    lines = _Lines(_lines(staged, columns))
    with to.open("wb") as file, ZipFile(file, "w", ZIP_DEFLATED, compresslevel=_LEVEL) as book:
        _put(book, "[Content_Types].xml", _TYPES)
        _put(book, "_rels/.rels", _ROOT)
        sheets = 0
        while lines.left or not sheets:
            sheets += 1
            with book.open(f"xl/worksheets/sheet{sheets}.xml", "w") as sheet:
                _fill(sheet, columns, lines)
        _put(book, "xl/workbook.xml", _workbook(sheets))
        _put(book, "xl/_rels/workbook.xml.rels", _relations(sheets))


def columns_of(staged: Staged | Held, layout: Layout) -> Columns:
    """Raises OSError, Unfit."""
    return find(staged.rows(), layout, MOST_COLUMNS)


def count(path: Path) -> int:
    """The rows that lie there, without the headers."""
    with ZipFile(path) as book:
        sheets = [name for name in book.namelist() if name.startswith("xl/worksheets/")]
        return sum(_rows_in(book, name) - 1 for name in sheets)


def objection(item: bytes, layout: Layout) -> str:
    """Why an item cannot be a row of a sheet; empty if it can. Raises Unfit."""
    if len(item) <= MOST_CHARACTERS:
        return ""
    members = members_of(item) if layout.columns == "evolve" else None
    cells = [item.decode()] if members is None else map(as_text, members.values())
    for cell in cells:
        if cell and (size := _characters(cell)) > MOST_CHARACTERS:
            return f"a text of {size} characters, a cell of Excel holds {MOST_CHARACTERS}: write `.csv` or `.parquet`"
    return ""


class _Lines:
    """Cells, row by row. `left`: whether there are more."""

    def __init__(self, cells: Iterator[Sequence[str]]) -> None:
        self._cells = cells
        self._next = next(cells, None)

    @property
    def left(self) -> bool:
        return self._next is not None

    def take(self) -> Sequence[str]:
        taken, self._next = self._next or (), next(self._cells, None)
        return taken


def _fill(sheet: IO[bytes], columns: Columns, lines: _Lines) -> None:
    """One sheet, as far as it goes."""
    letters = [_letters(place) for place in range(len(columns.header))]
    sheet.write(f'{_XML}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
    size = sheet.write(_row(1, letters, [_text(name) for name in columns.header]))
    number = 1
    while lines.left and number < MOST_ROWS and size < MOST_BYTES:
        number += 1
        size += sheet.write(_row(number, letters, lines.take()))
    sheet.write(b"</sheetData></worksheet>")


def _row(number: int, letters: Sequence[str], cells: Sequence[str]) -> bytes:
    there = "".join(f'<c r="{letter}{number}"{cell}' for letter, cell in zip(letters, cells, strict=True) if cell)
    return f'<row r="{number}">{there}</row>'.encode()


def _lines(staged: Staged, columns: Columns) -> Iterator[Sequence[str]]:
    """The cells of each row: what stands behind the place of a cell, empty for null."""
    for rows in staged.rows():
        for some in rows.cut(columns.most_rows):
            cells = [_column(column(some, name)) for name in columns.names]
            if columns.rest:
                cells.append([_rest(text) for text in columns.rests(some)])
            yield from zip(*cells, strict=True)


def _column(cells: Sequence[Json]) -> list[str]:
    found = only_texts(cells)
    if found is None:
        return [_cell(bytes(cell)) for cell in cells]
    return ["" if text is None else _text(text) for text in found]


def _cell(written: bytes) -> str:
    match written[:1]:
        case b"n":
            return ""
        case b"t" | b"f":
            return f' t="b"><v>{int(written == b"true")}</v></c>'
        case b'"' | b"{" | b"[":
            return _text(as_text(written) or "")
        case _:
            return _number(written.decode())


def _number(written: str) -> str:
    shown = len(written.lstrip("-")) <= _SHOWN or not written.lstrip("-").isdecimal()
    return f"><v>{written}</v></c>" if shown and survives(written) else _text(written)


def _rest(text: str | None) -> str:
    if text is None:
        return ""
    if _characters(text) > MOST_CHARACTERS:
        raise Permanent(
            Reason.ITEM_REFUSED,
            "an item has more members without a column than a cell of Excel holds: write `.csv` or `.parquet`",
        )
    return _text(text)


def _text(text: str) -> str:
    """A text as it stands in a cell (ST_Xstring: what XML cannot hold is `_xHHHH_`)."""
    if "_x" in text:
        text = _LIKE_AN_ESCAPE.sub("_x005F_", text)
    return f' t="inlineStr"><is><t xml:space="preserve">{_SPECIAL.sub(_escaped, text)}</t></is></c>'


def _escaped(match: re.Match[str]) -> str:
    return _NAMED.get(match[0]) or f"_x{ord(match[0]):04X}_"


def _letters(place: int) -> str:
    """`A`, …, `Z`, `AA`, …"""
    before, last = divmod(place, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + last)


def _characters(text: str) -> int:
    """As Excel counts them: a letter beyond the first 65,536 is two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _workbook(sheets: int) -> str:
    names = ["items", *(f"items {number}" for number in range(2, sheets + 1))]
    listed = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>' for number, name in enumerate(names, 1)
    )
    return f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_KIND}"><sheets>{listed}</sheets></workbook>'


def _relations(sheets: int) -> str:
    listed = "".join(
        f'<Relationship Id="rId{number}" Type="{_KIND}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in range(1, sheets + 1)
    )
    return f'{_XML}<Relationships xmlns="{_RELATIONS}">{listed}</Relationships>'


def _put(book: ZipFile, name: str, content: str) -> None:
    """Opened by its name, a part has no time in it that would differ from try to try."""
    with book.open(name, "w") as part:
        part.write(content.encode())


def _rows_in(book: ZipFile, name: str) -> int:
    """Rows of one sheet. A `<` of a text is escaped, so that nothing else looks like one."""
    found, held = 0, b""
    with book.open(name) as sheet:
        while piece := sheet.read(_PIECE):
            held += piece
            found += held.count(_ROW)
            held = held[-len(_ROW) + 1 :]
    return found
