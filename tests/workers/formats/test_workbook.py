import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from tests.workers.formats.items import NUMBERS, OBJECTS
from tests.workers.formats.table import expected
from tests.workers.formats.written import PIECES, written
from workers.formats import Written, workbook


def sheets(path: Path) -> dict[str, list[list[Any]]]:
    book = openpyxl.load_workbook(path, read_only=True)
    return {sheet.title: [list(row) for row in sheet.values] for sheet in book}


def padded(rows: list[list[Any]]) -> list[list[Any]]:
    """What a row lacks behind its last cell is null."""
    return [[*row, *[None] * (len(rows[0]) - len(row))] for row in rows]


def types(path: Path) -> list[str]:
    return [cell.data_type for cell in list(openpyxl.load_workbook(path).active.rows)[1]]


def cell(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and not kept(value):
        return json.dumps(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return value if isinstance(value, str) else json.dumps(value)


def kept(number: float) -> bool:
    """Whether a double has it, and Excel shows it."""
    return isinstance(number, float) or abs(number) < 10**15


PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_categories=["Cc"]), max_size=8)


CELLS = st.one_of(NUMBERS, PRINTABLE, st.booleans(), st.none())


@settings(max_examples=40)
@given(items=st.lists(st.dictionaries(st.sampled_from("abc"), CELLS)), pieces=PIECES)
def test_what_is_read_back_is_what_the_items_say(items: list[dict[str, Any]], pieces: tuple[int, int]) -> None:
    with TemporaryDirectory() as folder:
        path, counted = written(Path(folder), items, "xlsx", pieces)
        (name, found), *others = sheets(path).items()
    header, rows = expected(items, cell)
    assert (name, others) == ("items", [])
    assert padded(found) == [header, *rows]
    assert counted.rows == len(items)


@settings(max_examples=30)
@given(items=st.lists(OBJECTS, max_size=5))
def test_every_item_is_a_row_whatever_it_says(items: list[Any]) -> None:
    with TemporaryDirectory() as folder:
        path, counted = written(Path(folder), items, "xlsx")
        assert (counted.rows, len(sheets(path)["items"])) == (len(items), len(items) + 1)


def test_every_kind_of_value_has_its_cell(tmp_path: Path) -> None:
    item = {"t": "=1+1", "u": "https://a.example/", "n": 1.5, "b": True, "o": {"x": [1]}, "id": 12345678901234567}
    path, _ = written(tmp_path, [item], "xlsx")
    values = ["=1+1", "https://a.example/", 1.5, True, '{"x": [1]}', "12345678901234567"]
    assert sheets(path) == {"items": [list(item), values]}
    assert types(path) == ["s", "s", "n", "b", "s", "s"]


def test_the_next_sheet_goes_on_when_one_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 3)
    path, counted = written(tmp_path, [{"n": number} for number in range(5)], "xlsx")
    assert sheets(path) == {"items": [["n"], [0], [1]], "items 2": [["n"], [2], [3]], "items 3": [["n"], [4]]}
    assert counted == Written(rows=5, bytes=path.stat().st_size)


def test_what_is_beyond_the_last_column_stands_in_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MOST_COLUMNS", 2)
    path, _ = written(tmp_path, [{"a": 1, "b": 2, "c": 3}, 5], "xlsx")
    assert sheets(path) == {"items": [["a", "b", "_more"], [1, 2, '{"c":3}'], [None, None, "5"]]}


def test_a_rest_that_no_cell_holds_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MOST_COLUMNS", 1)
    with pytest.raises(Permanent) as caught:
        written(tmp_path, [{"a": 1, "b": "x" * 20_000, "c": "x" * 20_000}], "xlsx")
    assert (caught.value.reason, caught.value.detail) == (
        Reason.ITEM_REFUSED,
        "an item has more members without a column than a cell of Excel holds: write `.csv` or `.parquet`",
    )


def test_no_part_says_when_it_was_made(tmp_path: Path) -> None:
    with ZipFile(written(tmp_path, [{"a": 1}], "xlsx")[0]) as book:
        assert {part.date_time for part in book.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    "text", ["<r>&</r>", "</t></is></c><row ", "a\x01b\x1f", "a\r\nb", "_x0041_", "\uffff", " spaces ", "=1+1"]
)
def test_a_text_is_nothing_but_a_text(tmp_path: Path, text: str) -> None:
    path, counted = written(tmp_path, [{text: text, "b": 1}], "xlsx")
    (header, row) = sheets(path)["items"]
    assert ([unescaped(header[0]), unescaped(row[0])], counted.rows) == ([text, text], 1)


def unescaped(cell: str) -> str:
    """openpyxl leaves it to its user what `_xHHHH_` stands for (ECMA-376, ST_Xstring)."""
    return re.sub("_x([0-9A-F]{4})_", lambda found: chr(int(found[1], 16)), cell)
