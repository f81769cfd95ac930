"""The matrix tells what ran, and nothing else."""

from tests.matrix import drawn, matrix, promises

PLACE = "tests/workers/sinks/test_"


def test_each_class_has_a_row_and_each_promise_a_column() -> None:
    rows = matrix(
        {
            f"{PLACE}sqlite.py::TestSqlite::test_takes_every_item_in_order": "+",
            f"{PLACE}sqlite.py::TestTwice::test_something_of_its_own": "+",
            f"{PLACE}file.py::TestCsv::test_an_empty_dataset_is_no_error[gz]": "+",
            f"{PLACE}file.py::TestCsv::test_an_empty_dataset_is_no_error[zst]": "X",
            "tests/config/test_x.py::TestX::test_takes_every_item_in_order": "+",
        }
    )
    assert rows == {
        "sqlite Sqlite": {"test_takes_every_item_in_order": "+"},
        "file Csv": {"test_an_empty_dataset_is_no_error": "X"},
    }
    lines = list(drawn(rows))
    assert lines[1].split()[:2] == ["file", "Csv"]
    assert lines[1].count("X") == 1
    assert lines[2].count("+") == 1
    assert len(lines) == 5 + len(promises())
