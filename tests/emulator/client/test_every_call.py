"""Every call the official client has, in both its forms, against the emulator; what is missing is named here."""

from datetime import timedelta
from typing import Any

import pytest

from tests.emulator.client.calls import every_call, recorded
from tests.emulator.clients import KINDS, client_of, everything, streamed
from tests.emulator.conftest import Emulator, StartEmulator, WriteActor

#: What the emulator answers with 501, or leaves to Apify: making, building, publishing and renting Actors.
NOT_EMULATED = {
    "Actor.build",
    "Actor.delete",
    "Actor.update",
    "Actor.version",
    "Actor.versions",
    "ActorCollection.create",
    "ActorEnvVar.delete",
    "ActorEnvVar.get",
    "ActorEnvVar.update",
    "ActorEnvVarCollection.create",
    "ActorEnvVarCollection.iterate",
    "ActorEnvVarCollection.list",
    "ActorVersion.delete",
    "ActorVersion.env_var",
    "ActorVersion.env_vars",
    "ActorVersion.get",
    "ActorVersion.update",
    "ActorVersionCollection.create",
    "ActorVersionCollection.iterate",
    "ActorVersionCollection.list",
    "Build.abort",
    "Build.delete",
    "Build.get_open_api_definition",
    "Schedule.delete",
    "Schedule.get",
    "Schedule.get_log",
    "Schedule.update",
    "ScheduleCollection.create",
    "StoreCollection.iterate",
    "StoreCollection.list",
    "Task.publish",
    "Task.unpublish",
    "User.update_limits",
}
HOOK = "http://127.0.0.1:9/hook"


@pytest.fixture
async def emulator(start_emulator: StartEmulator, write_actor: WriteActor) -> Emulator:
    write_actor("quick", "push([{'n': 1}, {'n': 2}])\nrecord('OUTPUT', b'{}', 'application/json')\nprint('done')")
    write_actor("sleepy", "print('awake', flush=True)\ntime.sleep(60)", chargedEvents={"page": 0.01})
    return await start_emulator()


@pytest.mark.parametrize("kind", KINDS)
async def test_every_call_of_the_official_client_is_made_or_named_as_missing(
    kind: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recorded(kind, monkeypatch) as made:
        client = client_of(kind, emulator.url)
        run = await actors(client)
        await runs(client, run)
        await logs(client, run, emulator)
        await datasets(client)
        await stores(client)
        await queues(client)
        await tasks(client)
        await webhooks(client, run)
        await people(client)
        await ends(client, run)
    assert made | NOT_EMULATED == every_call(kind)
    assert made & NOT_EMULATED == set()


async def actors(client: Any) -> Any:
    actor = client.actor("local/quick")
    assert (await actor.get()).name == "quick"
    named = {one.name for one in (await client.actors().list()).items}
    assert named == {one.name for one in await everything(client.actors().iterate())} >= {"quick", "sleepy"}
    assert await actor.validate_input(run_input={"any": "thing"})
    started = await actor.start(run_input={"a": 1}, wait_for_finish=20)
    assert started.status == "SUCCEEDED"
    run = await actor.call(run_input={"a": 1}, logger=None)
    assert (await actor.last_run(status="SUCCEEDED").get()).id == run.id
    build = await actor.default_build()
    assert (await build.get()).id == run.build_id
    assert [one.id for one in (await actor.builds().list()).items] == [run.build_id]
    assert len(await everything(actor.builds().iterate())) == 1
    assert (await client.build(run.build_id).wait_for_finish()).status == "SUCCEEDED"
    assert await client.build(run.build_id).log().get()
    return run


async def runs(client: Any, run: Any) -> None:
    one = client.run(run.id)
    assert (await one.get()).exit_code == 0
    assert (await one.wait_for_finish()).status == "SUCCEEDED"
    assert (await one.update(status_message="seen")).status_message == "seen"
    assert [item["n"] for item in (await one.dataset().list_items()).items] == [1, 2]
    assert (await one.key_value_store().get_record("OUTPUT"))["value"] == {}
    assert (await one.request_queue().get()).total_request_count == 0
    assert [item["n"] for item in await everything(one.iterate_dataset_items())] == [1, 2]
    of_actor = client.actor("local/quick").runs()
    assert len((await of_actor.list(status="SUCCEEDED")).items) == 2
    assert len(await everything(client.runs().iterate())) == 2
    sleepy = await client.actor("local/sleepy").start()
    asleep = client.run(sleepy.id)
    await asleep.charge("page", count=2)
    assert (await asleep.reboot()).status in {"READY", "RUNNING"}
    metamorphed = await asleep.metamorph(target_actor_id="local~sleepy", run_input={"b": 2})
    assert metamorphed.id == sleepy.id
    assert (await asleep.abort()).status in {"ABORTING", "ABORTED"}
    assert (await asleep.wait_for_finish()).status == "ABORTED"
    assert (await asleep.resurrect(memory_mbytes=256)).status in {"READY", "RUNNING"}
    await asleep.abort()


async def logs(client: Any, run: Any, emulator: Emulator) -> None:
    assert "done" in await client.log(run.id).get()
    assert b"done" in await client.run(run.id).log().get_as_bytes()
    assert b"done" in await streamed(client.log(run.id).stream())
    assert await client.run(run.id).get_streamed_log() is not None
    assert await client.run(run.id).get_status_message_watcher() is not None


async def datasets(client: Any) -> None:
    made = await client.datasets().get_or_create(name="rows")
    one = client.dataset(made.id)
    await one.push_items([{"n": 1, "#h": 0}, {"n": 2}, {}])
    assert (await one.get()).item_count == 3
    assert (await one.list_items(clean=True)).items == [{"n": 1}, {"n": 2}]
    assert len(await everything(one.iterate_items(limit=2))) == 2
    assert await one.get_items_as_bytes(item_format="csv", clean=True, bom=False) == b"n\n1\n2\n"
    assert (await streamed(one.stream_items(item_format="jsonl"))).count(b"\n") == 3
    assert await one.get_statistics() is not None
    assert (await one.create_items_public_url()).startswith("http://127.0.0.1")
    assert (await one.update(name="lines")).name == "lines"
    assert [found.name for found in (await client.datasets().list()).items] == ["lines"]
    assert len(await everything(client.datasets().iterate())) == 1
    await one.delete()
    assert await one.get() is None


async def stores(client: Any) -> None:
    made = await client.key_value_stores().get_or_create(name="things")
    one = client.key_value_store(made.id)
    await one.set_record("a-b", {"x": 1})
    await one.set_record("text", "words")
    assert (await one.get()).name == "things"
    assert (await one.get_record("a-b"))["value"] == {"x": 1}
    assert (await one.get_record_as_bytes("text"))["value"] == b"words"
    assert await streamed(one.stream_record("text"), lambda found: found["value"]) == b"words"
    assert await one.record_exists("text")
    assert [key.key for key in (await one.list_keys()).items] == ["a-b", "text"]
    assert len(await everything(one.iterate_keys())) == 2
    assert (await one.create_keys_public_url()).startswith("http://127.0.0.1")
    assert (await one.get_record_public_url("text")).startswith("http://127.0.0.1")
    await one.delete_record("text")
    assert not await one.record_exists("text")
    assert (await one.update(name="stuff")).name == "stuff"
    assert [found.name for found in (await client.key_value_stores().list()).items] == ["stuff"]
    assert len(await everything(client.key_value_stores().iterate())) == 1
    await one.delete()


async def queues(client: Any) -> None:
    made = await client.request_queues().get_or_create(name="todo")
    one = client.request_queue(made.id, client_key="me")
    added = await one.add_request({"url": HOOK, "uniqueKey": "u", "method": "GET"})
    assert not added.was_already_present
    more = [{"url": f"{HOOK}/{n}", "uniqueKey": f"u{n}", "method": "GET"} for n in range(3)]
    assert len((await one.batch_add_requests(more)).processed_requests) == 3
    assert (await one.get()).total_request_count == 4
    request = await one.get_request(added.request_id)
    assert request.unique_key == "u"
    assert len((await one.list_head()).items) == 4
    assert len((await one.list_requests()).items) == 4
    assert len(await everything(one.iterate_requests())) == 4
    locked = (await one.list_and_lock_head(lock_duration=timedelta(seconds=60), limit=2)).items
    await one.prolong_request_lock(locked[0].id, lock_duration=timedelta(seconds=90))
    await one.delete_request_lock(locked[0].id)
    assert (await one.unlock_requests()).unlocked_count == 1
    changed = {"id": added.request_id, "url": HOOK, "uniqueKey": "u", "handledAt": "2026-01-01T00:00:00.000Z"}
    assert (await one.update_request(changed)).was_already_present
    await one.batch_delete_requests([{"uniqueKey": "u0"}])
    await one.delete_request(added.request_id)
    assert (await one.update(name="later")).name == "later"
    assert [found.name for found in (await client.request_queues().list()).items] == ["later"]
    assert len(await everything(client.request_queues().iterate())) == 1
    await one.delete()


async def tasks(client: Any) -> None:
    actor = await client.actor("local/quick").get()
    made = await client.tasks().create(actor_id=actor.id, name="daily", task_input={"a": 1})
    one = client.task(made.id)
    assert (await one.get()).name == "daily"
    assert await one.get_input() == {"a": 1}
    assert await one.update_input(task_input={"a": 2}) == {"a": 2}
    assert (await one.update(name="nightly")).name == "nightly"
    assert (await one.start(task_input={"b": 1}, wait_for_finish=20)).status == "SUCCEEDED"
    run = await one.call()
    assert (await one.last_run().get()).id == run.id
    assert len((await one.runs().list()).items) == 2
    assert (await one.webhooks().list()).items == []
    assert [found.name for found in (await client.tasks().list()).items] == ["nightly"]
    assert len(await everything(client.tasks().iterate())) == 1
    await one.delete()


async def webhooks(client: Any, run: Any) -> None:
    asked = {"event_types": ["ACTOR.RUN.SUCCEEDED"], "request_url": HOOK, "actor_id": run.act_id, "do_not_retry": True}
    made = await client.webhooks().create(**asked)
    one = client.webhook(made.id)
    assert str((await one.get()).request_url) == HOOK
    assert (await one.update(description="ours")).description == "ours"
    dispatch = await one.test()
    assert (await client.webhook_dispatch(dispatch.id).get()).webhook_id == made.id
    assert len((await one.dispatches().list()).items) == 1
    assert len(await everything(client.webhook_dispatches().iterate())) == 1
    assert len((await client.actor(run.act_id).webhooks().list()).items) == 1
    assert len(await everything(client.webhooks().iterate())) == 1
    await one.delete()


async def people(client: Any) -> None:
    assert (await client.user().get()).username == "local"
    assert await client.user().limits() is not None
    assert await client.user().monthly_usage() is not None
    assert (await client.schedules().list()).items == []
    assert await everything(client.schedules().iterate()) == []


async def ends(client: Any, run: Any) -> None:
    await client.run(run.id).delete()
    assert await client.run(run.id).get() is None
