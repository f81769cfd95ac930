"""The page of bad inputs promises tests; they exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| what comes |")]
TESTS = {
    name
    for file in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^ *(?:async )?def (test_\w+)\(", file.read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("row", ROWS, ids=[row.split("|")[1].strip()[:60] for row in ROWS])
def test_every_row_names_tests_that_exist(row: str) -> None:
    named = re.findall(r"`(test_\w+)`", row.rsplit("|", 2)[1])
    assert named
    assert set(named) <= TESTS


def test_every_test_of_connections_proves_a_row() -> None:
    """Those that show what is still taken, or how one row meets another, prove none."""
    ours = set(re.findall(r"^async def (test_\w+)\(", (ROOT / "tests/receiver/test_protocol.py").read_text(), re.M))
    assert {name for name in ours if name not in PAGE} == {
        "test_a_body_that_ends_in_garbage_is_a_sender_that_left",
        "test_the_sender_of_large_headers_gets_to_read_why_though_it_sends_all_of_them_first",
        "test_who_was_refused_already_is_not_answered_twice",
        "test_a_late_head_waits_for_the_answer_before_it",
        "test_a_whole_request_byte_by_byte_is_taken_if_it_comes_in_time",
        "test_an_empty_line_after_a_request_does_not_keep_the_connection_for_ever",
        "test_headers_just_below_16_kib_are_taken",
    }
