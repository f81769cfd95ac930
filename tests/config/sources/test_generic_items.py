"""Rows of a platform that the file describes, whatever way its lists go on."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from aiohttp import web

from config.contracts.api import TooLarge
from config.contracts.errors import Permanent, Transient
from config.contracts.source import Count, Page
from config.sources.generic import GenericSource
from tests.config.sources.generic_place import DATE, DATE_SECONDS, NOW, TOKEN, Generic, run, source
from workers.fetch.api import HttpApi

ROWS = [{"n": n, "text": f"å{n}"} for n in range(23)]
WAYS: dict[str, Any] = {
    "offset": {"style": "offset", "size": 5},
    "page": {"style": "page", "size": 5},
    "cursor": {"style": "cursor", "next": "next", "limit": "limit", "size": 5},
    "link": "link",
    "next": {"style": "next", "at": "next"},
    "all": None,
}
TOTALS = [None, "found.total"]
MOST = 2**20


def listed(
    made: Generic, way: str, total: str | None = None, *, optional: bool = False
) -> tuple[GenericSource, HttpApi]:
    shape: dict[str, Any] = {"fetch": f"/{way}", "at": "found.rows", "paging": WAYS[way], "total": total}
    shape["optional"] = optional
    return made.source({"items": shape})


async def page(source: GenericSource, api: HttpApi, offset: int, limit: int, most: int = MOST) -> Page:
    return await source.page(api, run(), "r1", offset=offset, limit=limit, most=most)


def numbers(found: Page) -> list[int]:
    return [json.loads(line)["n"] for line in found.lines.splitlines()]


@pytest.mark.parametrize("total", TOTALS)
@pytest.mark.parametrize("way", WAYS)
async def test_any_stretch_of_rows_is_the_same_stretch_of_the_list(made: Generic, way: str, total: str | None) -> None:
    made.lists(ROWS, most=3)
    platform, api = listed(made, way, total)
    for offset, limit in [(0, 7), (7, 7), (21, 7), (5, 1), (4, 19), (0, 100), (22, 3), (23, 3), (11, 4), (3, 3)]:
        found = await page(platform, api, offset, limit)
        assert numbers(found) == [row["n"] for row in ROWS[offset : offset + limit]], (offset, limit)
        assert found.count == found.scanned == len(numbers(found))
        assert found.at == DATE_SECONDS
        told = offset + limit > 23 or (way == "offset" and total)
        assert found.total == 23 if told else offset + limit <= found.total <= 23
        assert await platform.count(api, run(), "r1") == Count(rows=23, at=DATE_SECONDS)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "all"])
async def test_reading_in_order_asks_for_each_page_about_once(made: Generic, way: str) -> None:
    made.lists(ROWS, most=5)
    platform, api = listed(made, way)
    for offset in range(0, 23, 2):
        await page(platform, api, offset, 2)
    assert len(made.asked) <= 5 + 2, made.asked  # five pages, and where the list ends is asked for anew


@pytest.mark.parametrize("way", WAYS)
async def test_rows_that_come_late_are_seen(made: Generic, way: str) -> None:
    made.lists(ROWS[:4])
    platform, api = listed(made, way)
    assert (await page(platform, api, 0, 10)).count == 4
    made.lists(ROWS[:6])
    assert numbers(await page(platform, api, 4, 10)) == [4, 5]
    made.lists(ROWS)
    assert (await platform.count(api, run(), "r1")).rows == 23


async def test_who_begins_anew_reads_anew(made: Generic) -> None:
    made.lists(ROWS)
    platform, api = listed(made, "next")
    assert numbers(await page(platform, api, 0, 2)) == [0, 1]
    made.lists(ROWS[5:])
    assert numbers(await page(platform, api, 0, 2)) == [5, 6]


async def test_a_numbered_page_that_fills_up_later_is_asked_for_again(made: Generic) -> None:
    made.lists(ROWS[:7], most=5)
    platform, api = listed(made, "page")
    assert (await page(platform, api, 0, 7)).count == 7
    made.lists(ROWS[:12], most=5)
    assert numbers(await page(platform, api, 7, 10)) == [7, 8, 9, 10, 11]


@pytest.mark.parametrize("way", WAYS)
async def test_an_empty_list_has_no_rows(made: Generic, way: str) -> None:
    made.lists([])
    platform, api = listed(made, way)
    assert await page(platform, api, 0, 10) == Page(lines=b"", count=0, scanned=0, total=0, at=DATE_SECONDS)
    assert (await platform.count(api, run(), "r1")).rows == 0


async def test_many_who_read_at_once_get_what_they_asked_for(made: Generic) -> None:
    made.lists(ROWS, most=3)
    platform, api = listed(made, "next")
    found = await asyncio.gather(*(page(platform, api, offset, 4) for offset in (0, 4, 8, 12, 16, 20)))
    assert [n for one in found for n in numbers(one)] == list(range(23))


async def test_a_cursor_that_is_over_leads_to_the_beginning(made: Generic) -> None:
    made.lists(ROWS, most=3)
    platform, api = listed(made, "cursor")
    await page(platform, api, 0, 10)
    for row in range(3, 23, 3):
        made.given[f"/v1/cursor?limit=5&cursor=c{row}"] = made.given["/v1/cursor"]
    made.says("/cursor?limit=5&cursor=c12", {"message": "the cursor is over"}, status=400)
    again = made.given.pop("/v1/cursor?limit=5&cursor=c12")

    def once(request: Any) -> Any:
        del made.given["/v1/cursor?limit=5&cursor=c12"]
        return again(request)

    made.given["/v1/cursor?limit=5&cursor=c12"] = once
    assert numbers(await page(platform, api, 12, 4)) == [12, 13, 14, 15]


async def test_rows_keep_their_text(made: Generic) -> None:
    exact = b'{"price": 1.10, "big": 123456789012345678901234567890, "e": 1E2, "text": "\\u00e5"}'
    made.says("/all", b'{"found": {"rows": [\n' + exact + b',\r\n {"a":\n 1.0}]}}')
    platform, api = listed(made, "all")
    assert (await page(platform, api, 0, 5)).lines == exact + b'\n{"a":1.0}\n'


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"null", b""),
        (b'{"found": null}', b""),
        (b'{"found": {"rows": null}}', b""),
        (b'{"found": {"rows": {"n": 1}}}', b'{"n": 1}\n'),
    ],
)
async def test_what_is_no_list_is_a_list_of_one_and_nothing_an_empty_one(
    made: Generic, body: bytes, lines: bytes
) -> None:
    made.says("/all", body)
    platform, api = listed(made, "all")
    assert (await page(platform, api, 0, 5)).lines == lines


@pytest.mark.parametrize("body", [b"{}", b'{"found": {}}', b"[1]", b'{"found": {"row": []}}', b'{"found": 7}'])
async def test_a_list_that_is_not_there_is_a_mistake_unless_it_may_lack(made: Generic, body: bytes) -> None:
    made.says("/all", body)
    platform, api = listed(made, "all")
    with pytest.raises(Permanent, match=r"nothing is at `found.rows`, where `items` looks: .* `items.optional: true`"):
        await page(platform, api, 0, 5)
    platform, api = listed(made, "all", optional=True)
    assert (await page(platform, api, 0, 5)).lines == b""


async def test_a_list_that_is_still_being_made_is_none_yet(made: Generic) -> None:
    made.says("/all", b'{"found": {"rows": []}}', status=202)
    platform, api = listed(made, "all", optional=True)
    with pytest.raises(Transient, match=r"`items` is still being made: HTTP 202"):
        await page(platform, api, 0, 5)


async def test_more_bytes_than_wanted_are_too_large(made: Generic) -> None:
    made.lists(ROWS)
    platform, api = listed(made, "next")
    with pytest.raises(TooLarge):
        await page(platform, api, 0, 10, most=100)
    assert (await page(platform, api, 0, 2, most=100)).count == 2


async def test_a_page_of_the_platforms_is_read_only_so_far(made: Generic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.sources.generic.walking.PAGE", 50)
    made.lists(ROWS)
    platform, api = listed(made, "next")
    with pytest.raises(Permanent) as caught:
        await page(platform, api, 0, 5)
    assert caught.value.detail == "a page of `items` has more than 64 MiB: make `size` of its paging smaller"


async def test_what_is_kept_is_bounded_whoever_reads(made: Generic, monkeypatch: pytest.MonkeyPatch) -> None:
    made.lists(ROWS)
    platform, api = listed(made, "next")
    monkeypatch.setattr("config.sources.generic.items.HELD", 100)
    monkeypatch.setattr("config.sources.generic.items.RUNS", 3)
    for offset in (0, 5):
        for number in range(5):
            told = run(f"r{number}")
            found = await platform.page(api, told, "d", offset=offset, limit=5, most=MOST)
            assert numbers(found) == list(range(offset, offset + 5))
    kept = platform._items._lists
    assert [run_id for run_id, _ in kept] == ["r2", "r3", "r4"]
    assert sum(one.held_bytes for one in kept.values()) <= 100


async def test_paths_are_filled_from_the_run_and_cannot_be_left(made: Generic) -> None:
    made.says("/a%2Fb/%2E%2E/rows", [{"n": 1}])
    platform, api = made.source({"items": {"fetch": "/{team.name}/{id}/rows?in={team.name}"}})
    found = await platform.page(api, run("..", team={"name": "a/b"}), "d", offset=0, limit=5, most=MOST)
    assert found.count == 1
    assert made.asked == ["/v1/a%2Fb/%2E%2E/rows?in=a/b"]
    with pytest.raises(Permanent) as caught:
        await platform.page(api, run(), "d", offset=0, limit=5, most=MOST)
    assert caught.value.detail == "the run has no `team.name` that `items.fetch` could be filled with"


# lists that lead nowhere


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/v1/next", "{base}/v2/next", "//elsewhere.example/v1/x", "../x"]
)
async def test_the_token_goes_nowhere_else(made: Generic, url: str) -> None:
    made.says("/next", {"found": {"rows": [{"n": 1}]}, "next": url.replace("{base}", made.url)})
    platform, api = listed(made, "next")
    with pytest.raises(Permanent) as caught:
        await page(platform, api, 0, 5)
    assert caught.value.detail == "`items` goes on at an address that does not lie below `api.url`"
    assert (made.asked, made.tokens) == (["/v1/next"], [f"Bearer {TOKEN}"])


@pytest.mark.parametrize(
    ("way", "asked"),
    [
        ("offset", ["offset=0&limit=5", "offset=5&limit=5"]),
        ("page", ["limit=5&page=1", "limit=5&page=2"]),
        ("cursor", ["limit=5", "limit=5&cursor=c5"]),
        ("link", [""]),
        ("next", [""]),
        ("all", [""]),
    ],
)
async def test_parameters_that_come_several_times_are_asked_for_on_every_page(
    made: Generic, way: str, asked: list[str]
) -> None:
    made.lists(ROWS[:5], most=5)
    if way == "cursor":
        made.says("/cursor?tag=a&tag=b&limit=5", {"found": {"rows": ROWS[:5]}, "next": "c5"})
    shape = {"fetch": f"/{way}?tag=a&tag=b", "at": "found.rows", "paging": WAYS[way]}
    platform, api = made.source({"items": shape})
    await page(platform, api, 0, 10)
    assert made.asked == [f"/v1/{way}?tag=a&tag=b{'&' if rest else ''}{rest}" for rest in asked]


@pytest.mark.parametrize("way", ["link", "next"])
@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("?from=3", "/v1/a/list?from=3"),
        ("more?from=3", "/v1/a/more?from=3"),
        ("../b?from=3", "/v1/b?from=3"),
        ("/v1/b?from=3", "/v1/b?from=3"),
    ],
)
async def test_a_relative_address_begins_at_the_page_that_names_it(
    made: Generic, way: str, address: str, asked: str
) -> None:
    headers: dict[str, Any] = {"Link": f'<{address}>; rel="next"'} if way == "link" else {}
    made.says("/a/list?x=1", {"rows": [{"n": 0}], "next": address}, **headers)
    made.given[asked] = lambda _: web.json_response({"rows": [{"n": 1}]}, headers={"Date": DATE})
    platform, api = made.source({"items": {"fetch": "/a/list?x=1", "at": "rows", "paging": way}})
    assert numbers(await page(platform, api, 0, 5)) == [0, 1]


@pytest.mark.parametrize("end", ["null", '""', "0", "false"])
@pytest.mark.parametrize("way", ["cursor", "next"])
async def test_what_means_nothing_is_the_end(made: Generic, way: str, end: str) -> None:
    made.says(f"/{way}", b'{"found": {"rows": [{"n": 0}]}, "next": %s}' % end.encode())
    platform, api = listed(made, way)
    assert numbers(await page(platform, api, 0, 5)) == [0]
    assert len(made.asked) == 1


@pytest.mark.parametrize("path", ["/next?from=a", "/next?from=b"])
async def test_a_list_that_leads_back_to_itself_has_no_end(made: Generic, path: str) -> None:
    for at, to in (("/next", "/next?from=a"), ("/next?from=a", "/next?from=b"), ("/next?from=b", path)):
        made.says(at, {"found": {"rows": [{"n": at}]}, "next": f"/v1{to}"})
    platform, api = listed(made, "next")
    with pytest.raises(Transient) as caught:
        await page(platform, api, 0, 50)
    assert caught.value.detail == "the platform's answer leads `items` back to where it has been: check its `paging`"
    await page(platform, api, 0, 2)
    with pytest.raises(Transient):
        await page(platform, api, 2, 50)


@pytest.mark.parametrize("way", ["offset", "page"])
async def test_a_platform_that_ignores_the_parameter_gives_the_same_page_for_ever(made: Generic, way: str) -> None:
    made.says(f"/{way}", {"found": {"rows": ROWS[:5]}})
    platform, api = listed(made, way)
    with pytest.raises(Transient):
        await page(platform, api, 0, 50)


@pytest.mark.parametrize("body", [b"<html>", b'{"found": {"rows": [1', b'{"found": {"rows": [1}]}', b'"\xff'])
async def test_an_answer_that_is_not_json_is_trouble_that_may_pass(made: Generic, body: bytes) -> None:
    made.says("/all", body)
    platform, api = listed(made, "all")
    with pytest.raises(Transient) as caught:
        await page(platform, api, 0, 5)
    assert caught.value.detail == "the platform's answer is not JSON"


# in the run


NOBODY: Any = None


@pytest.mark.parametrize(
    ("items", "fields", "lines"),
    [
        ({"at": "data"}, {"data": [{"n": 1}, {"n": 2}]}, [b'{"n":1}', b'{"n":2}']),
        ({"at": "data.rows.0"}, {"data": {"rows": [{"n": 1}]}}, [b'{"n":1}']),
        ({"at": "data"}, {"data": None}, []),
        ({"at": "data"}, {}, []),
        ({}, {"n": 1}, [b'{"n":1}']),
        (None, {"n": 1}, []),
    ],
)
async def test_rows_may_stand_in_the_run(
    items: dict[str, Any] | None, fields: dict[str, Any], lines: list[bytes]
) -> None:
    platform, count = source({"items": items}), len(lines)
    assert await platform.count(NOBODY, run(**fields), "d") == Count(rows=count, at=NOW)
    for offset in range(count + 1):
        rest = lines[offset : offset + 1]
        found = await platform.page(NOBODY, run(**fields), "d", offset=offset, limit=1, most=MOST)
        assert found == Page(
            lines=b"".join(line + b"\n" for line in rest), count=len(rest), scanned=len(rest), total=count, at=NOW
        )
    if lines:
        with pytest.raises(TooLarge):
            await platform.page(NOBODY, run(**fields), "d", offset=0, limit=1, most=3)


async def test_a_run_that_came_to_its_own_end_has_the_rows_that_it_should() -> None:
    ended = msgspec.structs.replace(run(dato=[1]), succeeded=True)
    platform = source({"items": {"at": "data.rows"}})
    with pytest.raises(Permanent, match=r"nothing is at `data.rows`, where `items` looks: .* `items.optional: true`"):
        await platform.count(NOBODY, ended, "d")
    assert (await platform.count(NOBODY, run(dato=[1]), "d")).rows == 0
    assert (await source({"items": {"at": "data", "optional": True}}).count(NOBODY, ended, "d")).rows == 0
