"""Items over HTTP in all formats: media types, marks, compression, and headers without a body."""

import gzip
import json
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import aiohttp
import pytest
from backports import zstd

from emulator.rows import MAX_DEPTH
from tests.emulator.conftest import Emulator, StartEmulator

brotli: Any = import_module("brotli")  # it has no types

FORMATS = {
    "json": "application/json; charset=utf-8",
    "jsonl": "application/jsonl; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "rss": "application/rss+xml; charset=utf-8",
}
BODIES = {
    "json": '[{"n":0,"s":"ü"},\n{"n":1}]',
    "jsonl": '{"n":0,"s":"ü"}\n{"n":1}\n',
    "csv": "\ufeffn,s\n0,ü\n1,\n",
    "html": "<table><tr><th>n</th><th>s</th></tr><tr><td>0</td><td>ü</td></tr><tr><td>1</td><td></td></tr></table>",
    "xml": '<?xml version="1.0" encoding="UTF-8"?>\n'
    "<items>\n<item><n>0</n><s>ü</s></item>\n<item><n>1</n></item>\n</items>\n",
}
BOM = "\ufeff".encode()
ITEMS = '[{"n":0,"s":"ü"},{"n":1}]'.encode()


@pytest.fixture
async def emulator(start_emulator: StartEmulator) -> Emulator:
    return await start_emulator()


@pytest.fixture
async def items(emulator: Emulator) -> str:
    """The items of a dataset of two rows."""
    id_ = (await emulator.post("/v2/datasets?name=pair")).data["id"]
    await emulator.post(f"/v2/datasets/{id_}/items", ITEMS)
    return f"/v2/datasets/{id_}/items"


@pytest.fixture
async def raw(emulator: Emulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that asks for no encoding by itself and decodes none."""
    headers = {"Authorization": "Bearer t"}
    async with aiohttp.ClientSession(
        emulator.url, headers=headers, skip_auto_headers=["Accept-Encoding"], auto_decompress=False
    ) as session:
        yield session


@pytest.mark.parametrize("format_", FORMATS)
async def test_every_format_has_its_media_type_and_the_same_headers(
    emulator: Emulator, items: str, format_: str
) -> None:
    shown = await emulator.get(f"{items}?format={format_}&offset=0&limit=2")
    headed = await emulator.ask("HEAD", f"{items}?format={format_}&limit=2")

    for answer in (shown, headed):
        told = {name: value for name, value in answer.headers.items() if name.lower().startswith("x-apify-pagination")}
        assert {name.lower().rpartition("-")[2]: value for name, value in told.items()} == {
            **{"offset": "0", "limit": "2", "count": "2", "total": "2", "desc": "false"}
        }
        assert (answer.status, answer.headers["Content-Type"]) == (200, FORMATS[format_])
        assert "Content-Disposition" not in answer.headers
    assert (headed.body, headed.headers.get("Content-Length")) == (b"", None)
    if format_ in BODIES:
        assert shown.body.decode() == BODIES[format_]


async def test_a_feed_has_a_label_a_link_and_words_of_its_own(emulator: Emulator, items: str) -> None:
    by_default = (await emulator.get(f"{items}?format=rss")).body.decode()
    by_name = (await emulator.get(f"{items}?format=rss&feedTitle=T%26t&feedDescription=D")).body.decode()

    id_ = items.split("/")[3]
    assert "<title>Dataset pair</title>" in by_default
    assert f"<description>Items in dataset with id &quot;{id_}&quot;.</description>" in by_default
    assert f"<link>{emulator.url}/v2/datasets/{id_}</link>" in by_default
    assert "<title>T&amp;t</title>" in by_name
    assert "<description>D</description>" in by_name


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("format=csv&bom=0", "n,s\n0,ü\n1,\n"),
        ("format=csv&bom=false&skipHeaderRow=1&delimiter=%09", "0\tü\n1\t\n"),
        ("format=csv&bom=0&fields=s,n,z&outputFields=x,y,z", "x,y,z\nü,0,\n,1,\n"),
        ("format=json&bom=1&limit=1", '\ufeff[{"n":0,"s":"ü"}]'),
        ("format=xml&bom=1&xmlRoot=a&xmlRow=b&offset=1", '\ufeff<?xml version="1.0" encoding="UTF-8"?>\n'
         "<a>\n<b><n>1</n></b>\n</a>\n"),
        ("format=jsonl&desc=1&fields=n", '{"n":1}\n{"n":0}\n'),
        ("format=csv&bom=0&offset=9", ""),
        ("format=json&offset=9", "[]"),
        ("format=html&offset=9", "<table></table>"),
    ],
)  # fmt: skip
async def test_the_query_changes_how_items_are_written(emulator: Emulator, items: str, query: str, body: str) -> None:
    assert (await emulator.get(f"{items}?{query}")).body.decode() == body


async def test_halves_of_surrogate_pairs_become_replacement_characters(emulator: Emulator, items: str) -> None:
    await emulator.post(items, b'{"s":"\\ud83d\\ude00 \\ud800"}')

    assert (await emulator.get(f"{items}?format=csv&bom=0&offset=2")).body.decode() == "s\n😀 \ufffd\n"
    assert (await emulator.get(f"{items}?offset=2")).body == b'[{"s":"\\ud83d\\ude00 \\ud800"}]'


async def test_an_attachment_says_so(emulator: Emulator, items: str) -> None:
    assert (await emulator.get(f"{items}?attachment=1")).headers["Content-Disposition"] == "attachment"


@pytest.mark.parametrize(
    ("accept", "encoding", "decode"),
    [
        ("gzip", "gzip", gzip.decompress),
        ("gzip, deflate, br", "br", brotli.decompress),
        ("gzip;q=1.0, br;q=0.2, zstd;q=0.5", "gzip", gzip.decompress),
        ("zstd,gzip,deflate,br", "zstd", zstd.decompress),
        ("*", "zstd", zstd.decompress),
        ("identity", None, bytes),
        ("gzip;q=0, *;q=0", None, bytes),
        ("gzip;q=x", None, bytes),
        ("", None, bytes),
    ],
)
@pytest.mark.parametrize("count", [20, 2000])
async def test_answers_are_compressed_when_asked(
    emulator: Emulator, raw: aiohttp.ClientSession, accept: str, encoding: str | None, decode: Any, count: int
) -> None:
    items = [{"n": n, "pad": "x" * 100} for n in range(count)]
    id_ = (await emulator.post("/v2/datasets")).data["id"]
    await emulator.post(f"/v2/datasets/{id_}/items", items)

    async with raw.get(f"/v2/datasets/{id_}/items", headers={"Accept-Encoding": accept}) as answer:
        assert (answer.headers.get("Content-Encoding"), answer.headers["Vary"]) == (encoding, "Accept-Encoding")
        assert json.loads(decode(await answer.read())) == items


async def test_what_is_small_stays_plain(raw: aiohttp.ClientSession, items: str) -> None:
    async with raw.get(items, headers={"Accept-Encoding": "gzip"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert answer.content_length == 27


async def test_large_answers_of_every_kind_stream_whole(emulator: Emulator) -> None:
    deep = "y" * 500
    items = [{"n": n, "o": {"deep": deep}} for n in range(12_000)]
    id_ = (await emulator.post("/v2/datasets")).data["id"]
    for start in (0, 6000):
        await emulator.post(f"/v2/datasets/{id_}/items", items[start : start + 6000])
    root = f"/v2/datasets/{id_}/items"

    assert (await emulator.get(root)).json == items
    flat = [{"o.deep": deep, "n": n} for n in range(12_000)]
    assert (await emulator.get(f"{root}?flatten=o&fields=o.deep,n")).json == flat
    assert (await emulator.get(f"{root}?format=csv&limit=5000")).body.count(b"\n") == 5001
    assert len((await emulator.get(f"{root}?format=jsonl&desc=1")).body.splitlines()) == 12_000


async def test_the_deepest_rows_are_read_in_every_format_and_every_way(emulator: Emulator, items: str) -> None:
    row = f'{{"x":{"[" * (MAX_DEPTH - 1)}1{"]" * (MAX_DEPTH - 1)}}}'
    await emulator.post(items, row.encode())
    for query in [*(f"format={name}" for name in FORMATS), "clean=1", "unwind=x", "omit=x.a", "flatten=x&format=csv"]:
        assert (await emulator.get(f"{items}?{query}")).status == 200


async def test_a_sheet_that_unwinding_makes_too_long_is_refused(
    emulator: Emulator, items: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulator.items.workbook.MAX_ROWS", 3)
    await emulator.post(items, {"n": [1, 2], "s": "too long to be answered in one piece" * 10_000})
    assert (await emulator.get(f"{items}?format=xlsx")).status == 200
    answer = await emulator.get(f"{items}?format=xlsx&unwind=n")
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid-value")
