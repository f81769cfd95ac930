"""Actors written with the official SDK run in the emulator as they are; the official client starts and reads them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from apify_client import ApifyClientAsync

from tests.emulator.conftest import Emulator, Listener, StartEmulator

ACTORS = Path(__file__).parent / "actors"


@pytest.fixture
async def platform(start_emulator: StartEmulator) -> Emulator:
    """Its clock is fast enough for events, and leaves an aborted Actor three seconds."""
    return await start_emulator(actors=(ACTORS,), clock_factor=0.1)


@pytest.fixture
def client(platform: Emulator) -> ApifyClientAsync:
    return ApifyClientAsync("a-token", api_url=platform.url, api_public_url=platform.url)


async def record(client: ApifyClientAsync, run: Any, key: str) -> Any:
    found = await client.key_value_store(run.default_key_value_store_id).get_record(key)
    return found["value"] if found else None


async def log_of(client: ApifyClientAsync, run: Any) -> str:
    return await client.log(run.id).get() or ""


async def test_every_storage_webhooks_charging_and_messages(
    client: ApifyClientAsync, platform: Emulator, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # for our own client
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # an Actor that inherited one would hang

    run = await client.actor("local/toolbox").call(run_input={"hook": listener.url}, logger=None)

    assert run is not None
    assert (run.status, run.exit_code, run.status_message) == ("SUCCEEDED", 0, "All done"), await log_of(client, run)
    aliases = (await platform.get(f"/v2/actor-runs/{run.id}")).data["storageIds"]["datasets"]
    assert await record(client, run, "OUTPUT") == {
        "count": 3,
        "storages": {
            "items": [0, 1, 2],
            "page": [3, 2, 0],
            "reviews": aliases["reviews"],
            "default": run.default_dataset_id,
            "prices": [{"in": "prices"}],
        },
        "records": {
            "read": {"object": True, "text": True, "none": True, "big": True},
            "bytes": [0, 255],
            "absent": [None, "default"],
            "keys": ["INPUT", "__STORAGE_ALIASES_MAPPING", "big", "bytes", "none", "object", "text"],
            "exists": [True, False],
        },
        "queue": {"first": "http://127.0.0.1/0", "again": True, "counts": [40, 1], "finished": False},
        "charged": [3, False],
        "env": {"id": run.act_id, "run_id": run.id, "memory_mbytes": 256, "build_number": "1.2.1"},
        "configured": ["local/toolbox", ["beta"]],
        "own": ["red", True],
        "at_home": True,
        "wrote_locally": False,
        "proxied": [],
    }
    assert run.charged_event_counts == {"page": 3}
    assert await record(client, run, "INPUT") == {"hook": listener.url, "count": 3}
    [(_, body)] = await listener.wait_for(1)
    assert (body["eventType"], body["resource"]["id"]) == ("ACTOR.RUN.SUCCEEDED", run.id)
    shared = await client.key_value_stores().get_or_create(name="shared")
    seen = await client.key_value_store(shared.id).get_record("seen")
    assert seen is not None
    assert seen["value"] == 1
    reviews = await client.dataset(aliases["reviews"]).list_items()
    assert reviews.items == [{"in": "reviews"}]


async def test_actors_start_abort_reboot_and_become_others(client: ApifyClientAsync) -> None:
    await client.tasks().create(actor_id="local~ender", name="finish", task_input={"how": "raise"})

    run = await client.actor("local/relay").call(logger=None)

    assert run is not None
    assert (run.status, run.exit_code) == ("FAILED", 7), await log_of(client, run)
    assert run.status_message == "I was the relay"
    seen = await record(client, run, "SEEN")
    aborted = await client.run(seen.pop("aborted")).wait_for_finish()
    assert aborted is not None
    assert (aborted.status, aborted.meta.origin) == ("ABORTED", "ACTOR")
    assert seen == {"called": "SUCCEEDED", "task": "FAILED", "started": 128}
    assert (await client.dataset(run.default_dataset_id).list_items()).items == [{"rebooted": True}]
    assert await record(client, run, "INPUT-METAMORPH-1") == {"how": "fail", "says": "I was the relay"}
    assert (run.stats.reboot_count, run.stats.metamorph) == (1, 1)


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [("ok", "SUCCEEDED", 0), ("raise", "FAILED", 91), ("exit", "FAILED", 3), ("proxy", "SUCCEEDED", 0)],
)
async def test_the_end_of_the_code_decides_the_status(
    client: ApifyClientAsync, how: str, status: str, code: int
) -> None:
    run = await client.actor("local/ender").call(run_input={"how": how}, logger=None)

    assert run is not None
    assert (run.status, run.exit_code) == (status, code), await log_of(client, run)


async def test_a_graceful_abort_is_heard_and_ends_aborted_although_the_code_ends_well(
    client: ApifyClientAsync, platform: Emulator
) -> None:
    run = await client.actor("local/ender").start(run_input={"how": "wait"})
    await platform.until({"id": run.id}, "waiting")

    await client.run(run.id).abort(gracefully=True)
    ended = await client.run(run.id).wait_for_finish()

    assert ended is not None
    assert (ended.status, ended.exit_code) == ("ABORTED", 0)
    assert await record(client, run, "STATE") == "saved"


async def test_an_actor_hears_what_it_uses(client: ApifyClientAsync) -> None:
    run = await client.actor("local/ender").call(run_input={"how": "events"}, memory_mbytes=512, logger=None)

    assert run is not None
    heard = await record(client, run, "HEARD")
    assert 0 <= heard["cpu_info"]["used_ratio"] <= 1
    assert heard["memory_info"]["current_size"] > 1024 * 1024


async def test_an_input_that_does_not_fit_is_told_by_its_field(client: ApifyClientAsync) -> None:
    with pytest.raises(Exception, match=r"Input is not valid: Field input\.hook is required"):
        await client.actor("local/toolbox").start(run_input={"count": 1})


PAGES = {"0": ["1", "2"], "1": ["2", "3"], "2": ["0"], "3": []}


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """Four pages that link to each other."""

    async def page(request: web.Request) -> web.Response:
        links = PAGES[request.match_info["page"]]
        return web.Response(text="".join(f'<a href="{link}">' for link in links), content_type="text/html")

    app = web.Application()
    app.router.add_get("/{page}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_crawler_reads_every_page_once_and_leaves_its_queue_handled(
    client: ApifyClientAsync, site: str
) -> None:
    run = await client.actor("local/crawler").call(run_input={"start": f"{site}/0"})  # and follow its log

    assert run is not None
    assert run.status == "SUCCEEDED", await log_of(client, run)
    items = (await client.dataset(run.default_dataset_id).list_items()).items
    assert sorted((item["url"], item["links"]) for item in items) == [
        (f"{site}/{page}", len(links)) for page, links in PAGES.items()
    ]
    queue = await client.request_queue(run.default_request_queue_id).get()
    assert queue is not None
    assert (queue.total_request_count, queue.handled_request_count, queue.pending_request_count) == (4, 4, 0)
    statistics = await record(client, run, "__CRAWLER_STATISTICS_0")
    assert statistics["requestsFinished"] == 4


async def test_runs_at_the_same_time_do_not_mix(client: ApifyClientAsync) -> None:
    started = [await client.actor("local/ender").start(run_input={"how": how}) for how in ("ok", "raise")]

    ended = await asyncio.gather(*(client.run(run.id).wait_for_finish() for run in started))

    assert [run.status for run in ended if run] == ["SUCCEEDED", "FAILED"]
