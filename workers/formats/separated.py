"""CSV and TSV: RFC 4180 in UTF-8, lines that end in CR LF, always with a header.

Null is an empty cell, an empty text is `""`. Numbers, `true`, `false`, lists and objects are their JSON text. A text
that a spreadsheet would run as a formula gets a `'` in front (owasp.org: CSV Injection).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path

from workers.formats.cells import only_texts, text_of
from workers.formats.choosing import Format
from workers.formats.columns import Columns, column, find
from workers.formats.layout import Layout
from workers.formats.lines import Held, Json, Rows, Staged
from workers.packing import unpacked

MOST_COLUMNS = 5_000

_BOM = b"\xef\xbb\xbf"
_PIECE = 1 << 20
#: With what a formula begins, as also its full-width forms, which some spreadsheets fold.
_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
_DELIMITERS = {"csv": ",", "tsv": "\t"}


def write(staged: Staged, to: Path, format: Format, layout: Layout) -> None:
    """Raises OSError, Unfit."""
    separated = of(staged, format, layout)
    with to.open("wb") as file:
        if format.packing is None:
            file.writelines(separated.pieces(staged, bom=layout.bom))
            return
        with format.packing.writing(file) as packed:
            packed.writelines(separated.pieces(staged, bom=layout.bom))


def of(staged: Staged | Held, format: Format, layout: Layout) -> "Separated":
    """How these rows are written. Raises OSError, Unfit."""
    columns = find(staged.rows(), layout, MOST_COLUMNS)
    return Separated(columns, _DELIMITERS[format.kind], escape=layout.formulas == "escape")


def count(path: Path) -> int:
    """The rows that lie there, without the header: line ends outside of quotes."""
    found = quoted = 0
    with unpacked(path) as file:
        while piece := file.read(_PIECE):
            parts = piece.split(b'"')
            found += sum(part.count(b"\n") for part in parts[quoted::2])
            quoted ^= (len(parts) - 1) & 1
    return found - 1


class Separated:
    """How one file is written."""

    def __init__(self, columns: Columns, delimiter: str, *, escape: bool) -> None:
        self.columns, self.delimiter = columns, delimiter
        self.dangerous = _FORMULA if escape else frozenset()

    def pieces(self, staged: Staged | Held, *, bom: bool) -> Iterator[bytes]:
        """The whole text, bit by bit. Raises OSError, Unfit."""
        yield (_BOM if bom else b"") + self.header()
        for rows in staged.rows():
            for some in rows.cut(self.columns.most_rows):
                yield self.lines(some)

    def header(self) -> bytes:
        return self._joined([[self.text(name)] for name in self.columns.header])

    def lines(self, rows: Rows) -> bytes:
        cells = [self._column(column(rows, name)) for name in self.columns.names]
        if self.columns.rest:
            cells.append(["" if one is None else self.quoted(one) for one in self.columns.rests(rows)])
        if len(cells) == 1:  # an empty line is no row to most readers
            cells = [[cell or '""' for cell in cells[0]]]
        return self._joined(cells)

    def text(self, text: str) -> str:
        """A text as a cell."""
        if not text:
            return '""'
        return self.quoted(f"'{text}" if text[0] in self.dangerous else text)

    def quoted(self, cell: str) -> str:
        if '"' in cell:
            return f'"{cell.replace(chr(34), chr(34) * 2)}"'
        return f'"{cell}"' if self.delimiter in cell or "\n" in cell or "\r" in cell else cell

    def _column(self, cells: Sequence[Json]) -> list[str]:
        found = only_texts(cells)
        if found is None:
            return [self._cell(bytes(cell)) for cell in cells]
        return ["" if text is None else self.text(text) for text in found]

    def _cell(self, written: bytes) -> str:
        match written[:1]:
            case b"n":
                return ""
            case b'"':
                return self.text(text_of(written))
            case b"{" | b"[":
                return self.quoted(written.decode())
        return written.decode()

    def _joined(self, cells: Iterable[Sequence[str]]) -> bytes:
        join: Callable[[tuple[str, ...]], str] = self.delimiter.join
        lines = map(join, zip(*cells, strict=True))
        return "".join(part for line in zip(lines, repeat("\r\n")) for part in line).encode()
