"""Who may read and change what: accounts, general access, pre-signed URLs."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from apify_client import ApifyClient, ApifyClientAsync

from emulator.signatures import content_signature, opens_content, opens_record, record_signature
from tests.emulator.conftest import Emulator, StartEmulator, WriteActor

MISSING = (401, "token-not-provided")
DENIED = (403, "permission-denied")


@pytest.fixture
async def restricted(start_emulator: StartEmulator, write_actor: WriteActor) -> Emulator:
    """An emulator whose owner restricts access, and that knows a second account."""
    write_actor("quick")
    return await start_emulator(restricted=True, strangers={"hers": "ada"})


async def stored(emulator: Emulator) -> tuple[str, str]:
    """The paths of a dataset with two items and a store with one record."""
    dataset = f"/v2/datasets/{(await emulator.post('/v2/datasets')).data['id']}"
    store = f"/v2/key-value-stores/{(await emulator.post('/v2/key-value-stores')).data['id']}"
    await emulator.post(f"{dataset}/items", [{"n": 1}, {"n": 2}])
    await emulator.ask("PUT", f"{store}/records/K", b"value", Content_Type="text/plain")
    return dataset, store


async def test_what_is_anothers_is_forbidden(restricted: Emulator) -> None:
    run = await restricted.finish(await restricted.start("quick"))
    dataset, store = await stored(restricted)
    queue = f"/v2/request-queues/{(await restricted.post('/v2/request-queues')).data['id']}"
    hook = {"eventTypes": ["ACTOR.RUN.FAILED"], "requestUrl": "http://127.0.0.1:1", "condition": {"actorId": "x"}}
    webhook = f"/v2/webhooks/{(await restricted.post('/v2/webhooks', hook)).data['id']}"
    path = f"/v2/actor-runs/{run['id']}"

    for method, foreign in [
        *(("GET", f"{path}{below}") for below in ("", "/log", "/dataset", "/dataset/items", "/key-value-store/keys")),
        ("GET", f"/v2/logs/{run['id']}"),
        ("DELETE", path),
        ("POST", f"{path}/abort"),
        ("GET", dataset),
        ("GET", f"{dataset}/items"),
        ("POST", f"{dataset}/items"),
        ("GET", f"{store}/records/K"),
        ("PUT", f"{store}/records/K"),
        ("GET", f"{queue}/head"),
        ("POST", f"{queue}/head/lock?lockSecs=1"),
        ("GET", webhook),
        ("DELETE", webhook),
    ]:
        assert (await restricted.ask(method, foreign, token="hers")).error == DENIED, (method, foreign)


async def test_an_account_has_its_own_names_and_lists(restricted: Emulator) -> None:
    mine = (await restricted.post("/v2/datasets?name=same")).data
    hers = (await restricted.ask("POST", "/v2/datasets?name=same", token="hers")).data
    again = (await restricted.ask("POST", "/v2/datasets?name=same", token="hers")).data

    assert mine["id"] != hers["id"] == again["id"]
    assert (mine["username"], hers["username"]) == ("local", "ada")
    assert [item["id"] for item in (await restricted.get("/v2/datasets", token="hers")).data["items"]] == [hers["id"]]
    assert (await restricted.get("/v2/datasets/~same", token="hers")).data["id"] == hers["id"]
    assert (await restricted.get("/v2/datasets/local~same", token="hers")).error == DENIED
    assert (await restricted.get("/v2/datasets/ada~same", token="hers")).status == 200


async def test_general_access_of_one_resource_overrides_the_account(restricted: Emulator) -> None:
    dataset, store = await stored(restricted)

    async def level(name: str) -> Any:
        for path in (dataset, store):
            assert (await restricted.ask("PUT", path, {"generalAccess": name})).data["generalAccess"] == name
        return [
            (await restricted.get(f"{dataset}/items", token=None)).status,
            (await restricted.get(f"{store}/records/K", token="hers")).status,
        ]

    assert (await restricted.get(dataset)).data["generalAccess"] == "RESTRICTED"
    assert await level("ANYONE_WITH_ID_CAN_READ") == [200, 200]
    assert (await restricted.ask("PUT", f"{store}/records/K", b"x", token="hers")).error == DENIED
    assert await level("RESTRICTED") == [401, 403]
    assert await level("ANYONE_WITH_NAME_CAN_READ") == [200, 200]
    assert await level("FOLLOW_USER_SETTING") == [401, 403]


async def test_an_open_account_can_restrict_one_resource(emulator: Emulator) -> None:
    dataset, _ = await stored(emulator)
    assert (await emulator.get(f"{dataset}/items", token=None)).status == 200

    await emulator.ask("PUT", dataset, {"generalAccess": "RESTRICTED"})

    assert (await emulator.get(f"{dataset}/items", token=None)).error == MISSING


async def test_shown_public_addresses_open_without_a_token_and_nothing_else(restricted: Emulator) -> None:
    dataset, store = await stored(restricted)
    items_url = (await restricted.get(dataset)).data["itemsPublicUrl"].removeprefix(restricted.url)
    keys_url = (await restricted.get(store)).data["keysPublicUrl"].removeprefix(restricted.url)
    keys = await restricted.get(keys_url, token=None)
    record_url = keys.data["items"][0]["recordPublicUrl"].removeprefix(restricted.url)

    assert (await restricted.get(items_url, token=None)).json == [{"n": 1}, {"n": 2}]
    assert (await restricted.get(record_url, token=None)).body == b"value"
    for wrong in (
        items_url.replace("/items", ""),
        items_url[:-5],
        record_url[:-5],
        record_url.replace("records/K", "records/L"),
        keys_url.replace("/keys", ""),
        f"{dataset}/items?signature=nonsense",
    ):
        assert (await restricted.get(wrong, token=None)).error == MISSING, wrong
    assert (await restricted.ask("PUT", record_url, b"x", token=None)).error == MISSING
    assert (await restricted.ask("PUT", record_url, b"x", token="hers")).error == DENIED


async def test_only_writers_see_the_signing_key(emulator: Emulator) -> None:
    for path in await stored(emulator):
        assert "urlSigningSecretKey" in (await emulator.get(path)).data
        assert "urlSigningSecretKey" not in (await emulator.get(path, token=None)).data


async def test_the_clients_sign_urls_as_the_emulator_does(restricted: Emulator) -> None:
    """dataset().create_items_public_url, key_value_store().create_keys_public_url and get_record_public_url, by both
    clients."""
    dataset, store = [path.rpartition("/")[2] for path in await stored(restricted)]
    client = ApifyClientAsync("t", api_url=restricted.url, api_public_url=restricted.url)

    def from_sync() -> list[str]:
        sync = ApifyClient("t", api_url=restricted.url, api_public_url=restricted.url)
        return [
            sync.dataset(dataset).create_items_public_url(),
            sync.key_value_store(store).create_keys_public_url(expires_in=timedelta(hours=1)),
            sync.key_value_store(store).get_record_public_url("K"),
        ]

    urls = [
        *await asyncio.to_thread(from_sync),
        await client.dataset(dataset).create_items_public_url(limit=1),
        await client.key_value_store(store).create_keys_public_url(),
        await client.key_value_store(store).get_record_public_url("K"),
    ]
    old = await client.dataset(dataset).create_items_public_url(expires_in=timedelta(seconds=-1))

    for url in urls:
        assert "signature=" in url
        assert (await restricted.get(url.removeprefix(restricted.url), token=None)).status == 200, url
    assert (await restricted.get(old.removeprefix(restricted.url), token=None)).error == MISSING


def test_signatures_open_what_they_were_made_for() -> None:
    assert opens_record(record_signature("s", "K"), "s", "K")
    assert not opens_record(record_signature("s", "K"), "s", "L")
    assert opens_content(content_signature("s", "id"), "s", "id")
    assert opens_content(content_signature("s", "id").rstrip("="), "s", "id")
    for wrong in (content_signature("s", "id", 1), content_signature("x", "id"), "MA", "ü", ""):
        assert not opens_content(wrong, "s", "id")
