"""`clean: true`: what is hidden or empty goes, what stays is untouched."""

import json
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.contracts.sink import Batch
from workers.routing.clean import clean


def batch(*rows: bytes) -> Batch:
    return Batch(index=3, offset=300, lines=b"".join(row + b"\n" for row in rows), count=len(rows))


def cleaned(row: bytes) -> bytes | None:
    """The row as it comes out; None if it was dropped."""
    kept, filtered = clean(batch(row))
    assert (kept.index, kept.offset, kept.count + filtered) == (3, 300, 1)
    return kept.items()[0] if kept.count else None


def test_hidden_fields_and_empty_rows_go_and_are_counted() -> None:
    rows = batch(b'{"a":1,"#b":2}', b"{}", b'{"#b":{"c":1}}', b'{"a":2}', b"null", b"[]", b'""')
    kept, dropped = clean(rows)
    assert (kept, dropped) == (replace(batch(b'{"a":1}', b'{"a":2}'), kept=(300, 303)), 5)
    assert list(kept.numbers) == [300, 303]
    assert list(rows.numbers) == list(range(300, 307))


def test_an_empty_batch_stays_empty() -> None:
    assert clean(batch()) == (batch(), 0)


@pytest.mark.parametrize(
    "row",
    [
        b'{ "a" : 1.50 , "b":[ ] }',
        b'{"n":12345678901234567890123,"f":1e999,"g":0.10}',
        b'{"a#":1,"b":"#not a name"}',
        b'{"a":{"#nested":1}}',
        b'{"a":["#text"]}',
        b'{"a":"say \\"#hi"}',
        b'{"t":"\xc3\xa5 \\u00e5 \\/ \\ud83d\\ude00"}',
        b'{"a":1,"a":2}',
        b'["#b"]',
        b'"#text"',
        b"7",
        b"false",
        b'{"#broken":1',
        b'{"#broken":1} {}',
        b'{"#broken" 1}',
        b'{"#broken":}',
        b'{"#broken":1,',
        b'{"#broken":1,"\\ud800":2]',
        b'not json "#',
        b'{"#deep":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
    ids=lambda row: repr(row[:30]),
)
def test_a_row_without_hidden_fields_keeps_every_byte(row: bytes) -> None:
    assert cleaned(row) == row


@pytest.mark.parametrize(
    ("row", "left"),
    [
        (b'{"#a":1,"n":12345678901234567890123}', b'{"n":12345678901234567890123}'),
        (b'{"#a":1,"n":' + b"9" * 5000 + b"}", b'{"n":' + b"9" * 5000 + b"}"),
        (b'{"#a":1,"f":1.50,"g":1E+5,"h":-0.0,"i":1e999}', b'{"f":1.50,"g":1E+5,"h":-0.0,"i":1e999}'),
        (b'{"#a":1,"o":{"#b" : 1}}', b'{"o":{"#b" : 1}}'),
        (b'{"#":1,"b":null}', b'{"b":null}'),
        (b'{"\\u0023a":1,"b":2}', b'{"b":2}'),
        ('{"#å":1,"å":"ø"}'.encode(), '{"å":"ø"}'.encode()),
        (b'{"#a":1,"t":"\\ud800"}', b'{"t":"\\ud800"}'),
        (b'{"t":"\\ud800" , "#a":"\\udfff"}', b'{"t":"\\ud800"}'),
        (
            b'{ "#a":1 , "\\ud800" : [1, 2.50] , "\\u0023c": {} , "n":%s }' % (b"9" * 5000),
            b'{"\\ud800" : [1, 2.50],"n":%s}' % (b"9" * 5000),
        ),
        (b'{"#a":"\\ud800"}', None),
        (b'{"#\xff":1,"b":2}', b'{"b":2}'),
        (b'{"#a":1,"t":"\xff\\ud800"}', b'{"t":"\xff\\ud800"}'),
    ],
    ids=lambda row: repr(row)[:30],
)
def test_of_a_row_with_hidden_fields_the_rest_stays_as_written(row: bytes, left: bytes | None) -> None:
    assert cleaned(row) == left


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.text(st.characters(exclude_categories=()), max_size=4) | st.text(max_size=3).map("#".__add__)


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=5), st.booleans(), st.sampled_from([None, (",", ":"), (" , ", " : ")]))
@example({"#a": "\ud800", "b": 2**80}, True, None)
def test_exactly_the_visible_fields_are_left(
    fields: dict[str, object], ascii_only: bool, separators: tuple[str, str] | None
) -> None:
    text = json.dumps(fields, ensure_ascii=ascii_only, separators=separators)
    visible = {name: value for name, value in fields.items() if not name.startswith("#")}
    left = cleaned(text.encode("utf-8", "surrogatepass"))
    assert json.loads(left.decode("utf-8", "surrogatepass") if left else "{}") == visible
