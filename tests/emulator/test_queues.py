"""Request queues, by the official clients of both kinds and over plain HTTP."""

import asyncio
import sqlite3
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from apify.storage_clients._apify._utils import unique_key_to_request_id
from apify_client import ApifyClient, ApifyClientAsync
from apify_client.errors import ConflictError

from emulator.queues import Queues, request_id
from tests.emulator.conftest import Emulator, StartEmulator, WriteActor

SERVE = """
import asyncio, pathlib, sys
from emulator.serve import serve
from emulator.settings import EmulatorSettings
asyncio.run(serve(EmulatorSettings(data=pathlib.Path(sys.argv[1])), "127.0.0.1", 0, ready=print))
"""
URL = "https://example.com/"


def asked(*names: str) -> list[Any]:
    """Requests as a crawler would send them."""
    return [{"uniqueKey": name, "url": URL + name, "method": "GET"} for name in names]


def client_for(emulator: Emulator) -> ApifyClientAsync:
    return ApifyClientAsync("t", api_url=emulator.url, api_public_url=emulator.url)


@pytest.fixture
async def queue(emulator: Emulator) -> str:
    """The path of a new queue."""
    return f"/v2/request-queues/{(await emulator.post('/v2/request-queues')).data['id']}"


async def keys(emulator: Emulator, queue: str) -> list[str]:
    return [item["uniqueKey"] for item in (await emulator.get(f"{queue}/head")).data["items"]]


def test_ids_are_those_that_clients_compute_for_themselves() -> None:
    for key in ("https://example.com", "ü", "", "x" * 5000):
        assert request_id(key) == unique_key_to_request_id(key)


async def test_the_async_client_makes_every_call_of_a_queue(emulator: Emulator) -> None:
    """request_queues(): get_or_create list; request_queue(): get update add_request get_request update_request
    delete_request batch_add_requests batch_delete_requests list_requests iterate_requests list_head
    list_and_lock_head prolong_request_lock delete_request_lock unlock_requests delete."""
    client = client_for(emulator)
    made = await client.request_queues().get_or_create(name="kept")
    queue = client.request_queue(made.id, client_key="one")

    added = await queue.add_request({"uniqueKey": "a", "url": URL, "method": "POST", "payload": "hi"})
    batch = await queue.batch_add_requests(asked(*(f"k{n}" for n in range(60))))
    first = await queue.get_request(added.request_id)
    locked = await queue.list_and_lock_head(lock_duration=_seconds(60), limit=3)
    prolonged = await queue.prolong_request_lock(locked.items[0].id, lock_duration=_seconds(600))
    await queue.delete_request_lock(locked.items[1].id)
    unlocked = await queue.unlock_requests()
    assert first is not None
    handled = first.model_copy(update={"handled_at": datetime.now(UTC)})
    updated = await queue.update_request(handled)
    await queue.delete_request(request_id("k0"))
    doomed: list[Any] = [{"uniqueKey": "k1"}, {"id": request_id("k2")}]
    gone = await queue.batch_delete_requests(doomed)
    page = await queue.list_requests(limit=10)
    every = [request.unique_key async for request in queue.iterate_requests(chunk_size=25)]
    head = await queue.list_head(limit=2)
    renamed = await queue.update(name="other")
    shown = await queue.get()

    assert (added.was_already_present, added.was_already_handled) == (False, False)
    assert (len(batch.processed_requests), batch.unprocessed_requests) == (60, [])
    assert (first.method, first.payload, first.retry_count, first.user_data is not None) == ("POST", "hi", 0, True)
    assert (len(locked.items), locked.queue_has_locked_requests) == (3, True)
    assert prolonged is not None
    assert prolonged.lock_expires_at > locked.items[0].lock_expires_at
    assert unlocked.unlocked_count == 2
    assert (updated.was_already_present, updated.was_already_handled) == (True, False)
    assert len(gone.processed_requests) == 2
    assert (len(page.items), page.next_cursor is not None) == (10, True)
    assert sorted(every) == sorted(["a", *(f"k{n}" for n in range(3, 60))])
    assert len(head.items) == 2
    assert renamed.name == "other"
    assert shown is not None
    assert (shown.total_request_count, shown.handled_request_count, shown.pending_request_count) == (58, 1, 57)
    assert shown.had_multiple_clients is False
    assert [item.id for item in (await client.request_queues().list()).items] == [made.id]
    await queue.delete()
    assert await queue.get() is None


async def test_the_sync_client_makes_every_call_of_a_queue(emulator: Emulator) -> None:
    """The same calls as the async client's."""

    def work() -> None:
        client = ApifyClient("t", api_url=emulator.url, api_public_url=emulator.url)
        queue = client.request_queue(client.request_queues().get_or_create(name="kept").id, client_key="one")
        added = queue.add_request({"uniqueKey": "a", "url": URL}, forefront=True)
        queue.batch_add_requests(asked("b", "c"))
        locked = queue.list_and_lock_head(lock_duration=_seconds(60), limit=2)
        queue.prolong_request_lock(locked.items[0].id, lock_duration=_seconds(90), forefront=True)
        queue.delete_request_lock(locked.items[0].id, forefront=True)
        assert queue.unlock_requests().unlocked_count == 1
        assert queue.list_head().items[0].unique_key == "a"
        assert queue.get_request("nope") is None
        found = queue.get_request(added.request_id)
        assert found is not None
        queue.update_request(found, forefront=True)
        assert len(queue.list_requests(filter=["pending"]).items) == 3
        assert len(list(queue.iterate_requests(chunk_size=2))) == 3
        doomed: list[Any] = [{"uniqueKey": "b"}]
        queue.batch_delete_requests(doomed)
        queue.delete_request(request_id("c"))
        assert queue.update(name="other").name == "other"
        shown = queue.get()
        assert shown is not None
        assert shown.total_request_count == 1
        assert [item.name for item in client.request_queues().list().items] == ["other"]
        queue.delete()
        assert queue.get() is None

    await asyncio.to_thread(work)


async def test_requests_are_whole_and_heads_are_short_but_sufficient(emulator: Emulator, queue: str) -> None:
    sent = {"uniqueKey": "a", "url": URL, "userData": {"n": 1, "deep": {"x": None}}, "headers": None, "payload": None}
    id_ = (await emulator.post(f"{queue}/requests", sent)).data["requestId"]

    expected = {"id": id_, "method": "GET", "retryCount": 0, "headers": {}, "noRetry": False, "uniqueKey": "a"}
    expected |= {"url": URL, "userData": {"n": 1, "deep": {"x": None}}}
    assert (await emulator.get(f"{queue}/requests/{id_}")).data == expected
    assert (await emulator.get(f"{queue}/requests")).data == {"items": [expected], "limit": 10_000}
    head = (await emulator.get(f"{queue}/head?limit=7")).data
    short = {"id": id_, "uniqueKey": "a", "url": URL, "method": "GET", "retryCount": 0}
    assert (head["limit"], head["hadMultipleClients"], head["items"]) == (7, False, [short])


async def test_a_known_request_is_not_added_again_and_says_whether_it_was_handled(
    emulator: Emulator, queue: str
) -> None:
    first = await emulator.post(f"{queue}/requests", asked("a")[0])
    again = await emulator.post(f"{queue}/requests", {**asked("a")[0], "userData": {"late": True}})
    id_ = first.data["requestId"]
    handled = {**asked("a")[0], "id": id_, "handledAt": "2026-01-01T00:00:00.000Z"}
    marked = await emulator.ask("PUT", f"{queue}/requests/{id_}", handled)
    third = await emulator.post(f"{queue}/requests/batch", asked("a", "b"))

    assert (first.status, first.data) == (201, account(id_, present=False, handled=False))
    assert again.data == account(id_, present=True, handled=False)
    assert (marked.status, marked.data) == (200, account(id_, present=True, handled=False))
    assert third.data["processedRequests"][0] == account(id_, present=True, handled=True) | {"uniqueKey": "a"}
    assert await keys(emulator, queue) == ["b"]
    assert (await emulator.get(f"{queue}/requests/{id_}")).data["userData"] == {}


def account(id_: str, *, present: bool, handled: bool) -> dict[str, Any]:
    return {"requestId": id_, "wasAlreadyPresent": present, "wasAlreadyHandled": handled}


async def test_forefront_goes_first_and_a_reclaimed_request_last(emulator: Emulator, queue: str) -> None:
    await emulator.post(f"{queue}/requests/batch", asked("a", "b"))
    await emulator.post(f"{queue}/requests?forefront=true", asked("now")[0])
    reclaimed = {**asked("a")[0], "retryCount": 1}
    await emulator.ask("PUT", f"{queue}/requests/{request_id('a')}?forefront=false", reclaimed)

    assert await keys(emulator, queue) == ["now", "b", "a"]
    assert (await emulator.get(f"{queue}/head")).data["items"][2]["retryCount"] == 1


async def test_an_unknown_request_that_is_put_is_added(emulator: Emulator, queue: str) -> None:
    put = await emulator.ask("PUT", f"{queue}/requests/{request_id('a')}", asked("a")[0])

    assert put.data == account(request_id("a"), present=False, handled=False)
    assert await keys(emulator, queue) == ["a"]


async def test_a_lock_keeps_others_away_until_it_is_put_released_or_over(
    emulator: Emulator, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await emulator.post(f"{queue}/requests/batch?clientKey=one", asked("a", "b", "c"))

    async def lock(client: str, limit: int) -> list[str]:
        path = f"{queue}/head/lock?lockSecs=60&limit={limit}&clientKey={client}"
        return [item["uniqueKey"] for item in (await emulator.post(path)).data["items"]]

    assert (await lock("one", 2), await lock("two", 25), await lock("one", 25)) == (["a", "b"], ["c"], [])
    assert len(await keys(emulator, queue)) == 3
    held = (await emulator.get(f"{queue}/requests?filter=locked")).data["items"]
    assert {item["uniqueKey"] for item in held} == {"a", "b", "c"}
    assert (await emulator.get(f"{queue}/requests?filter=pending")).data["items"] == []
    assert len((await emulator.get(f"{queue}/requests?filter=locked,pending")).data["items"]) == 3

    for method, query in (("PUT", "&lockSecs=9"), ("DELETE", "")):
        stolen = await emulator.ask(method, f"{queue}/requests/{request_id('a')}/lock?clientKey=two{query}")
        assert stolen.error == (409, "request-handled-or-locked")
    await emulator.ask("PUT", f"{queue}/requests/{request_id('a')}?clientKey=one", asked("a")[0])
    assert await lock("two", 25) == ["a"]
    assert (await emulator.post(f"{queue}/requests/unlock?clientKey=two")).data == {"unlockedCount": 2}
    assert await lock("three", 25) == ["c", "a"]
    later = time.time() + 61
    monkeypatch.setattr("emulator.queues.time.time", lambda: later)
    assert sorted(await lock("four", 25)) == ["a", "b", "c"]


async def test_locking_the_head_says_what_it_did(emulator: Emulator, queue: str) -> None:
    await emulator.post(f"{queue}/requests", asked("a")[0])

    answer = await emulator.post(f"{queue}/head/lock?lockSecs=30&limit=100&clientKey=me")
    empty = await emulator.post(f"{queue}/head/lock?lockSecs=30&clientKey=me")

    facts = ("limit", "lockSecs", "queueHasLockedRequests", "clientKey", "hadMultipleClients")
    assert answer.status == 201
    assert [answer.data[name] for name in facts] == [25, 30, True, "me", True]
    assert answer.data["items"][0].keys() - {"lockExpiresAt"} == {"id", "uniqueKey", "url", "method", "retryCount"}
    assert (empty.data["items"], empty.data["queueHasLockedRequests"]) == ([], True)


async def test_a_run_owns_what_it_locked_whatever_its_client_key(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    source = """
root = "/request-queues/" + os.environ["ACTOR_DEFAULT_REQUEST_QUEUE_ID"]
call("POST", root + "/requests", b'{"uniqueKey": "a", "url": "https://example.com"}')
id_ = json.loads(call("POST", root + "/head/lock?lockSecs=60&clientKey=x"))["data"]["items"][0]["id"]
call("PUT", root + "/requests/" + id_ + "/lock?lockSecs=90&clientKey=y")
"""
    write_actor("locker", source)
    emulator = await start_emulator()

    run = await emulator.finish(await emulator.start("locker"))

    assert run["status"] == "SUCCEEDED"
    below = f"/v2/actor-runs/{run['id']}/request-queue"
    last = "/v2/acts/local~locker/runs/last/request-queue"
    for path in (below, last):
        assert (await emulator.get(path)).data["totalRequestCount"] == 1
        assert await keys(emulator, path) == ["a"]
        assert (await emulator.get(f"{path}/requests/{request_id('a')}")).data["uniqueKey"] == "a"
        assert (await emulator.post(f"{path}/requests", asked("b")[0])).status == 201
        assert (await emulator.ask("DELETE", f"{path}/requests/{request_id('b')}")).status == 204


async def test_a_second_client_is_remembered(emulator: Emulator, queue: str) -> None:
    async def mixed(query: str) -> bool:
        return bool((await emulator.get(f"{queue}/head?{query}")).data["hadMultipleClients"])

    assert [await mixed("clientKey=a"), await mixed("clientKey=a"), await mixed("clientKey=b")] == [False, False, True]
    assert (await emulator.get(queue)).data["hadMultipleClients"] is True
    assert (await emulator.get(f"{queue}/head?clientKey={'x' * 33}")).error == (400, "invalid-value")


async def test_pages_follow_a_cursor_or_the_old_id(emulator: Emulator, queue: str) -> None:
    await emulator.post(f"{queue}/requests/batch", asked(*"abcde"))

    first = (await emulator.get(f"{queue}/requests?limit=3")).data
    second = (await emulator.get(f"{queue}/requests?limit=3&cursor={first['nextCursor']}")).data
    old = (await emulator.get(f"{queue}/requests?exclusiveStartId={first['items'][2]['id']}")).data

    assert sorted(item["uniqueKey"] for item in first["items"] + second["items"]) == list("abcde")
    assert ("nextCursor" in second, second["cursor"]) == (False, first["nextCursor"])
    assert old["items"] == second["items"]
    assert (await emulator.get(f"{queue}/requests?cursor=nonsense")).error == (400, "invalid-value")
    assert (await emulator.get(f"{queue}/requests?limit=99999")).data["limit"] == 10_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("requests", {"url": URL}),
        ("requests", [1]),
        ("requests/batch", [{"uniqueKey": "a"}]),
        ("requests", {**asked("a")[0], "errorMessages": [False]}),
        ("requests", {**asked("a")[0], "handledAt": "yesterday"}),
        ("requests/batch", [*asked("a", "b"), {"url": URL}]),
        ("requests/batch", asked(*(str(n) for n in range(26)))),
        ("requests/batch", {"uniqueKey": "a", "url": URL}),
    ],
)
async def test_requests_that_cannot_be_meant_are_refused_whole(
    emulator: Emulator, queue: str, path: str, body: Any
) -> None:
    assert (await emulator.post(f"{queue}/{path}", body)).error == (400, "invalid-input")
    assert (await emulator.get(queue)).data["totalRequestCount"] == 0


async def test_missing_requests_and_locks_without_a_length_are_refused(emulator: Emulator, queue: str) -> None:
    assert (await emulator.get(f"{queue}/requests/nope")).error == (404, "record-not-found")
    assert (await emulator.ask("PUT", f"{queue}/requests/nope/lock?lockSecs=1")).error == (404, "record-not-found")
    assert (await emulator.ask("DELETE", f"{queue}/requests/nope/lock")).error == (404, "record-not-found")
    for length in ("", "?lockSecs=0", "?lockSecs=1e300", "?lockSecs=soon"):
        assert (await emulator.post(f"{queue}/head/lock{length}")).error == (400, "invalid-value")
    assert (await emulator.ask("DELETE", f"{queue}/requests/batch", [{"url": URL}])).error == (400, "invalid-input")


async def test_a_client_learns_that_a_lock_is_anothers(emulator: Emulator, queue: str) -> None:
    client, id_ = client_for(emulator), queue.rpartition("/")[2]
    await client.request_queue(id_).add_request({"uniqueKey": "a", "url": URL})
    await client.request_queue(id_, client_key="one").list_and_lock_head(lock_duration=_seconds(60))

    with pytest.raises(ConflictError):
        await client.request_queue(id_, client_key="two").delete_request_lock(request_id("a"))


async def test_requests_survive_a_restart_and_go_with_their_queue(
    emulator: Emulator, queue: str, start_emulator: StartEmulator
) -> None:
    await emulator.post(f"{queue}/requests/batch", asked("a", "b"))
    await emulator.stop()

    again = await start_emulator()

    assert await keys(again, queue) == ["a", "b"]
    assert (await again.ask("DELETE", queue)).status == 204
    assert (await again.get(f"{queue}/head")).error == (404, "record-not-found")


async def test_what_was_answered_survives_a_kill(tmp_path: Path, start_emulator: StartEmulator) -> None:
    data = tmp_path / "killed"
    arguments = (sys.executable, "-u", "-c", SERVE, str(data))
    process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    async with aiohttp.ClientSession(url, headers={"Authorization": "Bearer t"}) as session:
        async with session.post("/v2/request-queues?name=kept") as made:
            path = f"/v2/request-queues/{(await made.json())['data']['id']}"
        async with session.post(f"{path}/requests/batch", json=asked("a", "b")) as added:
            assert added.status == 201
    process.kill()
    await process.wait()

    again = await start_emulator(data=data)

    assert await keys(again, path) == ["a", "b"]
    assert (await again.get("/v2/request-queues/~kept")).data["totalRequestCount"] == 2


def test_a_page_ends_early_rather_than_fill_the_memory(monkeypatch: pytest.MonkeyPatch, queues: Queues) -> None:
    monkeypatch.setattr("emulator.queues.MAX_PAGE_BYTES", 100)
    for name in "abc":
        queues.add("q", {"uniqueKey": name, "url": URL, "userData": {"text": "x" * 200}}, forefront=False)

    sizes, after = [], ""
    for _ in range(3):
        page = queues.page("q", after, 10, [])
        sizes.append(len(page.items))
        after = page.last or ""

    assert (sizes, after) == ([1, 1, 1], "")


@pytest.fixture
def queues() -> Queues:
    return Queues(sqlite3.connect(":memory:", isolation_level=None))


def _seconds(count: int) -> Any:
    return timedelta(seconds=count)
