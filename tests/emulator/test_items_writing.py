"""JSON and JSON Lines of any window are the pushed bytes; `desc`, `offset` and `limit` pick rows like a slice does."""

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emulator.datasets import Datasets
from emulator.items.reading import Reading
from emulator.items.writing import Records, Source, written
from emulator.query import Query

NUMBERS = st.sampled_from(["1.10", "-0", "1E400", "12345678901234567890123", "0.30000000000000004"])
TEXTS = st.text(max_size=5).map(json.dumps)
VALUES = NUMBERS | TEXTS | st.just("[ ]") | st.just('{"x":  1.0, "y":2}') | st.just('"\\ud800"')
ROWS = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "#h"]), VALUES, max_size=3).map(
        lambda members: ("{" + ", ".join(f'"{name}": {value}' for name, value in members.items()) + "}").encode()
    ),
    max_size=12,
)


def body(rows: list[bytes], query: dict[str, Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        datasets = Datasets(Path(folder))
        datasets.create("d")
        datasets.append("d", rows)
        reading = Reading.of(Query({name: str(value) for name, value in query.items()}), None)
        window = datasets.window("d", len(rows), reading.offset, reading.limit, desc=reading.desc)
        return b"".join(written(Records(window, reading), Source("d", "d", "http://127.0.0.1/d")))


@given(rows=ROWS, offset=st.integers(0, 14), limit=st.integers(1, 14), desc=st.sampled_from([0, 1]))
def test_any_window_is_the_slice_byte_by_byte(rows: list[bytes], offset: int, limit: int, desc: int) -> None:
    window = {"offset": offset, "limit": limit, "desc": desc}
    expected = (rows[::-1] if desc else rows)[offset : offset + limit]

    assert body(rows, {**window, "format": "jsonl"}) == b"".join(row + b"\n" for row in expected)
    assert body(rows, {**window, "format": "json"}) == b"[" + b",\n".join(expected) + b"]"


@given(rows=ROWS, clean=st.booleans(), field=st.sampled_from(["a", "b", "#h"]))
def test_chosen_members_keep_the_bytes_they_were_pushed_with(rows: list[bytes], clean: bool, field: str) -> None:
    lines = body(rows, {"format": "jsonl", "fields": field, "clean": clean}).splitlines()

    def text_of(row: bytes) -> str | None:
        found = row.decode().partition(f'"{field}": ')[2]
        return found and found[: json.JSONDecoder(parse_int=str, parse_float=str).raw_decode(found)[1]]

    texts = ["" if clean and field == "#h" else text_of(row) for row in rows]
    expected = [f'{{"{field}":{text}}}' if text else "{}" for text in texts]
    assert [line.decode() for line in lines] == [line for line in expected if not clean or line != "{}"]
