"""Datasets whose rows are computed when they are read."""

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.datasets import Datasets
from emulator.errors import ApiError
from emulator.items.generated import DEFAULT_ITEM, Generated
from tests.emulator.conftest import Emulator, StartEmulator

ITEM = {"{{row}}": "{{row}}", "text": 'no. {{row}} "{{row}}" ü', "#hidden": True, "deep": [{"row": "{{row}}"}]}


def expected(row: int) -> dict[str, Any]:
    return {str(row): row, "text": f'no. {row} "{row}" ü', "#hidden": True, "deep": [{"row": row}]}


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 0), (0, 1), (7, 12), (0, 1000), (999, 1001), (1000, 2000), (998, 3003), (4_999_990, 5_000_000)],
)
@pytest.mark.parametrize("desc", [False, True])
def test_every_window_holds_the_rows_of_its_numbers(tmp_path: Path, start: int, stop: int, desc: bool) -> None:
    datasets = Datasets(tmp_path)
    datasets.create("d")
    datasets.generate("d", 5_000_000, ITEM)

    window = datasets.window("d", 5_000_000, start, stop - start)

    rows = [expected(row) for row in range(start, stop)]
    assert (len(window), datasets.count("d"), datasets.size("d")) == (len(rows), 5_000_000, 0)
    assert [json.loads(line) for line in b"".join(window.pieces()).splitlines()] == rows
    assert [json.loads(line) for line in window.rows(desc=desc)] == (rows[::-1] if desc else rows)


def test_it_survives_a_restart_and_takes_no_items(tmp_path: Path) -> None:
    before = Datasets(tmp_path)
    before.create("d")
    before.generate("d", 3)

    after = Datasets(tmp_path)

    assert after.generated("d") == before.generated("d")
    assert after.count("d") == 3
    with pytest.raises(ApiError, match="takes no items"):
        after.append("d", [b"{}"])
    with pytest.raises(ApiError, match="empty"):
        after.generate("d", 5)
    after.delete("d")
    after.create("d")
    assert (after.generated("d"), after.count("d")) == (None, 0)


def test_generated_rows_lag_like_pushed_ones(tmp_path: Path) -> None:
    datasets = Datasets(tmp_path, lag=3600)
    datasets.create("d")
    datasets.generate("d", 3)

    assert (datasets.visible("d"), datasets.count("d")) == (0, 3)


def test_the_product_of_the_house_has_about_a_thousand_bytes() -> None:
    product = Generated.of(1, DEFAULT_ITEM)

    assert 950 < product.size_of(1) < 1050
    assert product.is_clean
    assert not Generated.of(1, {"#h": 1}).is_clean


@pytest.fixture
async def emulator(start_emulator: StartEmulator) -> Emulator:
    return await start_emulator()


async def test_two_hundred_thousand_rows_are_served_like_any_others(emulator: Emulator) -> None:
    made = await emulator.post("/emulator/datasets", {"rows": 200_000, "name": "large", "item": {"n": "{{row}}"}})
    items = f"/v2/datasets/{made.data['id']}/items"

    assert (made.status, made.data["itemCount"], made.data["cleanItemCount"], made.data["fields"]) == (
        *(201, 200_000, 200_000),
        ["n"],
    )
    whole = await emulator.get(f"{items}?format=jsonl")
    assert whole.body == b"".join(b'{"n":%d}\n' % row for row in range(200_000))
    assert (await emulator.get(items)).json == [{"n": row} for row in range(200_000)]
    page = await emulator.get(f"{items}?offset=150000&limit=3&desc=1&fields=n&outputFields=m")
    assert page.json == [{"m": 49_999}, {"m": 49_998}, {"m": 49_997}]
    assert (page.headers["x-apify-pagination-total"], page.headers["x-apify-pagination-count"]) == ("200000", "3")
    assert (await emulator.get(f"{items}?format=csv&bom=0&offset=199999")).body == b"n\n199999\n"
    assert (await emulator.post(items, {"n": 1})).error == (400, "dataset-locked")
    assert (await emulator.post("/emulator/datasets", {"rows": 1, "name": "large"})).error == (400, "dataset-locked")


@pytest.mark.parametrize("body", [{}, {"rows": 0}, {"rows": "5"}, {"rows": 5, "item": []}, {"rows": 5, "more": 1}])
async def test_what_cannot_be_generated_is_refused(emulator: Emulator, body: Any) -> None:
    assert (await emulator.post("/emulator/datasets", body)).error == (400, "invalid-input")
