"""What the answers of platforms have in common: links, moments, places, and what a storage host says."""

from typing import Any

import pytest

from config.contracts.errors import NotFound, Permanent, Transient
from config.wire import files
from config.wire.links import Elsewhere, below, following
from config.wire.moments import iso, seconds
from config.wire.places import at, first, steps

API = "https://api.example.com/v1"


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ('<https://api.example.com/v1/runs?page=2>; rel="next"', "https://api.example.com/v1/runs?page=2"),
        ('</a,b?x=1;2>; rel="prev", </c?x=1>; rel="next last"', "/c?x=1"),
        ("</d>;title=one; rel=next", "/d"),
        ('</e>; rel="nextish", </f>; REL="NEXT"', "/f"),
        ('</g>; rel="last"', None),
        ("", None),
        ("nonsense <", None),
    ],
)
def test_the_address_of_the_next_page_is_found(header: str, address: str | None) -> None:
    assert following({"link": header}) == address


def test_an_address_below_the_api_is_a_path_and_its_parameters() -> None:
    path, params = below(API, "https://api.example.com/v1/runs?tag=a&tag=b&after=&q=%C3%A4")
    assert (path, list(params.items())) == ("/runs", [("tag", "a"), ("tag", "b"), ("after", ""), ("q", "ä")])
    assert below(API, "/v1/runs?x=1")[0] == "/runs"
    assert below(API, "runs/next")[0] == "/runs/next"


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/v1/runs",
        "http://api.example.com/v1/runs",
        "https://api.example.com:444/v1/runs",
        "https://api.example.com@evil.example/v1/runs",
        "//evil.example/v1/runs",
        "https://api.example.com/v2/runs",
        "https://api.example.com/v1x/runs",
        "https://api.example.com/v1/%2e%2e/admin/../x",
        "https://[broken/v1/runs",
    ],
)
def test_nowhere_else_does_a_list_lead(address: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        below(API, address)
    assert issubclass(Elsewhere, ValueError)


@pytest.mark.parametrize(
    ("written", "moment", "text"),
    [
        (1735689600, 1735689600.0, "2025-01-01T00:00:00.000Z"),
        (1735689600123, 1735689600.123, "2025-01-01T00:00:00.123Z"),
        ("1735689600", 1735689600.0, "2025-01-01T00:00:00.000Z"),
        (1735689600.5, 1735689600.5, "2025-01-01T00:00:00.500Z"),
        ("2025-01-01T00:00:00Z", 1735689600.0, "2025-01-01T00:00:00Z"),
        ("2025-01-01T02:00:00+02:00", 1735689600.0, "2025-01-01T02:00:00+02:00"),
        ("2025-01-01 00:00:00", 1735689600.0, "2025-01-01 00:00:00"),
    ],
)
def test_a_moment_is_read_however_it_is_written(written: Any, moment: float, text: str) -> None:
    assert (seconds(written), iso(written)) == (moment, text)


@pytest.mark.parametrize("written", ["soon", "", True, None, [], -1, 1e300, float("nan"), "9" * 400])
def test_what_is_no_moment_is_none(written: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        seconds(written)


def test_places_lead_through_keys_and_lists_and_never_break() -> None:
    found = {"a": [{"b": 0}, {"0": "x"}], "n": None}
    assert at(found, steps("a.0.b")) == 0
    assert at(found, steps("a.1.0")) == "x"
    assert [at(found, steps(place)) for place in ("a.7", "a.b", "n.x", "a.0.b.c")] == [None] * 4
    assert first(found, ["n", "a.0.b", "a"]) == 0
    assert first(found, []) is None


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, NotFound) for status in (400, 401, 403, 404, 410)),
        *((status, Transient) for status in (408, 425, 429, 500, 502, 503)),
        *((status, Permanent) for status in (405, 416, 451)),
    ],
)
def test_a_storage_host_says_whether_an_address_is_over_and_nothing_of_our_token(
    status: int, verdict: type[Exception]
) -> None:
    found = files.verdict(status, {"retry-after": "7"}, b"")
    assert type(found) is verdict
    assert getattr(found, "retry_after", 7.0) == 7.0
