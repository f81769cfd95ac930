"""Key-value stores over HTTP."""

import gzip
import urllib.parse

import pytest

from tests.emulator.conftest import Emulator, StartEmulator


@pytest.fixture
async def store(emulator: Emulator) -> str:
    return f"/v2/key-value-stores/{(await emulator.post('/v2/key-value-stores')).data['id']}"


async def test_a_record_comes_back_with_its_bytes_and_content_type(emulator: Emulator, store: str) -> None:
    body = bytes(range(256)) * 1000

    put = await emulator.ask("PUT", f"{store}/records/shot.png", body, Content_Type="image/png")
    got = await emulator.get(f"{store}/records/shot.png")
    head = await emulator.ask("HEAD", f"{store}/records/shot.png")

    assert (put.status, put.json) == (201, {})
    assert (got.status, got.headers["Content-Type"], got.body) == (200, "image/png", body)
    assert (head.status, head.headers["Content-Length"], head.body) == (200, "256000", b"")


async def test_a_text_type_is_not_embellished_and_an_attachment_says_so(emulator: Emulator, store: str) -> None:
    await emulator.post(f"{store}/records/page", b"<p>", Content_Type="text/html")

    got = await emulator.get(f"{store}/records/page?attachment=true")

    assert got.headers["Content-Type"] == "text/html"
    assert got.headers["Content-Disposition"] == "attachment; filename*=utf-8''page"


async def test_a_record_is_replaced_and_deleted(emulator: Emulator, store: str) -> None:
    await emulator.ask("PUT", f"{store}/records/K", b"one", Content_Type="text/plain")
    squeezed = gzip.compress(b"two" * 1000)
    await emulator.ask("PUT", f"{store}/records/K", squeezed, Content_Type="text/plain", Content_Encoding="gzip")

    assert (await emulator.get(f"{store}/records/K")).body == b"two" * 1000
    assert (await emulator.ask("DELETE", f"{store}/records/K")).status == 204
    assert (await emulator.ask("DELETE", f"{store}/records/K")).status == 204
    assert (await emulator.get(f"{store}/records/K")).error == (404, "record-not-found")


async def test_a_record_beyond_the_limit_is_refused_and_leaves_the_old_one(start_emulator: StartEmulator) -> None:
    emulator = await start_emulator(max_record_bytes=1000)
    store = "/v2/key-value-stores/" + (await emulator.post("/v2/key-value-stores")).data["id"]
    await emulator.ask("PUT", f"{store}/records/K", b"old")

    async def pieces() -> object:
        for _ in range(11):
            yield b"x" * 100

    async with emulator.session.put(
        f"{emulator.url}{store}/records/K", data=pieces(), headers={"Authorization": "Bearer t"}
    ) as response:
        assert response.status == 413
    assert (await emulator.get(f"{store}/records/K")).body == b"old"


@pytest.mark.parametrize("key", ["a b", "a/b", "é", "x" * 257, "a%b"])
async def test_keys_the_platform_would_refuse_are_refused(emulator: Emulator, store: str, key: str) -> None:
    path = f"{store}/records/{urllib.parse.quote(key, safe='')}"

    assert (await emulator.ask("PUT", path, b"x")).error == (400, "invalid-record-key")
    assert (await emulator.get(path)).error == (400, "invalid-record-key")


async def test_keys_are_listed_by_their_bytes_page_by_page(emulator: Emulator, store: str) -> None:
    keys = ["b", "B", "a-1", "a.1", "a", "_", "'(!)'", ".."]
    for key in keys:
        assert (await emulator.ask("PUT", f"{store}/records/{urllib.parse.quote(key)}", key.encode() * 3)).status in (
            201,
            404,
        )
    expected = sorted(set(keys) - {".."})

    first = (await emulator.get(f"{store}/keys?limit=4")).data
    second = (await emulator.get(f"{store}/keys?limit=4&exclusiveStartKey={first['nextExclusiveStartKey']}")).data

    assert [item["key"] for item in first["items"] + second["items"]] == expected
    assert (first["isTruncated"], first["count"], first["limit"]) == (True, 4, 4)
    assert (second["isTruncated"], second["nextExclusiveStartKey"]) == (False, None)
    assert second["exclusiveStartKey"] == expected[3]
    assert [item["size"] for item in first["items"]] == [3 * len(key) for key in expected[:4]]


async def test_keys_are_listed_by_prefix_with_addresses_that_work(emulator: Emulator, store: str) -> None:
    for key in ("shot-1", "shot-2", "OUTPUT", "sh%"):
        await emulator.ask("PUT", f"{store}/records/{key}", b"1")

    items = (await emulator.get(f"{store}/keys?prefix=shot-")).data["items"]

    assert [item["key"] for item in items] == ["shot-1", "shot-2"]
    async with emulator.session.get(items[1]["recordPublicUrl"]) as response:
        assert await response.read() == b"1"


async def test_a_store_and_a_queue_are_created_by_name_shown_and_deleted(emulator: Emulator) -> None:
    for kind in ("key-value-stores", "request-queues"):
        made = (await emulator.post(f"/v2/{kind}?name=mine", {})).data
        assert (await emulator.post(f"/v2/{kind}?name=mine")).data["id"] == made["id"]
        assert (await emulator.get(f"/v2/{kind}/{made['id']}", token=None)).data["name"] == "mine"
        assert (await emulator.ask("DELETE", f"/v2/{kind}/{made['id']}")).status == 204
        assert (await emulator.get(f"/v2/{kind}/{made['id']}")).error == (404, "record-not-found")


async def test_a_queue_is_there_and_empty(emulator: Emulator) -> None:
    queue = (await emulator.post("/v2/request-queues")).data

    head = (await emulator.get(f"/v2/request-queues/{queue['id']}/head?limit=5")).data
    requests = (await emulator.get(f"/v2/request-queues/{queue['id']}/requests")).data

    counts = [queue[name] for name in ("totalRequestCount", "handledRequestCount", "pendingRequestCount")]
    assert counts == [0, 0, 0]
    assert (head["limit"], head["items"], head["hadMultipleClients"]) == (5, [], False)
    assert requests == {"limit": 10_000, "items": []}
