"""Every call about runs that the official clients have, through the async and the sync one."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apify_client.errors import ApifyApiError

from tests.emulator.clients import KINDS, client_of
from tests.emulator.conftest import Emulator, Listener, StartEmulator
from tests.emulator.scripted import write_script


@pytest.fixture
async def platform(start_emulator: StartEmulator, actors: Path) -> Emulator:
    """An emulator with scripted Actors; time is real, for the sync starts."""
    write_script(
        actors,
        "crawl",
        duration="20ms",
        items=[{"n": n} for n in range(3)],
        records={"OUTPUT": {"pages": 3}, "note": "text"},
        requests=["http://one.example/", {"url": "http://two.example/", "uniqueKey": "two"}],
        log=["crawling", "\x1b[31mdone\x1b[0m"],
    )
    write_script(actors, "endless", duration="1h", log=["awake"])
    write_script(actors, "broken", exit_code=7)
    return await start_emulator(clock_factor=1.0)


@pytest.fixture(params=KINDS)
def client(platform: Emulator, request: pytest.FixtureRequest) -> Any:
    return client_of(request.param, platform.url)


async def test_actor_start_takes_every_option(client: Any, listener: Listener) -> None:
    hook = {"event_types": ["ACTOR.RUN.SUCCEEDED"], "request_url": listener.url}
    run = await client.actor("local/crawl").start(
        run_input={"a": 1},
        build="latest",
        max_items=5,
        max_total_charge_usd="2.5",
        restart_on_error=True,
        memory_mbytes=256,
        run_timeout=timedelta(seconds=90),
        force_permission_level="FULL_PERMISSIONS",
        wait_for_finish=60,
        webhooks=[hook],
    )

    options = run.options
    assert (run.status, run.exit_code, run.stats.input_body_len) == ("SUCCEEDED", 0, 8)
    assert (options.build, options.timeout_secs, options.memory_mbytes) == ("latest", 90, 256)
    assert (options.disk_mbytes, options.max_items, float(options.max_total_charge_usd)) == (512, 5, 2.5)
    [(_, body)] = await listener.wait_for(1)
    assert (body["eventType"], body["resource"]["id"]) == ("ACTOR.RUN.SUCCEEDED", run.id)


async def test_actor_call_waits_for_the_end(client: Any) -> None:
    run = await client.actor("local/crawl").call(logger=None)

    assert run.status == "SUCCEEDED"
    assert [item async for item in _items(client.dataset(run.default_dataset_id))] == [{"n": 0}, {"n": 1}, {"n": 2}]


async def _items(dataset: Any) -> Any:
    for item in (await dataset.list_items()).items:
        yield item


async def test_run_get_update_and_wait_for_finish(client: Any) -> None:
    started = await client.actor("local/endless").start()
    run = client.run(started.id)

    updated = await run.update(status_message="Half way", is_status_message_terminal=False)
    opened = await run.update(general_access="ANYONE_WITH_ID_CAN_READ")
    waiting = await run.wait_for_finish(wait_duration=timedelta(seconds=0.1))

    assert (updated.status_message, updated.is_status_message_terminal) == ("Half way", False)
    assert opened.general_access == "ANYONE_WITH_ID_CAN_READ"
    assert waiting.status in {"READY", "RUNNING"}
    assert (await run.get()).id == started.id
    assert await client.run("nobody0000000000x").get() is None


async def test_run_abort_resurrect_and_delete(client: Any) -> None:
    started = await client.actor("local/endless").start()
    run = client.run(started.id)
    with pytest.raises(ApifyApiError) as unfinished:
        await run.delete()

    aborting = await run.abort(gracefully=False)
    aborted = await run.wait_for_finish()
    again = await run.resurrect(
        build="latest", memory_mbytes=512, run_timeout=timedelta(seconds=1), max_items=3, restart_on_error=False
    )
    ended = await run.wait_for_finish()
    await run.delete()

    assert (unfinished.value.status_code, unfinished.value.type) == (400, "cannot-remove-running-run")
    assert (aborting.status, aborted.status, aborted.exit_code) == ("ABORTING", "ABORTED", 137)
    assert (again.stats.resurrect_count, again.options.memory_mbytes, again.options.timeout_secs) == (1, 512, 1)
    assert (ended.status, ended.default_dataset_id) == ("TIMED-OUT", started.default_dataset_id)
    assert await run.get() is None
    assert await client.dataset(started.default_dataset_id).get() is None


async def test_run_reboot_and_metamorph(client: Any) -> None:
    started = await client.actor("local/endless").start(run_input={"first": True})
    run = client.run(started.id)
    await _until_running(run)

    rebooted = await run.reboot()
    await _until_running(run)
    changed = await run.metamorph(
        target_actor_id="local/crawl", target_actor_build="latest", run_input={"second": True}
    )
    ended = await run.wait_for_finish()

    store = client.key_value_store(started.default_key_value_store_id)
    assert (rebooted.stats.reboot_count, changed.stats.metamorph) == (1, 1)
    assert (ended.status, ended.act_id) == ("SUCCEEDED", started.act_id)
    assert [one.input_key for one in ended.metamorphs] == ["INPUT-METAMORPH-1"]
    assert (await store.get_record("INPUT-METAMORPH-1"))["value"] == {"second": True}
    assert (await store.get_record("INPUT"))["value"] == {"first": True}


async def _until_running(run: Any) -> None:
    while (await run.get()).status != "RUNNING":
        await asyncio.sleep(0.01)


async def test_run_storages_and_log(client: Any) -> None:
    started = await client.actor("local/crawl").call(logger=None)
    run = client.run(started.id)

    assert (await run.dataset().list_items()).items == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert (await run.key_value_store().get_record("OUTPUT"))["value"] == {"pages": 3}
    assert (await run.key_value_store().get_record("note"))["value"] == "text"
    assert {request.url for request in (await run.request_queue().list_head()).items} == {
        "http://one.example/",
        "http://two.example/",
    }
    plain, raw = await run.log().get(), await client.log(started.id).get(raw=True)
    assert "crawling" in plain
    assert ("\x1b[31m" in plain, "\x1b[31m" in raw) == (False, True)
    assert b"crawling" in await run.log().get_as_bytes()


async def test_last_run_by_status_and_origin_with_its_storages(client: Any) -> None:
    done = await client.actor("local/crawl").call(logger=None)
    running = await client.actor("local/crawl").start()
    actor = client.actor("local/crawl")

    last = actor.last_run(status="SUCCEEDED", origin="API")

    assert (await last.get()).id in {done.id, running.id}
    assert len((await last.dataset().list_items()).items) == 3
    assert (await last.key_value_store().get_record("OUTPUT"))["value"] == {"pages": 3}
    assert len((await last.request_queue().list_head()).items) == 2
    assert "crawling" in await last.log().get()
    assert await actor.last_run(origin="SCHEDULER").get() is None


async def test_runs_are_listed_of_all_and_of_one_actor(client: Any) -> None:
    before = datetime.now(UTC)
    crawl = await client.actor("local/crawl").call(logger=None)
    broken = await client.actor("local/broken").call(logger=None)

    everything = await client.runs().list(started_after=before - timedelta(seconds=1), limit=10)
    failed = await client.runs().list(status=["FAILED", "ABORTED"], desc=True)
    own = await client.actor("local/crawl").runs().list(offset=0, limit=1, status="SUCCEEDED")
    early = await client.runs().list(started_before=before - timedelta(days=1))

    assert [run.id for run in everything.items] == [crawl.id, broken.id]
    assert [(run.id, run.status) for run in failed.items] == [(broken.id, "FAILED")]
    assert ([run.id for run in own.items], own.total) == ([crawl.id], 1)
    assert early.items == []


async def test_a_failed_run_tells_its_exit_code(client: Any) -> None:
    run = await client.actor("local/broken").call(logger=None)

    assert (run.status, run.exit_code, run.status_message) == ("FAILED", 7, "Actor finished with exit code 7")
