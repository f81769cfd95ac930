"""The official client, pointed at the emulator, finds everything where it expects it."""

from typing import Any

from apify_client import ApifyClientAsync

from tests.emulator.conftest import Emulator, Listener, StartEmulator, WriteActor


def client_for(emulator: Emulator) -> ApifyClientAsync:
    return ApifyClientAsync("a-token", api_url=emulator.url, api_public_url=emulator.url)


async def test_the_client_starts_waits_reads_and_deletes(
    start_emulator: StartEmulator, write_actor: WriteActor, listener: Listener
) -> None:
    write_actor(
        "crawler",
        "push([{'n': n} for n in range(1234)])\nrecord('OUTPUT', b'{\"pages\": 1234}', 'application/json')\n"
        "print('crawled')",
    )
    emulator = await start_emulator()
    client = client_for(emulator)

    hook: Any = {
        "event_types": ["ACTOR.RUN.SUCCEEDED"],
        "request_url": listener.url,
        "payload_template": '{"r": {{resource.id}}}',
    }
    started = await client.actor("local/crawler").start(
        run_input={"text": "x" * 2000},
        memory_mbytes=256,
        webhooks=[hook],
    )
    run = await client.run(started.id).wait_for_finish()

    assert run is not None
    assert (run.status, run.exit_code, run.options.memory_mbytes) == ("SUCCEEDED", 0, 256)
    items = [item["n"] async for item in client.run(run.id).dataset().iterate_items()]
    assert items == list(range(1234))
    page = await client.dataset(run.default_dataset_id).list_items(offset=1000, limit=10, desc=True, fields=["n"])
    assert (page.total, page.count, page.desc, page.items[0]) == (1234, 10, True, {"n": 233})
    store = client.key_value_store(run.default_key_value_store_id)
    record = await store.get_record("OUTPUT")
    assert record is not None
    assert record["value"] == {"pages": 1234}
    given = await store.get_record("INPUT")
    assert given is not None
    assert given["value"] == {"text": "x" * 2000}
    assert await store.record_exists("OUTPUT")
    assert not await store.record_exists("NOPE")
    assert [key.key async for key in store.iterate_keys()] == ["INPUT", "OUTPUT"]
    assert "crawled" in (await client.log(run.id).get() or "")
    assert [(body, headers["Content-Type"]) for headers, body in await listener.wait_for(1)] == [
        ({"r": run.id}, "application/json")
    ]
    dispatches = await client.webhook_dispatches().list()
    assert [dispatch.event_type for dispatch in dispatches.items] == ["ACTOR.RUN.SUCCEEDED"]

    await client.run(run.id).delete()
    assert await client.run(run.id).get() is None


async def test_the_client_lists_aborts_and_resurrects(emulator: Emulator) -> None:
    client = client_for(emulator)
    actor = client.actor("local/sleepy")
    started = await actor.start()
    await emulator.until({"id": started.id}, "awake")

    aborting = await client.run(started.id).abort(gracefully=False)
    aborted = await client.run(started.id).wait_for_finish()

    assert aborted is not None
    assert (aborting.status, aborted.status) == ("ABORTING", "ABORTED")
    listed = await client.runs().list(status=["ABORTED"], desc=True)
    assert [run.id for run in listed.items] == [started.id]
    assert [run.id for run in (await actor.runs().list()).items] == [started.id]
    last = await actor.last_run(status="ABORTED").get()
    assert last is not None
    assert last.id == started.id
    again = await client.run(started.id).resurrect()
    assert again.stats.resurrect_count == 1


async def test_the_client_manages_storages_and_webhooks(emulator: Emulator, listener: Listener) -> None:
    client = client_for(emulator)
    me = await client.user("me").get()
    actors = await client.actors().list()
    actor = await client.actor("local/quick").get()
    dataset = await client.datasets().get_or_create(name="kept")
    store = await client.key_value_stores().get_or_create(name="kept")
    queue = await client.request_queues().get_or_create(name="kept")
    run = await client.actor("local/quick").start()
    webhook = await client.webhooks().create(
        event_types=["ACTOR.RUN.ABORTED"], request_url=listener.url, actor_run_id=run.id, is_ad_hoc=True
    )

    await client.dataset(dataset.id).push_items([{"a": 1}, {"a": 2}])
    await client.key_value_store(store.id).set_record("page", "<p>ü</p>", content_type="text/html")
    record = await client.key_value_store(store.id).get_record("page")
    tested = await client.webhook(webhook.id).test()

    assert me is not None
    assert actor is not None
    assert actor.id in [item.id for item in actors.items]
    assert (await client.dataset(dataset.id).list_items()).items == [{"a": 1}, {"a": 2}]
    assert record is not None
    assert record["value"] == "<p>ü</p>"
    assert (await client.request_queue(queue.id).list_head()).items == []
    assert tested is not None
    assert tested.webhook_id == webhook.id
    updated = await client.webhook(webhook.id).update(description="mine")
    assert updated.description == "mine"
    assert [item.id for item in (await client.webhooks().list()).items] == [webhook.id]
    await client.webhook(webhook.id).delete()
    await client.dataset(dataset.id).delete()
    assert await client.dataset(dataset.id).get() is None
