import json
from pathlib import Path

import pytest

from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Rejected
from tests.workers.formats.written import written
from workers.formats import FileTarget, Layout, convert, named, sift
from workers.formats.lines import parsed

DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
GOOD = [b'{"n":1}', b'{"lone":"\\ud800"}', b'"text"', b"null"]


def batch(*items: bytes, kept: tuple[int, ...] | None = None) -> Batch:
    return Batch(index=0, offset=10, lines=b"".join(item + b"\n" for item in items), count=len(items), kept=kept)


@pytest.mark.parametrize("word", ["jsonl", "csv", "parquet", "xlsx"])
def test_what_fits_stays_as_it_is(word: str) -> None:
    assert sift(batch(*GOOD), named(word), Layout()) == (batch(*GOOD).lines, ())


@pytest.mark.parametrize("word", ["csv.gz", "parquet", "xlsx"])
def test_what_no_table_can_hold_is_left_out_by_its_row_number(word: str) -> None:
    found = sift(batch(b"{}", b'{"a":"\xff"}', DEEP, b"1", kept=(3, 5, 8, 9)), named(word), Layout())
    assert found == (b"{}\n1\n", (Rejected(5, "it is not UTF-8"), Rejected(8, "it is nested too deeply")))


def test_json_lines_take_anything() -> None:
    odd = batch(b'"\xff"', DEEP)
    assert sift(odd, named("jsonl.gz"), Layout()) == (odd.lines, ())


@pytest.mark.parametrize(
    ("item", "columns", "size"),
    [
        ({"a": "x" * 32_767}, "evolve", 0),
        ({"a": "x" * 32_768}, "evolve", 32_768),
        ({"a": "🎈" * 16_384}, "evolve", 32_768),
        ({"a": "x" * 20_000, "b": "x" * 20_000}, "evolve", 0),
        ({"a": {"b": "x" * 32_767}}, "evolve", 32_776),
        ({"a": "x" * 32_760}, "json", 32_769),
        ("x" * 32_767, "evolve", 32_769),
    ],
    ids=["as long as may be", "longer", "two for a balloon", "two cells", "JSON", "whole", "no object"],
)
def test_a_text_too_long_for_a_cell_of_excel_is_never_cut(item: object, columns: str, size: int) -> None:
    why = f"a text of {size} characters, a cell of Excel holds 32767: write `.csv` or `.parquet`"
    raw = json.dumps(item, ensure_ascii=False).encode()
    found = sift(batch(b"{}", raw), named("xlsx"), FileTarget.model_validate({"columns": columns}))
    assert found[1] == ((Rejected(11, why),) if size else ())


def test_a_bare_cr_among_the_spaces_of_an_item_ends_no_line(tmp_path: Path) -> None:
    """Both parts of it are short enough for a cell, the item is not."""
    long = b'{"a":"%s",\r"b":"%s"}' % (b"x" * 20_000, b"y" * 20_000)
    found = sift(batch(b"{}", long), named("xlsx"), FileTarget(columns="json"))
    assert (found[0], [one.offset for one in found[1]]) == (b"{}\n", [11])


def test_items_with_a_bare_cr_are_cut_where_they_end() -> None:
    items = [b'{"n":\r%d}' % number for number in range(5)]
    rows = parsed(batch(*items).lines)
    assert [(cut.lines, len(cut.members)) for cut in rows.cut(2)] == [
        (b"".join(item + b"\n" for item in items[at : at + 2]), len(items[at : at + 2])) for at in (0, 2, 4)
    ]


def test_lines_that_were_not_sifted_are_no_bug_of_ours(tmp_path: Path) -> None:
    with pytest.raises(Permanent) as caught:
        written(tmp_path, [DEEP], "csv")
    assert (caught.value.reason, caught.value.detail) == (Reason.ITEM_REFUSED, "it is nested too deeply")


@pytest.mark.parametrize("word", ["csv", "tsv.gz", "csv.zst", "parquet", "xlsx"])
def test_the_same_items_make_the_same_bytes(tmp_path: Path, word: str) -> None:
    items = [{"n": number, "text": "x" * number, "odd": [number] if number % 7 else number} for number in range(500)]
    found = {written(tmp_path, items, word)[0].read_bytes() for _ in range(2)}
    assert len(found) == 1


@pytest.mark.parametrize("word", ["csv", "parquet", "xlsx"])
def test_packed_lines_are_converted_as_well(tmp_path: Path, word: str) -> None:
    plain, _ = written(tmp_path, [{"a": 1}], word)
    (tmp_path / "packed").write_bytes(named("jsonl.zst").packing.pack(b'{"a": 1}\n'))  # type: ignore[union-attr]  # it has one
    convert(tmp_path / "packed", tmp_path / "again", named(word), Layout())
    assert (tmp_path / "again").read_bytes() == plain.read_bytes()


@pytest.mark.parametrize("word", ["csv", "parquet", "xlsx"])
def test_a_conversion_can_be_stopped(tmp_path: Path, word: str) -> None:
    def stop() -> None:
        raise Transient(Reason.TARGET_UNAVAILABLE, "stopped")

    (tmp_path / "staged").write_bytes(b"{}\n")
    with pytest.raises(Transient):
        convert(tmp_path / "staged", tmp_path / "made", named(word), Layout(), stop)
    assert {path.name for path in tmp_path.iterdir()} <= {"staged", "made"}
