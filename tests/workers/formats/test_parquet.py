import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from tests.workers.formats.items import ITEMS
from tests.workers.formats.table import as_text, expected
from tests.workers.formats.written import PIECES, written
from workers.formats import Written

#: Prints the most memory it ever used, in MiB, after writing a file of so many MiB.
MEASURE = """
import sys
from pathlib import Path
from workers.formats import Layout, convert, named
staged, size = Path(sys.argv[1]) / "staged", int(sys.argv[2])
text = b"x%07d" * 120
with staged.open("wb") as file:
    for number in range(size << 10):
        line = b'{"n":%d,"price":%d.25,"text":"%s"}\\n' % (number, number, (text % ((number,) * 120))[:960])
        file.write(line)
written = convert(staged, Path(sys.argv[1]) / "made.parquet", named("parquet"), Layout())
# proc(5): what getrusage says is not less than the parent had at the fork
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
print(written.rows, int(peak.split()[1]) >> 10)
"""


def types(path: Path) -> dict[str, str]:
    return {field.name: str(field.type) for field in pq.read_schema(path)}


def rows(path: Path) -> list[list[Any]]:
    table = pq.read_table(path, use_threads=False)
    columns = [table.column(number).to_pylist() for number in range(table.num_columns)]
    return [list(row) for row in zip(*columns, strict=True)]


@settings(max_examples=150)
@given(items=ITEMS, pieces=PIECES)
def test_what_is_read_back_is_what_the_items_say(items: list[Any], pieces: tuple[int, int]) -> None:
    with TemporaryDirectory() as folder:
        path, counted = written(Path(folder), items, "parquet", pieces)
        header, found = list(pq.read_schema(path).names), rows(path)
    names, texts = expected(items, as_text)
    assert header == names
    assert [[_said(cell) for cell in row] for row in found] == [[_spoken(cell) for cell in row] for row in texts]
    assert counted.rows == len(items)


def _said(cell: Any) -> Any:
    """Whatever type it has there, what it says."""
    return _spoken(cell if cell is None or isinstance(cell, str) else json.dumps(cell))


def _spoken(text: str | None) -> Any:
    """JSON is compared by its value; `1` and `1.0` are one number, and so are `0` and `-0.0`."""
    try:
        return json.loads(text) if text else text
    except ValueError:
        return text


@pytest.mark.parametrize("pieces", [(1 << 20, 1 << 20), (1, 1)], ids=["at once", "one by one"])
@pytest.mark.parametrize(
    ("values", "type", "read"),
    [
        (["1", "null", "-9223372036854775808", "9223372036854775807"], "int64", [1, None, -(1 << 63), (1 << 63) - 1]),
        (["1", "9223372036854775808"], "string", ["1", "9223372036854775808"]),
        (["1", "0.1", "1E3", "-0.0"], "double", [1.0, 0.1, 1000.0, -0.0]),
        (["0.1", "9007199254740992"], "double", [0.1, 9007199254740992.0]),
        (["0.1", "9007199254740993"], "string", ["0.1", "9007199254740993"]),
        (["0.1000000000000000055511151231257827"], "string", ["0.1000000000000000055511151231257827"]),
        (["0.10", "1e400"], "string", ["0.10", "1e400"]),
        (["1E-400"], "string", ["1E-400"]),
        (["0e9", "0.000"], "double", [0.0, 0.0]),
        (["true", "null", "false"], "bool", [True, None, False]),
        (["true", "1"], "string", ["true", "1"]),
        (['"a"', '""', "null"], "string", ["a", "", None]),
        (['"a"', "1.50", "[1, 2]", '{"b":null}', "true"], "string", ["a", "1.50", "[1, 2]", '{"b":null}', "true"]),
        ([r'"\ud800"', r'"\u00fc"'], "string", [r'"\ud800"', "ü"]),
        (["null"], "string", [None]),
    ],
    ids=str,
)
def test_a_type_is_what_all_values_share_without_a_loss(
    tmp_path: Path, values: list[str], type: str, read: list[Any], pieces: tuple[int, int]
) -> None:
    path, _ = written(tmp_path, [b'{"v":%s}' % value.encode() for value in values], "parquet", pieces)
    assert (types(path), [row[0] for row in rows(path)]) == ({"v": type}, read)


def test_a_member_that_only_late_items_have_is_a_column(tmp_path: Path) -> None:
    path, _ = written(tmp_path, [{"a": 1}] * 3 + [{"b": "x"}], "parquet")
    assert (types(path), rows(path)) == ({"a": "int64", "b": "string"}, [[1, None]] * 3 + [[None, "x"]])


@pytest.mark.parametrize(
    ("items", "read"),
    [([], []), ([{}, {}], [["{}"], ["{}"]]), ([5, {"a": 1}], [[None, "5"], [1, None]])],
    ids=["no items", "no members", "no object"],
)
def test_no_item_is_lost(tmp_path: Path, items: list[Any], read: list[Any]) -> None:
    path, counted = written(tmp_path, items, "parquet")
    assert (rows(path), counted) == (read, Written(rows=len(items), bytes=path.stat().st_size))


def test_what_is_beyond_the_last_column_stands_in_the_rest(tmp_path: Path) -> None:
    path, _ = written(tmp_path, [{f"c{number}": number for number in range(5000)}, {"late": "x"}], "parquet")
    assert (len(types(path)), rows(path)[1][-1]) == (5001, '{"late":"x"}')


def test_an_item_can_stay_whole(tmp_path: Path) -> None:
    path, _ = written(tmp_path, [b'{"a": [1,2]}', b'"x"'], "parquet", columns="json")
    assert (types(path), rows(path)) == ({"item": "string"}, [['{"a": [1,2]}'], ['"x"']])


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), "64"], capture_output=True, text=True, check=True
    )
    count, most = map(int, measured.stdout.split())
    assert (count, most < 250) == (64 << 10, True)
