import csv
import gzip
import io
import json
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from backports import zstd
from hypothesis import given, settings

from tests.workers.formats.items import ITEMS
from tests.workers.formats.table import as_text, expected
from tests.workers.formats.written import PIECES, written
from workers.formats import Layout, Written, convert, named

UNSAFE = "=+-@\t\r\n＝＋－＠"


def read(path: Path, delimiter: str = ",") -> tuple[list[str], list[list[str]]]:
    header, *rows = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""), delimiter=delimiter, strict=True)
    return header, rows


def safe(text: str) -> str:
    return f"'{text}" if text.startswith(tuple(UNSAFE)) else text


def cell(value: Any) -> str:
    text = as_text(value)
    return safe(text) if isinstance(value, str) and text == value else text or ""


@settings(max_examples=150)
@given(items=ITEMS, pieces=PIECES)
def test_what_is_read_back_is_what_the_items_say(items: list[Any], pieces: tuple[int, int]) -> None:
    with TemporaryDirectory() as folder:
        path, counted = written(Path(folder), items, "csv", pieces)
        header, rows = expected(items, cell)
        blank = [["" if one is None else _spaced(one) for one in row] for row in rows]
        found_header, found = read(path)
    assert found_header == [safe(name) for name in header]
    assert [[_spaced(one) for one in row] for row in found] == blank
    assert counted.rows == len(items)


def _spaced(text: str) -> Any:
    """JSON texts are compared by their value: they may have other spaces and escapes."""
    try:
        return json.loads(text) if text[:1] in {"{", "["} else text
    except ValueError:
        return text


def test_columns_come_in_the_order_of_their_first_appearance(tmp_path: Path) -> None:
    path, counted = written(tmp_path, [{"b": 1}, {"c": "x", "a": True}, {"a": False, "b": None, "c": ""}], "csv")
    assert path.read_bytes() == b'b,c,a\r\n1,,\r\n,x,true\r\n,"",false\r\n'
    assert counted == Written(rows=3, bytes=path.stat().st_size)


def test_cells_are_quoted_where_they_must_be(tmp_path: Path) -> None:
    items = [b'{"a":"x,y","b":"say \\"hi\\"","c":"two\\r\\nlines","d":[1, {"e":2}],"f":1.50,"g":" x "}']
    path, _ = written(tmp_path, items, "csv")
    assert path.read_bytes() == (b'a,b,c,d,f,g\r\n"x,y","say ""hi""","two\r\nlines","[1, {""e"":2}]",1.50, x \r\n')


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\tx", "\rx", "\nx", "＝1", "＠x"])
def test_a_text_that_would_be_a_formula_is_one_no_more(tmp_path: Path, text: str) -> None:
    path, _ = written(tmp_path, [{text: text}], "csv")
    assert read(path) == ([f"'{text}"], [[f"'{text}"]])


def test_a_negative_number_stays_a_number(tmp_path: Path) -> None:
    path, _ = written(tmp_path, [{"n": -5, "text": "-5"}], "csv")
    assert path.read_bytes() == b"n,text\r\n-5,'-5\r\n"


def test_formulas_are_kept_on_request(tmp_path: Path) -> None:
    path, _ = written(tmp_path, [{"=a": "=1+1"}], "csv", formulas="keep")
    assert path.read_bytes() == b"=a\r\n=1+1\r\n"


def test_tabs_separate_a_tsv(tmp_path: Path) -> None:
    path, _ = written(tmp_path, [{"a": "x,y", "b": "x\ty"}], "tsv")
    assert path.read_bytes() == b'a\tb\r\nx,y\t"x\ty"\r\n'


def test_a_byte_order_mark_stands_in_front_on_request(tmp_path: Path) -> None:
    path, counted = written(tmp_path, [{"a": "ü"}], "csv", bom=True)
    assert (path.read_bytes(), counted.rows) == ("\ufeffa\r\nü\r\n".encode(), 1)


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([], "_more\r\n"),
        ([{}, {}], "_more\r\n{}\r\n{}\r\n"),
        ([{"a": None}, {}], 'a\r\n""\r\n""\r\n'),
        ([{"a": 1}, 5, "=x"], 'a,_more\r\n1,\r\n,5\r\n,"""=x"""\r\n'),
        ([{"a": 1, "_more": 2}], 'a,_more\r\n1,"{""_more"":2}"\r\n'),
        ([b'{"a":1,"a":2}'], "a\r\n2\r\n"),
    ],
    ids=["no items", "no members", "one column of nulls", "no objects", "a member of our name", "a name twice"],
)
def test_no_item_is_lost(tmp_path: Path, items: list[Any], text: str) -> None:
    path, counted = written(tmp_path, items, "csv")
    assert (path.read_bytes().decode(), counted.rows) == (text, len(items))


def test_what_is_beyond_the_last_column_stands_in_the_rest(tmp_path: Path) -> None:
    items = [{f"c{number}": number for number in range(5000)}, {"late": "x", "c1": 1}]
    path, _ = written(tmp_path, items, "csv")
    header, rows = read(path)
    assert (len(header), header[-2:]) == (5001, ["c4999", "_more"])
    assert (rows[0][-2:], rows[1][1], rows[1][-1]) == (["4999", ""], "1", '{"late":"x"}')


def test_an_item_can_stay_whole(tmp_path: Path) -> None:
    path, _ = written(tmp_path, [b'{"a": [1,2]}', b"null"], "csv", columns="json")
    assert path.read_bytes() == b'item\r\n"{""a"": [1,2]}"\r\nnull\r\n'


@pytest.mark.parametrize(("word", "unpack"), [("csv.gz", gzip.decompress), ("csv.zst", zstd.decompress)])
def test_it_may_be_compressed_and_is_counted_all_the_same(tmp_path: Path, word: str, unpack: Any) -> None:
    path, counted = written(tmp_path, [{"a": "x\ny"}, {"a": 1}], word)
    assert unpack(path.read_bytes()) == b'a\r\n"x\ny"\r\n1\r\n'
    assert counted == Written(rows=2, bytes=path.stat().st_size)


def test_a_cell_of_many_lines_is_one_row(tmp_path: Path) -> None:
    path, counted = written(tmp_path, [{"a": 'x"\n' * 700_000}, {"a": "y"}], "csv")
    assert (path.read_bytes().count(b"\n"), counted.rows) == (700_003, 2)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    items = [b'{"n":%d,"text":"%s"}' % (number, b"x" * 4000) for number in range(8000)]
    (tmp_path / "warm").mkdir()
    written(tmp_path / "warm", items[:10], "csv")
    staged = tmp_path / "staged"
    staged.write_bytes(b"\n".join(items) + b"\n")
    tracemalloc.start()
    convert(staged, tmp_path / "made.csv", named("csv"), Layout())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 << 20 < staged.stat().st_size
