"""What the answers of platforms have in common: links, moments, places, and what a storage host says."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from config.contracts.api import StreamedAnswer
from config.contracts.errors import NotFound, Permanent, Transient
from config.contracts.source import Key
from config.wire import files
from config.wire.links import Elsewhere, below, following
from config.wire.moments import iso, same_moment, seconds
from config.wire.places import at, first, steps

API = "https://api.example.com/v1"


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ('<https://api.example.com/v1/runs?page=2>; rel="next"', "https://api.example.com/v1/runs?page=2"),
        ('</a,b?x=1;2>; rel="prev", </c?x=1>; rel="next last"', "/c?x=1"),
        ("</d>;title=one; rel=next", "/d"),
        ('</e>; rel="nextish", </f>; REL="NEXT"', "/f"),
        ("</h>; rel='next'", "/h"),
        ("</i>; rel='last next'; title=it's", "/i"),
        ('</j>; title="x, <k>; rel=next"; rel = next', "/j"),
        ('</l>; rel="last"; rel="next"', None),
        ('</m>; rel="next', "/m"),
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
    "written",
    ["HTTPS://api.example.com/v1/runs", "https://API.example.COM/v1/runs", "https://api.example.com:443/v1/runs"],
)
def test_an_origin_is_the_same_however_it_is_written(written: str) -> None:
    assert below(API, written)[0] == below(API + "/", written)[0] == "/runs"
    assert below("https://API.example.com:443/v1", written)[0] == "/runs"


@pytest.mark.parametrize(
    ("address", "path", "query"),
    [
        ("?after=2", "/users/7/runs", [("after", "2")]),
        ("", "/users/7/runs", [("tag", "a"), ("tag", "b")]),
        ("runs?after=2", "/users/7/runs", [("after", "2")]),
        ("./runs/2", "/users/7/runs/2", []),
        ("../8/runs", "/users/8/runs", []),
        ("/v1/jobs", "/jobs", []),
        ("//api.example.com/v1/jobs", "/jobs", []),
    ],
)
def test_a_relative_address_begins_at_the_page_that_names_it(
    address: str, path: str, query: list[tuple[str, str]]
) -> None:
    found, params = below(API, address, "/users/7/runs?tag=a&tag=b")
    assert (found, list(params.items())) == (path, query)


def test_a_relative_address_leads_nowhere_else_either() -> None:
    for address in ("../../../admin", "/v2/runs", "%2e%2e/admin"):
        with pytest.raises(Elsewhere):
            below(API, address, "/users/7/runs")


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
        "https://api.example.com/v1/%2E%2e/admin",
        "https://api.example.com:99999/v1/runs",
        "https://[broken/v1/runs",
    ],
)
def test_nowhere_else_does_a_list_lead(address: str) -> None:
    with pytest.raises(Elsewhere):
        below(API, address)


@pytest.mark.timeout(10)  # a hundred times what it takes
@pytest.mark.parametrize("junk", ["\t", ",", ";", '"', "=", "<", '\\"', '"\\', "<;", '<a>;b="', "<a>;b\t", ";rel"])
def test_a_long_header_takes_no_longer_than_it_is(junk: str) -> None:
    """A parser that goes back in it would not end here."""
    for _ in range(20):
        assert following({"link": "<a>; x" + junk * (16_384 // len(junk))}) is None


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


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({"content-length": "4"}, 4),
        ({"content-length": "4", "content-encoding": "gzip"}, None),
        ({"content-length": "4", "transfer-encoding": "chunked"}, None),
        ({"content-length": "-4"}, None),
        ({}, None),
    ],
)
async def test_a_file_has_the_length_that_its_host_says_of_the_bytes_as_they_are_read(
    headers: dict[str, str], size: int | None
) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    answer = StreamedAnswer(200, {"content-type": "video/mp4", **headers}, nothing())
    document = files.document(Key("r1", "v.mp4", None), answer)
    assert (document.key, document.content_type, document.size) == ("v.mp4", "video/mp4", size)


async def test_what_no_http_can_fetch_is_a_list_of_its_address() -> None:
    document = files.reference(Key("r1", "v.mp4.url", None, "s3://bucket/v.mp4"))
    assert (document.content_type, document.size) == ("text/uri-list", 19)
    assert [chunk async for chunk in document.chunks] == [b"s3://bucket/v.mp4\r\n"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2026-01-01T00:00:00.512Z", "2026-01-01T00:00:00Z", True),
        ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00.9+01:00", True),
        ("2026-01-01T00:00:00.512Z", "2026-01-01T00:00:00.513Z", False),
        ("2026-01-01T00:00:01Z", "2026-01-01T00:00:00.999Z", False),
        ("as", "as", True),
        ("as", "2026-01-01T00:00:00Z", False),
    ],
)
def test_a_list_may_say_less_of_a_moment_than_the_run_itself(one: str, other: str, same: bool) -> None:
    assert (same_moment(one, other), same_moment(other, one)) == (same, same)
