from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from workers.formats import FileTarget, Format, choosing, format_of, named
from workers.packing import GZIP, PACKINGS, ZSTD, Packing, unpacked


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("x.jsonl", Format()),
        ("x.ndjson.gz", Format("jsonl", GZIP)),
        ("X.CSV.ZST", Format("csv", ZSTD)),
        ("x.tsv", Format("tsv")),
        ("x.parquet", Format("parquet")),
        ("x.xlsx", Format("xlsx")),
        ("x", Format()),
        ("x.txt.gz", Format("jsonl", GZIP)),
        ("csv", Format()),
    ],
)
def test_the_end_of_a_name_says_the_format(name: str, format: Format) -> None:
    assert format_of(name) == format


@pytest.mark.parametrize(
    "format",
    [Format(), Format("csv", GZIP), Format("jsonl", ZSTD), Format("xlsx")],
    ids=("jsonl", "csv.gz", "jsonl.zst", "xlsx"),
)
def test_a_suffix_is_its_formats_name(format: Format) -> None:
    assert (format_of(f"x{format.suffix}"), named(format.suffix[1:])) == (format, format)


def test_a_format_says_how_it_travels() -> None:
    said = [(one.converted, one.content_type, one.content_encoding) for one in map(named, ("jsonl.zst", "csv.gz"))]
    assert said == [(False, "application/jsonl", "zstd"), (True, "text/csv; charset=utf-8", "gzip")]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "cvs",
            "no format `cvs`: there are `jsonl`, `ndjson`, `csv`, `tsv`, `parquet`, `xlsx`, the texts also with `gz`, "
            "`zst` behind a dot",
        ),
        ("parquet.gz", "a `.parquet` file is compressed by itself: leave out `.gz`"),
    ],
)
def test_a_format_that_is_none_is_said(word: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        named(word)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path": "{{ run.id }}.xlsx.gz"}, "a `.xlsx` file is compressed by itself: leave out `.gz`"),
        (
            {"per": "batch", "path": "{{ run.id }}.csv"},
            "with `per: batch` files would overwrite each other: put {{ batch.number }} into `path`",
        ),
        (
            {"per": "batch", "path": "{{ batch.count }}.csv"},
            "with `per: batch` files would overwrite each other: put {{ batch.number }} into `path`",
        ),
        ({"path": "{{ batch.number }}.csv"}, "`batch` has no meaning in `path` without `per: batch`"),
    ],
    ids=str,
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any], said: str) -> None:
    assert refused(options) == said


@pytest.mark.parametrize("options", [{"path": "{{ run.id }}.parquet"}, {"format": "parquet"}], ids=str)
def test_what_is_not_installed_is_said_before_anything_is_sent(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "find_spec", lambda name: None)
    assert refused(options) == (
        "`.parquet` needs the package `pyarrow`, which is not installed: pip install 'runrelay[parquet]'"
    )
    assert FileTarget.model_validate({"path": "{{ run.id }}.xlsx"}).format_of("x.xlsx").lacking == ""


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({}, "r.jsonl"),
        ({"format": "csv.gz"}, "r.csv.gz"),
        ({"format": "parquet", "per": "batch"}, "r/00000007.parquet"),
        ({"path": "{{ batch.index }}.csv", "per": "batch"}, "7.csv"),
        ({"path": "x.dat", "format": "csv"}, "x.dat"),
    ],
    ids=str,
)
def test_a_path_that_is_not_said_ends_like_its_format(options: dict[str, Any], path: str) -> None:
    target = FileTarget.model_validate(options)
    batch = {"index": 7, "number": "00000007"}
    assert target.path_of("{{ run.id }}").render({"run": {"id": "r"}, "batch": batch}) == path


def test_an_option_goes_before_the_path() -> None:
    assert FileTarget.model_validate({"path": "x.jsonl", "format": "csv"}).format_of("x.jsonl") == Format("csv")


@pytest.mark.parametrize("packing", PACKINGS, ids=lambda packing: packing.coding)
def test_chunks_packed_one_by_one_are_read_as_one(packing: Packing, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(packing.pack(b"1\n") + packing.pack(b"") + packing.pack(b"2\n"))
    with unpacked(path) as file:
        assert file.read() == b"1\n2\n"
    assert packing.pack(b"1\n") == packing.pack(b"1\n")


def refused(options: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        FileTarget.model_validate(options)
    return str(caught.value.errors()[0]["msg"]).removeprefix("Value error, ")
