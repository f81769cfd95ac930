"""Items in the formats that are not JSON: values worked out by hand, and readers of others that understand them."""

import csv
import io
import json
import math
import sys
from html.parser import HTMLParser
from importlib import import_module
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import ApiError
from emulator.items.tables import as_csv, as_html, cells_of, columns_of
from emulator.items.workbook import MAX_ROWS, as_xlsx, require_room
from emulator.items.xml import as_rss, as_xml, name_of
from emulator.rows import MAX_DEPTH, split_rows

openpyxl: Any = import_module("openpyxl")  # it has no types
unescape: Any = import_module("openpyxl.utils.escape").unescape


def rows(*items: Any) -> list[bytes]:
    return [json.dumps(item).encode() for item in items]


def text(pieces: Any) -> str:
    return "".join(pieces)


MIXED = [
    b'{"n": 1.10, "s": "a,b", "o": {"x": null, "y": [true, false]}, "e": {}, "l": []}',
    b'{"s": "say \\"hi\\"\\nyou", "n": 12345678901234567890123, "o": {"z": "<&>"}}',
]


def test_csv_has_a_column_per_path_and_numbers_as_written() -> None:
    assert text(as_csv(MIXED)) == (
        "n,s,o/x,o/y/0,o/y/1,o/z,e,l\n"
        '1.10,"a,b",,true,false,,,\n'
        '12345678901234567890123,"say ""hi""\nyou",,,,<&>,,\n'
    )  # fmt: skip


def test_csv_takes_another_delimiter_no_header_and_columns_that_nobody_has() -> None:
    items = rows({"b": 1, "a": "x;y"})

    assert text(as_csv(items, delimiter=";", header=False)) == '1;"x;y"\n'
    assert text(as_csv(items, ("a", "none", "b"))) == "a,none,b\nx;y,,1\n"
    assert text(as_csv(rows({}, {}))) == ""
    assert text(as_csv(rows({"a": ""}, {"a": 1}))) == 'a\n""\n1\n'


def test_html_is_one_escaped_table() -> None:
    assert text(as_html(rows({"a<": 1, "b": "<script>"}, {"b": None}))) == (
        "<table><tr><th>a&lt;</th><th>b</th></tr>"
        "<tr><td>1</td><td>&lt;script&gt;</td></tr><tr><td></td><td></td></tr></table>"
    )


def test_tables_stop_at_the_limits_of_the_platform() -> None:
    wide = rows({f"c{n}": n for n in range(2500)})

    assert columns_of(wide) == [f"c{n}" for n in range(2000)]
    assert columns_of(rows({"k" * 200: 1, "k" * 201: 2, "l": {"m" * 199: 3, "m" * 198: 4}})) == [
        "k" * 200,
        "l/" + "m" * 198,
    ]


def test_xml_is_as_the_documentation_shows_it() -> None:
    home = {"type": "home", "street": "21st", "city": "Chicago"}
    plain = rows({"name": "Paul Newman", "address": [home, {"type": "office", "street": None, "city": None}]})
    extended = rows(
        {"address": [{"@": {"type": "home"}, "street": "21st"}, {"@": {"type": "office"}, "#": "unknown"}]}
    )  # fmt: skip

    assert text(as_xml(plain)) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<items>\n'
        "<item><name>Paul Newman</name>"
        "<address><type>home</type><street>21st</street><city>Chicago</city></address>"
        "<address><type>office</type><street/><city/></address></item>\n</items>\n"
    )
    assert text(as_xml(extended, "all", "one")) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<all>\n'
        '<one><address type="home"><street>21st</street></address><address type="office">unknown</address></one>\n'
        "</all>\n"
    )


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({}, "<item/>"),
        ({"a": []}, "<item/>"),
        ({"a": [1, [2, 3], {"b": True}]}, "<item><a>1</a><a><a>2</a><a>3</a></a><a><b>true</b></a></item>"),
        ({"a b": 1, "1": 2, "": 3, "-x": 4}, "<item><a_b>1</a_b><_1>2</_1><_>3</_><_-x>4</_-x></item>"),
        ({"@": {"q": 'a"b\n<&>'}, "#": "t<"}, '<item q="a&quot;b&#10;&lt;&amp;&gt;">t&lt;</item>'),
        ({"@": "no attributes", "a": 1}, "<item><_>no attributes</_><a>1</a></item>"),
        ({"a": "\x00\ud800\r"}, "<item><a>\ufffd\ufffd&#13;</a></item>"),
        ({"#": "ignored", "a": 1}, "<item><a>1</a></item>"),
        (
            {"media:title": 1, "a:b:c": 2, ":d": 3},
            "<item><media:title>1</media:title><a:b_c>2</a:b_c><_d>3</_d></item>",
        ),
    ],
)
def test_xml_of_a_single_item(item: Any, expected: str) -> None:
    assert text(as_xml(rows(item))).split("\n")[2] == expected


def test_rss_is_a_channel_with_a_title_and_a_description() -> None:
    feed = text(
        as_rss(rows({"foo": "bar"}, {"foo2": "b&r"}), "Dataset d", 'Items in dataset with id "x".', "http://h/d")
    )

    assert feed == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel><title>Dataset d</title>'
        "<link>http://h/d</link><description>Items in dataset with id &quot;x&quot;.</description>\n"
        "<item><foo>bar</foo></item>\n<item><foo2>b&amp;r</foo2></item>\n</channel></rss>\n"
    )


def test_a_workbook_keeps_types_and_leaves_long_numbers_as_text() -> None:
    sheet = opened(
        as_xlsx([b'{"n": 1.5, "big": 12345678901234567890, "huge": 1e400, "t": true, "s": "=1+1", "z": null}'])
    )

    assert sheet == [
        ("n", "big", "huge", "t", "s", "z"),
        (1.5, "12345678901234567890", "1e400", True, "=1+1", None),
    ]


def test_a_sheet_cannot_take_more_rows_than_excel_does() -> None:
    require_room(MAX_ROWS)
    with pytest.raises(ApiError, match="up to 1048575 items"):
        require_room(MAX_ROWS + 1)


def test_a_sheet_that_cannot_take_what_becomes_of_the_rows_is_refused_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.items.workbook.MAX_ROWS", 2)
    assert len(opened(as_xlsx(rows({"a": 1}, {"a": 2})))) == 3
    with pytest.raises(ApiError, match="up to 2 items"):
        next(as_xlsx(rows({"a": 1}, {"a": 2}, {"a": 3})))


@pytest.mark.parametrize(
    ("left", "right", "opening", "closing"),
    [
        ('{"a":', "}", "<x>" + "<a>" * (MAX_DEPTH - 1), "</a>" * (MAX_DEPTH - 1) + "</x>"),
        ("[", "]", "<x>" * (MAX_DEPTH - 1), "</x>" * (MAX_DEPTH - 1)),
    ],
)
def test_xml_follows_as_deep_as_rows_may_go(left: str, right: str, opening: str, closing: str) -> None:
    (row,) = split_rows(f'{{"x":{left * (MAX_DEPTH - 1)}1{right * (MAX_DEPTH - 1)}}}'.encode())
    item = f"<item>{opening}1{closing}</item>\n"
    assert text(as_xml([row])).endswith(f"<items>\n{item}</items>\n")
    assert text(as_rss([row], "", "", "")).endswith(f"{item}</channel></rss>\n")


def test_a_missing_library_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)

    with pytest.raises(ApiError, match='extra "emulator"') as caught:
        require_room(1)

    assert caught.value.status == 501


def opened(pieces: Any) -> list[tuple[Any, ...]]:
    book = openpyxl.load_workbook(io.BytesIO(b"".join(pieces)), read_only=True)
    return [tuple(row) for row in book.worksheets[0].iter_rows(values_only=True)]


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters=":"), max_size=6)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
ITEMS = st.lists(
    st.dictionaries(
        TEXTS,
        st.recursive(
            LEAVES, lambda one: st.lists(one, max_size=3) | st.dictionaries(TEXTS, one, max_size=3), max_leaves=5
        ),
        min_size=1,
        max_size=4,
    ),
    min_size=1,
    max_size=4,
)


def shown(cell: Any) -> str:
    if cell is None:
        return ""
    return {True: "true", False: "false"}[cell] if isinstance(cell, bool) else str(cell)


@given(items=ITEMS, delimiter=st.sampled_from(",;\t|"))
def test_the_csv_module_reads_back_every_cell(items: list[Any], delimiter: str) -> None:
    records = rows(*items)
    written = text(as_csv(records, delimiter=delimiter))

    columns, *lines = csv.reader(io.StringIO(written, newline=""), delimiter=delimiter)

    assert columns == columns_of(records)
    assert lines == [[shown(cells_of(record).get(column)) for column in columns] for record in records]


@given(items=st.lists(st.dictionaries(st.sampled_from("abcd"), LEAVES, min_size=1), min_size=1, max_size=4))
def test_openpyxl_reads_back_every_cell(items: list[Any]) -> None:
    columns, *lines = opened(as_xlsx(rows(*items)))

    lines += [(None,) * len(columns)] * (len(items) - len(lines))  # it leaves out empty rows at the end
    for item, line in zip(items, lines, strict=True):
        for column, cell in zip(columns, line, strict=True):
            value = item.get(column)
            if isinstance(value, int | float) and not isinstance(value, bool) and not isinstance(cell, str):
                assert math.isclose(cell, value, rel_tol=1e-14)
            elif isinstance(value, int | float) and isinstance(cell, str):
                assert cell == json.dumps(value)
            else:
                assert (unescape(cell) if isinstance(cell, str) else cell) == (None if value == "" else value)


@given(items=ITEMS)
def test_an_xml_parser_finds_the_names_and_texts_of_all_items(items: list[Any]) -> None:
    root = ElementTree.fromstring(text(as_xml(rows(*items))))

    assert [element.tag for element in root] == ["item"] * len(items)
    for item, element in zip(items, root, strict=True):
        for name, value in item.items():
            if name not in {"@", "#"} and isinstance(value, int | float | str):
                assert cleaned(shown_json(value)) in [child.text or "" for child in element.findall(name_of(name))]


def shown_json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def cleaned(value: str) -> str:
    allowed = {"\t", "\n", "\r"}
    return "".join(one if (one >= " " and one not in "\ufffe\uffff") or one in allowed else "\ufffd" for one in value)


@given(items=ITEMS)
def test_an_html_parser_finds_a_row_per_item(items: list[Any]) -> None:
    counted: list[str] = []

    class Counting(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            counted.append(tag)

    records = rows(*items)
    Counting().feed(text(as_html(records)))

    columns = len(columns_of(records))
    assert (counted.count("tr"), counted.count("td")) == ((len(items) + 1, len(items) * columns) if columns else (0, 0))
