"""Every error type that Apify's reference lists or shows, at every status it shows, with its verdict.

`apify_error_types.txt` holds the 389 names of the reference's ErrorType and the two its examples add;
`apify_verdicts.txt` what becomes of each: a line for each type, a column for each status.
"""

import json
from pathlib import Path

import pytest

from config.contracts.errors import Forbidden, NotFound, NotYet, Permanent, Transient, Unauthorized, WorkError
from config.sources.apify.refusals import FAMILIES, NAMES, Family
from config.sources.apify.verdict import verdict

HERE = Path(__file__).parent
TYPES = (HERE / "apify_error_types.txt").read_text().split()
#: What the pages of Run Actor, Get run, Get last run and Delete run show.
STATUSES = (400, 401, 403, 404, 405, 413, 415, 429)
WORDS: dict[type[WorkError], str] = {
    Transient: "again",
    NotYet: "not-yet",
    Unauthorized: "pause",
    Forbidden: "forbidden",
    NotFound: "gone",
    Permanent: "never",
}


def word(status: int, kind: str) -> str:
    body = json.dumps({"error": {"type": kind, "message": "because"}}).encode()
    return WORDS[type(verdict(status, {}, body))]


def table() -> list[str]:
    """`again` and so on, for each type at each status."""
    head = " ".join(["type", *map(str, STATUSES)])
    return [head, *(" ".join([kind, *(word(status, kind) for status in STATUSES)]) for kind in TYPES)]


def test_the_reference_lists_389_types_and_shows_two_more() -> None:
    assert len(TYPES) == len(set(TYPES)) == 391
    assert {"token-not-valid", "permission-denied"} <= set(TYPES)


def test_each_type_belongs_to_one_family_and_none_is_invented() -> None:
    named = [name for names in NAMES.values() for name in names.split()]
    assert sorted(named) == sorted(TYPES)
    assert set(FAMILIES.values()) == set(Family)


def test_every_type_at_every_status_has_the_verdict_written_down() -> None:
    """After a change on purpose, write `table()` there and read the difference."""
    assert table() == (HERE / "apify_verdicts.txt").read_text().splitlines()


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        # Run Actor
        (400, "invalid-input", "never"),
        (401, "token-not-valid", "pause"),
        (403, "permission-denied", "forbidden"),
        (404, "actor-not-found", "gone"),
        (405, "method-not-allowed", "never"),
        (413, "request-too-large", "never"),
        (415, "unsupported-content-encoding", "never"),
        (429, "rate-limit-exceeded", "again"),
        # Get run, Get last run and Delete run, where they differ
        (401, "invalid-token", "pause"),
        (403, "insufficient-permissions", "forbidden"),
        (404, "record-not-found", "gone"),
        (400, "run-failed", "never"),
    ],
)
def test_what_the_pages_show_as_examples(status: int, kind: str, expected: str) -> None:
    assert word(status, kind) == expected


BY_STATUS = {
    "never": (304, 400, 405, 409, 413, 415, 418, 501),
    "pause": (401, 402),
    "forbidden": (403,),
    "gone": (404, 410),
    "again": (408, 425, 429, 500, 502, 503, 504, 599),
}


@pytest.mark.parametrize(("expected", "statuses"), BY_STATUS.items())
def test_a_type_nobody_has_heard_of_leaves_it_to_the_status(expected: str, statuses: tuple[int, ...]) -> None:
    assert [word(status, "never-heard-of-it") for status in statuses] == [expected] * len(statuses)
