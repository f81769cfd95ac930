"""Items as an Excel workbook of one sheet, written row by row: memory stays flat however many rows there are."""

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from typing import Any

from emulator.errors import ApiError, invalid_value
from emulator.items.tables import Cell, Number, cells_of, columns_of

MAX_ROWS = 1_048_575  # Excel's rows of a sheet, less the header
_MAX_CELL_LENGTH = 32_767  # Excel's, in UTF-16 units
_EXACT_DIGITS = 15  # Excel's; longer numbers stay text
_PIECE = 256 * 1024
_OPTIONS = {"constant_memory": True, "strings_to_urls": False, "strings_to_formulas": False}


def require_room(rows: int) -> None:
    """Raises: ApiError 400 for more rows than a sheet takes, 501 if the library that writes sheets is missing."""
    if rows > MAX_ROWS:
        raise _too_many()
    try:
        import_module("xlsxwriter")
    except ImportError:
        message = 'format=xlsx needs the extra "emulator" (the package xlsxwriter) to be installed.'
        raise ApiError(501, "not-implemented", message) from None


def _too_many() -> ApiError:
    return invalid_value(f"format=xlsx takes up to {MAX_ROWS} items; ask for fewer by limit.")


def as_xlsx(records: Iterable[bytes], wanted: Sequence[str] = ()) -> Iterator[bytes]:
    """The workbook's bytes; nothing comes out before the last record has been read.

    Raises: ApiError 400 for more records than a sheet takes; the library would leave out the rest without a word.
    """
    if next(islice(records, MAX_ROWS, None), None) is not None:
        raise _too_many()
    xlsxwriter: Any = import_module("xlsxwriter")  # it has no types
    with tempfile.TemporaryFile() as file:
        with xlsxwriter.Workbook(file, _OPTIONS) as workbook:
            sheet, columns = workbook.add_worksheet("Data"), columns_of(records, wanted)
            _write(sheet, 0, columns)
            for row, record in enumerate(records, start=1):
                cells = cells_of(record)
                _write(sheet, row, [cells.get(column) for column in columns])
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


def _write(sheet: Any, row: int, cells: Iterable[Cell]) -> None:
    for column, cell in enumerate(cells):
        if isinstance(cell, bool):
            sheet.write_boolean(row, column, cell)
        elif isinstance(cell, Number) and _is_exact(cell):
            sheet.write_number(row, column, float(cell))
        elif cell:
            sheet.write_string(row, column, _fitting(cell))


def _is_exact(number: str) -> bool:
    digits = number.lower().partition("e")[0].lstrip("-0.").replace(".", "")
    return len(digits) <= _EXACT_DIGITS and math.isfinite(float(number))


def _fitting(text: str) -> str:
    """The text without halves of surrogate pairs, cut to what a cell takes."""
    units = text.encode("utf-16-le", "surrogatepass")[: 2 * _MAX_CELL_LENGTH]
    return units.decode("utf-16-le", "replace")
