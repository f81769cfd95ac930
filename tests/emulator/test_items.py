"""Dataset items over HTTP."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import Any

import pytest

from tests.emulator.conftest import Emulator, StartEmulator

brotli: Any = import_module("brotli")  # it has no types


@pytest.fixture
async def dataset(emulator: Emulator) -> str:
    """A dataset of five rows, the third of which is hidden and the fourth empty."""
    id_ = (await emulator.post("/v2/datasets")).data["id"]
    rows = [{"n": 0, "#h": 1}, {"n": 1}, {"#h": 2}, {}, {"n": 4, "s": "ü"}]
    assert (await emulator.post(f"/v2/datasets/{id_}/items", rows)).status == 201
    return f"/v2/datasets/{id_}"


def pagination(headers: dict[str, str]) -> dict[str, str]:
    prefix = "x-apify-pagination-"
    return {
        name.lower().removeprefix(prefix): value for name, value in headers.items() if name.lower().startswith(prefix)
    }


@pytest.mark.parametrize(
    ("query", "items", "headers"),
    [
        ("", [{"n": 0, "#h": 1}, {"n": 1}, {"#h": 2}, {}, {"n": 4, "s": "ü"}], "0 999999999999 5 false"),
        ("offset=1&limit=2", [{"n": 1}, {"#h": 2}], "1 2 2 false"),
        ("offset=1&limit=2&desc=1", [{}, {"#h": 2}], "1 2 2 true"),
        ("offset=2&limit=2&clean=true", [], "2 2 2 false"),
        ("clean=1", [{"n": 0}, {"n": 1}, {"n": 4, "s": "ü"}], "0 999999999999 5 false"),
        ("skipEmpty=1", [{"n": 0, "#h": 1}, {"n": 1}, {"#h": 2}, {"n": 4, "s": "ü"}], "0 999999999999 5 false"),
        ("skipHidden=1&limit=3", [{"n": 0}, {"n": 1}, {}], "0 3 3 false"),
        ("fields=s,n&limit=1&desc=1", [{"s": "ü", "n": 4}], "0 1 1 true"),
        ("omit=n,s&offset=4", [{}], "4 999999999999 1 false"),
        ("offset=5", [], "5 999999999999 0 false"),
        ("offset=99&limit=1", [], "99 1 0 false"),
    ],
)
async def test_rows_are_windowed_first_and_filtered_then(
    emulator: Emulator, dataset: str, query: str, items: list[Any], headers: str
) -> None:
    as_array = await emulator.get(f"{dataset}/items?{query}")
    as_lines = await emulator.get(f"{dataset}/items?format=jsonl&{query}")

    offset, limit, count, desc = headers.split()
    assert as_array.json == items
    assert [json.loads(line) for line in as_lines.body.splitlines()] == items
    assert as_lines.body.endswith(b"\n") or not items
    expected = {"offset": offset, "limit": limit, "count": count, "desc": desc, "total": "5"}
    assert pagination(as_array.headers) == pagination(as_lines.headers) == expected


async def test_items_come_back_as_the_bytes_that_were_pushed(emulator: Emulator, dataset: str) -> None:
    odd = b'{"z": 12345678901234567890123,  "a":1.10, "e":1E5, "u":"\\u00e9"}'
    await emulator.post(f"{dataset}/items", b"[\n" + odd + b",\n" + odd + b"]")

    answer = await emulator.get(f"{dataset}/items?offset=5")

    assert answer.body == b"[" + odd + b",\n" + odd + b"]"
    assert (await emulator.get(f"{dataset}/items?offset=5&format=jsonl")).body == odd + b"\n" + odd + b"\n"
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert parsedate_to_datetime(answer.headers["Date"]).year >= 2026


async def test_a_large_dataset_streams_whole_in_both_formats(emulator: Emulator) -> None:
    id_ = (await emulator.post("/v2/datasets")).data["id"]
    items = [{"n": n, "pad": "x" * 100} for n in range(20_000)]
    await emulator.post(f"/v2/datasets/{id_}/items", items)

    assert (await emulator.get(f"/v2/datasets/{id_}/items")).json == items
    assert (await emulator.get(f"/v2/datasets/{id_}/items?desc=1&skipEmpty=1")).json == items[::-1]


async def test_head_gives_headers_only(emulator: Emulator, dataset: str) -> None:
    answer = await emulator.ask("HEAD", f"{dataset}/items?limit=2")

    assert (answer.status, answer.body, pagination(answer.headers)["count"]) == (200, b"", "2")


@pytest.mark.parametrize(
    "query",
    [
        *("format=pdf", "limit=-1", "offset=x", "desc=maybe", "limit=1.5", "offset=nan"),
        *("delimiter=ab", "delimiter=%22", "outputFields=a", "fields=a,b&outputFields=c"),
    ],
)
async def test_what_cannot_be_meant_is_refused(emulator: Emulator, dataset: str, query: str) -> None:
    assert (await emulator.get(f"{dataset}/items?{query}")).error == (400, "invalid-value")


async def test_one_bad_row_rejects_the_whole_push(emulator: Emulator, dataset: str) -> None:
    assert (await emulator.post(f"{dataset}/items", [{"n": 5}, 6])).error == (400, "invalid-input")
    assert (await emulator.get(dataset)).data["itemCount"] == 5


async def test_a_push_may_be_packed_in_several_members(emulator: Emulator, dataset: str) -> None:
    body = gzip.compress(b'[{"n":6},') + gzip.compress(b'{"n":7}]')
    assert (await emulator.post(f"{dataset}/items", body, Content_Encoding="gzip")).status == 201
    assert (await emulator.get(f"{dataset}/items?offset=5")).json == [{"n": 6}, {"n": 7}]


@pytest.mark.parametrize(
    ("encoding", "squeeze"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", brotli.compress)]
)
async def test_compressed_pushes_are_read(emulator: Emulator, dataset: str, encoding: str, squeeze: Any) -> None:
    items = [{"n": n, "text": "abc" * 1000} for n in range(100)]

    answer = await emulator.post(f"{dataset}/items", squeeze(json.dumps(items).encode()), Content_Encoding=encoding)

    assert (answer.status, answer.json) == (201, {})
    assert answer.headers["Location"] == f"{emulator.url}{dataset}/items"
    assert (await emulator.get(f"{dataset}/items?offset=5")).json == items


@pytest.mark.parametrize(
    ("encoding", "body", "error"),
    [
        ("gzip", gzip.compress(b'{"a":1}')[:-9], (400, "invalid-input")),
        ("gzip", b"not gzip at all", (400, "invalid-input")),
        ("gzip", gzip.compress(b'{"a":1}') + b"and more", (400, "invalid-input")),
        ("gzip", gzip.compress(b'{"a":1}') + gzip.compress(b" ")[:-9], (400, "invalid-input")),
        ("br", b"not brotli at all, surely", (400, "invalid-input")),
        ("br", brotli.compress(b'{"a":1}' * 99)[:-3], (400, "invalid-input")),
        ("gzip", gzip.compress(b" " * 10_000_000), (413, "request-too-large")),
        ("br", brotli.compress(b" " * 10_000_000), (413, "request-too-large")),
        ("identity", b" " * 9_437_185, (413, "request-too-large")),
        ("snappy", b"{}", (415, "unsupported-content-encoding")),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,  # a gzip header holds the time: no stable name
)
async def test_bodies_that_are_broken_too_large_or_unknown_are_refused(
    emulator: Emulator, dataset: str, encoding: str, body: bytes, error: tuple[int, str]
) -> None:
    assert (await emulator.post(f"{dataset}/items", body, Content_Encoding=encoding)).error == error


async def test_counts_tell_rows_and_clean_rows(emulator: Emulator, dataset: str) -> None:
    shown = (await emulator.get(dataset)).data

    assert (shown["itemCount"], shown["cleanItemCount"], shown["name"]) == (5, 3, None)
    assert shown["fields"] == ["n", "#h", "s"]
    assert shown["stats"] == {"readCount": 0, "writeCount": 5, "storageBytes": 64}


async def test_a_push_that_comes_in_slowly_forgets_nothing_of_those_that_overtake_it(
    emulator: Emulator, dataset: str
) -> None:
    begun, overtaken = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        begun.set()  # the emulator has seen the head: only then does it ask for the body
        yield b'{"slow":'
        await overtaken.wait()
        yield b"1}"

    url, headers = f"{emulator.url}{dataset}/items", {"Authorization": "Bearer t", "Expect": "100-continue"}
    push = asyncio.create_task(emulator.session.post(url, data=slowly(), headers=headers))
    await begun.wait()
    await emulator.post(f"{dataset}/items", [{"quick": n} for n in range(9)])
    overtaken.set()
    assert (await push).status == 201

    shown = (await emulator.get(dataset)).data
    assert (shown["itemCount"], shown["cleanItemCount"]) == (15, 13)
    assert shown["fields"] == ["n", "#h", "s", "quick", "slow"]


async def test_pushed_rows_stay_out_of_sight_while_the_count_lags(start_emulator: StartEmulator) -> None:
    emulator = await start_emulator(item_count_lag=3600.0)
    id_ = (await emulator.post("/v2/datasets")).data["id"]
    await emulator.post(f"/v2/datasets/{id_}/items", [{"n": 1}])

    answer = await emulator.get(f"/v2/datasets/{id_}/items")

    assert (answer.json, pagination(answer.headers)["total"]) == ([], "0")
    assert (await emulator.get(f"/v2/datasets/{id_}")).data["itemCount"] == 0


async def test_a_dataset_is_named_renamed_found_listed_and_deleted(emulator: Emulator) -> None:
    made = await emulator.post("/v2/datasets?name=results")
    again = await emulator.post("/v2/datasets?name=results")
    other = (await emulator.post("/v2/datasets?name=other")).data["id"]
    id_ = made.data["id"]

    assert (made.status, again.status, again.data["id"]) == (201, 200, id_)
    assert (await emulator.get("/v2/datasets/local~results")).data["id"] == id_
    assert (await emulator.get("/v2/datasets/~results")).data["id"] == id_
    assert (await emulator.get("/v2/datasets/somebody~results")).error == (404, "record-not-found")
    assert [item["name"] for item in (await emulator.get("/v2/datasets")).data["items"]] == ["results", "other"]
    assert (await emulator.get("/v2/datasets?unnamed=1")).data["total"] == 2
    assert (await emulator.ask("PUT", f"/v2/datasets/{other}", {"name": "results"})).error == (409, "name-not-unique")
    assert (await emulator.ask("PUT", f"/v2/datasets/{other}", {"name": 5})).error == (400, "invalid-input")
    assert (await emulator.ask("PUT", f"/v2/datasets/{id_}", {"name": "better"})).data["name"] == "better"
    assert (await emulator.post("/v2/datasets?name=not%20good")).error == (400, "invalid-value")
    assert (await emulator.ask("DELETE", f"/v2/datasets/{id_}")).status == 204
    assert (await emulator.get(f"/v2/datasets/{id_}/items")).error == (404, "record-not-found")
