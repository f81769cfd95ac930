import json
import time
from pathlib import Path

import pytest

from emulator.datasets import Datasets

ROWS = [json.dumps({"n": n}).encode() for n in range(2345)]


@pytest.fixture
def datasets(tmp_path: Path) -> Datasets:
    datasets = Datasets(tmp_path)
    datasets.create("d")
    return datasets


@pytest.mark.parametrize("desc", [False, True])
@pytest.mark.parametrize(
    ("offset", "limit"), [(0, 10**12), (0, 0), (0, 1), (999, 2), (1000, 1000), (2344, 5), (2345, 1), (9999, 9)]
)
def test_any_window_is_the_slice_of_all_rows(datasets: Datasets, offset: int, limit: int, desc: bool) -> None:
    datasets.append("d", ROWS[:1500])
    datasets.append("d", ROWS[1500:])
    expected = (ROWS[::-1] if desc else ROWS)[offset : offset + limit]

    window = datasets.window("d", datasets.count("d"), offset, limit, desc=desc)

    assert list(window.rows(desc=desc)) == expected
    assert len(window) == len(expected)
    if not desc:
        assert b"".join(window.pieces()) == b"".join(row + b"\n" for row in expected)


def test_large_rows_are_read_one_by_one_in_both_directions(datasets: Datasets) -> None:
    large = [json.dumps({"n": n, "pad": "x" * 2000}).encode() for n in range(1500)]
    datasets.append("d", large)

    window = datasets.window("d", 1500, 10, 1480)

    assert window.size == sum(len(row) + 1 for row in large[10:1490])
    assert list(window.rows()) == large[10:1490]
    assert list(window.rows(desc=True)) == large[1489:9:-1]


def test_what_a_torn_write_left_is_cut_off_by_the_next_one(datasets: Datasets, tmp_path: Path) -> None:
    datasets.append("d", ROWS[:3])
    with (tmp_path / "d" / "items.jsonl").open("ab") as items, (tmp_path / "d" / "items.index").open("ab") as index:
        items.write(b'{"torn')
        index.write(b"\x01\x02\x03")
    assert datasets.count("d") == 3

    datasets.append("d", ROWS[3:5])

    assert list(datasets.window("d", 5, 0, 10).rows()) == ROWS[:5]


def test_an_empty_push_changes_nothing(datasets: Datasets) -> None:
    datasets.append("d", [])

    assert (datasets.count("d"), list(datasets.window("d", 0, 0, 10).rows())) == (0, [])


def test_rows_come_into_sight_after_the_lag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    datasets = Datasets(tmp_path, lag=5.0)
    datasets.create("d")
    seen = []
    for moment, pushed in [(100.0, 2), (103.0, 3), (104.9, 0), (105.0, 0), (108.0, 1), (113.0, 0)]:
        now = moment
        if pushed:
            datasets.append("d", ROWS[:pushed])
        seen.append(datasets.visible("d"))

    assert seen == [0, 0, 0, 2, 5, 6]
    assert datasets.count("d") == 6


def test_a_deleted_dataset_leaves_nothing(datasets: Datasets, tmp_path: Path) -> None:
    datasets.append("d", ROWS[:3])

    datasets.delete("d")

    assert not (tmp_path / "d").exists()
