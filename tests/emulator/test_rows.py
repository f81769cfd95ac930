import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import ApiError
from emulator.items.transformation import Transformation
from emulator.rows import MAX_DEPTH, is_clean, members_of, split_rows

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ITEMS = st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=5)


@given(items=ITEMS, indent=st.sampled_from([None, 2]), ascii_=st.booleans())
def test_splits_any_array_of_objects_into_lines_that_mean_the_same(
    items: list[object], indent: int, ascii_: bool
) -> None:
    body = json.dumps(items, indent=indent, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")

    rows = split_rows(body)

    assert [json.loads(row) for row in rows] == items
    assert not any(b"\n" in row for row in rows)


def test_keeps_numbers_spacing_and_key_order_as_sent() -> None:
    body = b' [ {"b": 12345678901234567890123, "a":1.10} , {"x":1e400}] '

    assert split_rows(body) == [b'{"b": 12345678901234567890123, "a":1.10}', b'{"x":1e400}']


def test_takes_a_single_object_and_half_surrogate_pairs() -> None:
    assert split_rows(b'{"a": "\\ud800"}') == [b'{"a": "\\ud800"}']
    assert is_clean(members_of(b'{"a": "\\ud800"}'))
    assert list(Transformation(omit=("b",)).apply([b'{"a":"\\ud800","b":1}'])) == [b'{"a":"\\ud800"}']


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"5",
        b"[5]",
        b'[{"a":1},]',
        b'[{"a":1}',
        b'[{"a":1} {"b":2}]',
        b'[{"a":1}]x',
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b'{"a":"x\ny"}',
        b"[",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_refuses_what_is_not_json_objects(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        split_rows(body)

    assert (caught.value.status, caught.value.type) == (400, "invalid-input")


@pytest.mark.parametrize(("left", "right"), [('{"a":', "}"), ("[", "]")])
def test_refuses_rows_that_are_deeper_than_every_format_can_follow(left: str, right: str) -> None:
    def nested(levels: int) -> bytes:
        return f'{{"x":{left * (levels - 1)}"{{["{right * (levels - 1)}}}'.encode()

    assert split_rows(nested(MAX_DEPTH)) == [nested(MAX_DEPTH)]
    assert len(split_rows(b"[" + b",".join([b'{"a":[1]}'] * MAX_DEPTH) + b"]")) == MAX_DEPTH
    assert split_rows(b'{"a":[' + b",".join([b"{}"] * MAX_DEPTH) + b"]}")
    for levels in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(ApiError, match="takes 500 levels"):
            split_rows(nested(levels))


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (Transformation(fields=("c", "a")), [b'{"c":3,"a":1}', b"{}", b'{"a":5}']),
        (Transformation(omit=("a",)), [b'{"#b":2,"c":3}', b"{}", b"{}"]),
        (Transformation(fields=("a", "c"), omit=("a",)), [b'{"c":3}', b"{}", b"{}"]),
        (Transformation(skip_hidden=True), [b'{"a":1,"c":3}', b"{}", b'{"a": 5}']),
        (Transformation(skip_empty=True), [b'{"a": 1, "#b": 2, "c": 3}', b'{"a": 5}']),
        (Transformation(omit=("a",), skip_hidden=True, skip_empty=True), [b'{"c":3}']),
    ],
)
def test_chooses_fields_and_rows(kept: Transformation, expected: list[bytes]) -> None:
    rows = [b'{"a": 1, "#b": 2, "c": 3}', b"{}", b'{"a": 5}']

    assert list(kept.apply(rows)) == expected


def test_a_row_is_clean_when_something_in_it_is_not_hidden() -> None:
    assert [is_clean(members_of(row)) for row in (b"{}", b'{"#a":1}', b'{"#a":1,"b":null}')] == [False, False, True]
