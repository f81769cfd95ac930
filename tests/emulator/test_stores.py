"""Key-value stores: compression kept, ZIPs, collections, and the official clients' calls."""

import asyncio
import gzip
import io
import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
from apify_client import ApifyClient, ApifyClientAsync

from tests.emulator.conftest import Emulator, StartEmulator, WriteActor

TEXT = b"much the same " * 500


@pytest.fixture
async def store(emulator: Emulator) -> str:
    """The path of a new store."""
    return f"/v2/key-value-stores/{(await emulator.post('/v2/key-value-stores')).data['id']}"


async def raw(emulator: Emulator, path: str, **headers: str) -> tuple[dict[str, str], bytes]:
    """An answer as it comes over the wire, not decompressed."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"Authorization": "Bearer t"}
    async with emulator.session.get(emulator.url + path, headers=headers, auto_decompress=False) as response:
        assert response.status == 200
        return dict(response.headers), await response.read()


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("br", brotli.compress)])
async def test_a_record_stays_compressed_for_those_who_can_take_it(
    emulator: Emulator, store: str, encoding: str, pack: Any
) -> None:
    packed = pack(TEXT)
    await emulator.ask("PUT", f"{store}/records/K", packed, Content_Type="text/plain", Content_Encoding=encoding)

    headers, body = await raw(emulator, f"{store}/records/K", Accept_Encoding=f"x, {encoding};q=0.5")
    plain_headers, plain = await raw(emulator, f"{store}/records/K", Accept_Encoding=f"{encoding};q=0, deflate")
    nothing_asked, _ = await raw(emulator, f"{store}/records/K", Accept_Encoding="identity")

    assert (headers["Content-Encoding"], body) == (encoding, packed)
    assert ("Content-Encoding" in plain_headers, plain) == (False, TEXT)
    assert nothing_asked["Content-Length"] == str(len(TEXT))
    assert (await emulator.get(f"{store}/keys")).data["items"][0]["size"] == len(TEXT)


async def test_a_compressed_record_that_lies_leaves_the_old_one(emulator: Emulator, store: str) -> None:
    await emulator.ask("PUT", f"{store}/records/K", b"old", Content_Type="text/plain")

    for lie in (b"not gzip", gzip.compress(TEXT)[:-9]):
        answer = await emulator.ask("PUT", f"{store}/records/K", lie, Content_Encoding="gzip")
        assert answer.error == (400, "invalid-input")
    odd = await emulator.ask("PUT", f"{store}/records/K", b"x", Content_Encoding="rot13")

    assert odd.error == (415, "unsupported-content-encoding")
    assert (await emulator.get(f"{store}/records/K")).body == b"old"


async def test_html_is_only_served_untouched_as_an_attachment(emulator: Emulator, store: str) -> None:
    page = b"<!DOCTYPE html><p>hello"
    await emulator.ask("PUT", f"{store}/records/page", page, Content_Type="text/html; charset=utf-8")

    shown = await emulator.get(f"{store}/records/page")
    kept = await emulator.get(f"{store}/records/page?attachment=true")

    assert shown.body != page
    assert shown.body.endswith(page)
    assert (kept.body, kept.headers["Content-Disposition"]) == (page, "attachment; filename*=utf-8''page")
    assert (await emulator.ask("HEAD", f"{store}/records/page")).headers["Content-Length"] == str(len(shown.body))


async def test_all_records_come_as_one_zip(emulator: Emulator, store: str) -> None:
    await emulator.ask("PUT", f"{store}/records/a.txt", b"alpha", Content_Type="text/plain")
    await emulator.ask("PUT", f"{store}/records/a.bin", gzip.compress(TEXT), Content_Encoding="gzip")
    await emulator.ask("PUT", f"{store}/records/b", b"beta")

    answer = await emulator.get(f"{store}/records")
    some = await emulator.get(f"{store}/records?prefix=a.")

    def files(body: bytes) -> dict[str, bytes]:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}

    assert answer.headers["Content-Type"] == "application/zip"
    assert files(answer.body) == {"a.bin": TEXT, "a.txt": b"alpha", "b": b"beta"}
    assert len(answer.body) < len(TEXT)
    assert files(some.body) == {"a.bin": TEXT, "a.txt": b"alpha"}
    assert files((await emulator.get(f"{store}/records?prefix=zzz")).body) == {}


async def test_a_collection_nobody_declared_is_refused(emulator: Emulator, store: str) -> None:
    assert (await emulator.get(f"{store}/keys?collection=shots")).error == (400, "invalid-collection")


async def test_the_async_client_makes_every_call_of_a_store(emulator: Emulator) -> None:
    """key_value_stores(): get_or_create list; key_value_store(): get update set_record get_record
    get_record_as_bytes stream_record record_exists list_keys iterate_keys delete_record get_record_public_url
    create_keys_public_url delete."""
    client = ApifyClientAsync("t", api_url=emulator.url, api_public_url=emulator.url)
    made = await client.key_value_stores().get_or_create(name="kept")
    store = client.key_value_store(made.id)

    await store.set_record("big", {"text": "x" * 5000})
    await store.set_record("small", b"\x00\x01", content_type="application/octet-stream")
    big, small = await store.get_record("big"), await store.get_record_as_bytes("small")
    async with store.stream_record("big") as streamed:
        assert streamed is not None
    keys = await store.list_keys(prefix="b")
    every = [key.key async for key in store.iterate_keys()]
    exists = [await store.record_exists("big"), await store.record_exists("nope")]
    urls = [await store.get_record_public_url("small"), await store.create_keys_public_url(prefix="s")]
    updated = await store.update(name="other")

    assert (big or {})["value"] == {"text": "x" * 5000}
    assert (small or {})["value"] == b"\x00\x01"
    assert [key.key for key in keys.items] == ["big"]
    assert (every, exists) == (["big", "small"], [True, False])
    for url in urls:
        async with emulator.session.get(url) as response:
            assert response.status == 200
    assert updated.name == "other"
    assert [item.id for item in (await client.key_value_stores().list()).items] == [made.id]
    await store.delete_record("small")
    assert await store.get_record("small") is None
    await store.delete()
    assert await store.get() is None


async def test_the_sync_client_makes_every_call_of_a_store(emulator: Emulator) -> None:
    """The same calls as the async client's."""

    def work() -> None:
        client = ApifyClient("t", api_url=emulator.url, api_public_url=emulator.url)
        store = client.key_value_store(client.key_value_stores().get_or_create(name="kept").id)
        store.set_record("page", "<p>ü</p>", content_type="text/html")
        record = store.get_record("page")
        assert record is not None
        assert record["value"] == "<p>ü</p>"
        as_bytes = store.get_record_as_bytes("page")
        assert as_bytes is not None
        with store.stream_record("page") as streamed:
            assert streamed is not None
        assert [key.key for key in store.list_keys().items] == ["page"]
        assert [key.key for key in store.iterate_keys()] == ["page"]
        assert store.record_exists("page")
        assert store.get_record_public_url("page").startswith(emulator.url)
        assert store.create_keys_public_url().startswith(emulator.url)
        assert store.update(name="other").name == "other"
        assert [item.name for item in client.key_value_stores().list().items] == ["other"]
        store.delete_record("page")
        store.delete()
        assert store.get() is None

    await asyncio.to_thread(work)


async def test_storages_are_listed_named_or_all_and_turned_round(emulator: Emulator) -> None:
    for kind in ("datasets", "key-value-stores", "request-queues"):
        named = [(await emulator.post(f"/v2/{kind}?name={name}")).data["id"] for name in ("one", "two")]
        unnamed = (await emulator.post(f"/v2/{kind}")).data["id"]

        async def ids(query: str, kind: str = kind) -> list[str]:
            return [item["id"] for item in (await emulator.get(f"/v2/{kind}?{query}")).data["items"]]

        assert await ids("") == named
        assert await ids("desc=1&limit=1") == named[1:]
        assert await ids("unnamed=1") == [*named, unnamed]
        assert await ids("ownership=sharedWithMe") == []
        assert (await emulator.get(f"/v2/{kind}?offset=1e30")).error == (400, "invalid-value")
        for spelling in (named[0], "~one", "local~one"):
            assert (await emulator.get(f"/v2/{kind}/{spelling}")).data["id"] == named[0]
        taken = await emulator.ask("PUT", f"/v2/{kind}/{unnamed}", {"name": "one"})
        assert taken.error == (409, "name-not-unique")
        odd = await emulator.ask("PUT", f"/v2/{kind}/{unnamed}", {"generalAccess": "EVERYBODY"})
        assert odd.error == (400, "invalid-input")


async def test_data_of_another_version_is_refused_with_advice(start_emulator: StartEmulator, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    with sqlite3.connect(folder / "emulator.db") as database:
        database.execute("CREATE TABLE documents (id TEXT)")

    with pytest.raises(ValueError, match="another version"):
        await start_emulator(data=folder)


async def test_a_declared_collection_narrows_keys_and_records(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    collections = {"shots": {"title": "Shots", "keyPrefix": "shot-"}, "page": {"title": "Page", "key": "page"}}
    schema = {"actorKeyValueStoreSchemaVersion": 1, "title": "T", "collections": collections}
    definition = {"actorSpecification": 1, "name": "taker", "version": "0.1", "storages": {"keyValueStore": schema}}
    folder = write_actor("taker", "for key in ('shot-1', 'shot-2', 'page', 'page-2'): record(key, b'x', 'text/plain')")
    (folder / ".actor").mkdir()
    (folder / ".actor" / "actor.json").write_text(json.dumps(definition))
    emulator = await start_emulator()
    run = await emulator.finish(await emulator.start("taker"))
    store = f"/v2/actor-runs/{run['id']}/key-value-store"

    async def keys(query: str) -> list[str]:
        return [item["key"] for item in (await emulator.get(f"{store}/keys?{query}")).data["items"]]

    assert await keys("collection=shots") == ["shot-1", "shot-2"]
    assert await keys("collection=shots&prefix=shot-2") == ["shot-2"]
    assert await keys("collection=page") == ["page"]
    with zipfile.ZipFile(io.BytesIO((await emulator.get(f"{store}/records?collection=page")).body)) as archive:
        assert archive.namelist() == ["page"]
