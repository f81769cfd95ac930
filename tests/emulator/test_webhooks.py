"""Webhooks that last, and their dispatches: lists, accounts, and the official clients' calls."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from apify_client import ApifyClient, ApifyClientAsync

from tests.emulator.conftest import Emulator, Listener, StartEmulator, WriteActor
from tests.emulator.test_dispatches import ENDS, settled, webhooks


@pytest.fixture
async def actor(emulator: Emulator) -> str:
    """The id of the Actor `quick`."""
    return str((await emulator.get("/v2/actors/local~quick")).data["id"])


async def test_the_async_client_makes_every_call_of_webhooks(
    emulator: Emulator, listener: Listener, actor: str
) -> None:
    """webhooks(): create list; webhook(): get update test dispatches delete; webhook_dispatches(): list;
    webhook_dispatch(): get; actor().webhooks(): list."""
    client = ApifyClientAsync("t", api_url=emulator.url, api_public_url=emulator.url)
    made = await client.webhooks().create(
        event_types=["ACTOR.RUN.SUCCEEDED"],
        request_url=listener.url,
        actor_id=actor,
        payload_template='{"r": {{resource.id}}}',
        headers_template='{"X-Mine": "1"}',
        ignore_ssl_errors=True,
        do_not_retry=True,
        idempotency_key="k",
        description="d",
    )
    webhook = client.webhook(made.id)

    updated = await webhook.update(description="other", event_types=["ACTOR.RUN.SUCCEEDED", "ACTOR.RUN.FAILED"])
    tested = await webhook.test()
    await listener.wait_for(1)
    run = await client.actor(actor).call(logger=None)
    await listener.wait_for(2)
    await settled(emulator, 2)
    shown = await webhook.get()
    own = await webhook.dispatches().list(desc=True)
    every = await client.webhook_dispatches().list(limit=1)
    dispatch = await client.webhook_dispatch(own.items[0].id).get()

    assert (made.do_not_retry, made.ignore_ssl_errors, made.description) == (True, True, "d")
    assert (updated.description, len(updated.event_types)) == ("other", 2)
    assert tested is not None
    assert (tested.event_type, tested.status) == ("TEST", "ACTIVE")
    assert run is not None
    assert [body for _, body in listener.got] == [{"r": None}, {"r": run.id}]
    assert [headers["X-Mine"] for headers, _ in listener.got] == ["1", "1"]
    assert shown is not None
    assert shown.last_dispatch is not None
    assert shown.stats is not None
    assert (shown.last_dispatch.status, shown.stats.total_dispatches) == ("SUCCEEDED", 2)
    assert [item.event_type for item in own.items] == ["ACTOR.RUN.SUCCEEDED", "TEST"]
    assert (every.total, [item.event_type for item in every.items]) == (2, ["TEST"])
    assert dispatch is not None
    assert dispatch.calls is not None
    assert [(call.response_status, call.response_body) for call in dispatch.calls] == [(200, "seen")]
    assert [item.id for item in (await client.webhooks().list()).items] == [made.id]
    assert [item.id for item in (await client.actor(actor).webhooks().list()).items] == [made.id]
    await webhook.delete()
    assert await webhook.get() is None


async def test_the_sync_client_makes_every_call_of_webhooks(emulator: Emulator, listener: Listener, actor: str) -> None:
    """The same calls as the async client's."""

    def work() -> None:
        client = ApifyClient("t", api_url=emulator.url, api_public_url=emulator.url)
        made = client.webhooks().create(event_types=["ACTOR.RUN.FAILED"], request_url=listener.url, actor_id=actor)
        webhook = client.webhook(made.id)
        assert webhook.update(description="d").description == "d"
        dispatch = webhook.test()
        assert dispatch is not None
        found = client.webhook_dispatch(dispatch.id).get()
        assert found is not None
        assert [item.id for item in webhook.dispatches().list().items] == [dispatch.id]
        assert [item.id for item in client.webhook_dispatches().list().items] == [dispatch.id]
        assert [item.id for item in client.webhooks().list().items] == [made.id]
        assert [item.id for item in client.actor(actor).webhooks().list().items] == [made.id]
        webhook.delete()
        assert webhook.get() is None

    await asyncio.to_thread(work)


async def test_a_webhook_of_a_task_hears_its_runs_only(emulator: Emulator, listener: Listener, actor: str) -> None:
    """task().webhooks(): list."""
    client = ApifyClientAsync("t", api_url=emulator.url, api_public_url=emulator.url)
    task = await client.tasks().create(actor_id=actor, name="chore")
    made = await client.webhooks().create(
        event_types=["ACTOR.RUN.SUCCEEDED"], request_url=listener.url, actor_task_id=task.id
    )

    await emulator.finish(await emulator.start("quick"))
    run = await client.task(task.id).call()
    [(_, body)] = await listener.wait_for(1)

    assert run is not None
    assert body["eventData"] == {"actorId": actor, "actorRunId": run.id, "actorTaskId": task.id}
    assert [item.id for item in (await client.task(task.id).webhooks().list()).items] == [made.id]
    assert (await client.actor(actor).webhooks().list()).items == []


async def test_a_webhook_moves_with_its_condition(emulator: Emulator, listener: Listener, actor: str) -> None:
    body = {"eventTypes": ENDS, "requestUrl": listener.url, "condition": {"actorId": "elsewhere"}}
    path = f"/v2/webhooks/{(await emulator.post('/v2/webhooks', body)).data['id']}"

    await emulator.finish(await emulator.start("quick"))
    moved = await emulator.ask("PUT", path, {"condition": {"actorId": actor}, "eventTypes": None, "doNotRetry": None})
    run = await emulator.finish(await emulator.start("quick"))
    [(_, payload)] = await listener.wait_for(1)

    assert (moved.data["condition"], moved.data["eventTypes"], moved.data["doNotRetry"]) == (
        {"actorId": actor},
        ENDS,
        False,
    )
    assert payload["resource"]["id"] == run["id"]


async def test_lists_show_webhooks_without_their_templates(emulator: Emulator, listener: Listener) -> None:
    body = {"eventTypes": ENDS, "requestUrl": listener.url, "condition": {"actorId": "x"}, "headersTemplate": "{}"}
    whole = (await emulator.post("/v2/webhooks", body)).data

    [item] = (await emulator.get("/v2/webhooks")).data["items"]

    assert whole.keys() - item.keys() == {"payloadTemplate", "headersTemplate", "idempotencyKey", "description"}


async def test_an_idempotency_key_is_known_over_all_webhooks_of_an_account(
    start_emulator: StartEmulator, write_actor: WriteActor, listener: Listener
) -> None:
    write_actor("quick")
    emulator = await start_emulator(strangers={"hers": "ada"})
    body = {"eventTypes": ENDS, "requestUrl": listener.url, "condition": {"actorId": "x"}, "idempotencyKey": "k"}

    lasting = (await emulator.post("/v2/webhooks", body)).data["id"]
    again = (await emulator.post("/v2/webhooks", body)).data["id"]
    hers = (await emulator.ask("POST", "/v2/webhooks", body, token="hers")).data["id"]
    await emulator.start("quick", webhooks(listener, idempotencyKey="k"))

    async def ids(token: str) -> list[str]:
        return [item["id"] for item in (await emulator.get("/v2/webhooks", token=token)).data["items"]]

    assert (lasting == again, lasting == hers) == (True, False)
    assert (await ids("t"), await ids("hers")) == ([lasting], [hers])


async def test_a_stranger_hears_nothing_of_anothers_runs(
    start_emulator: StartEmulator, write_actor: WriteActor, listener: Listener
) -> None:
    write_actor("quick")
    emulator = await start_emulator(strangers={"hers": "ada"})
    actor = (await emulator.get("/v2/actors/local~quick")).data["id"]
    body = {"eventTypes": ENDS, "requestUrl": listener.url, "condition": {"actorId": actor}}
    await emulator.ask("POST", "/v2/webhooks", body, token="hers")
    await emulator.post("/v2/webhooks", body | {"requestUrl": listener.url + "?mine"})

    run = await emulator.finish(await emulator.start("quick"))
    [dispatch] = await settled(emulator)

    assert dispatch["eventData"]["actorRunId"] == run["id"]
    assert (await emulator.get("/v2/webhook-dispatches", token="hers")).data["items"] == []
    assert (await emulator.get(f"/v2/webhook-dispatches/{dispatch['id']}", token="hers")).status == 403


async def test_an_actor_adds_a_webhook_to_its_own_run(
    start_emulator: StartEmulator, write_actor: WriteActor, listener: Listener
) -> None:
    source = f"""
condition = {{"actorRunId": os.environ["ACTOR_RUN_ID"]}}
hook = {{"isAdHoc": True, "eventTypes": ["ACTOR.RUN.SUCCEEDED"], "condition": condition}}
call("POST", "/webhooks", json.dumps(hook | {{"requestUrl": "{listener.url}"}}).encode())
"""
    write_actor("hooker", source)
    emulator = await start_emulator()

    run = await emulator.finish(await emulator.start("hooker"))
    [(_, body)] = await listener.wait_for(1)

    assert (run["status"], body["resource"]["id"]) == ("SUCCEEDED", run["id"])
    [webhook] = (await emulator.get("/v2/webhooks")).data["items"]
    assert (webhook["isAdHoc"], webhook["condition"]) == (True, {"actorRunId": run["id"]})


async def test_a_webhook_may_call_the_emulators_own_api(emulator: Emulator) -> None:
    url = f"{emulator.url}/v2/acts/local~quick/runs"
    first = await emulator.start("quick", webhooks(Listener(url=url), idempotencyKey="chain"))

    [dispatch] = await settled(emulator)
    runs = (await emulator.get("/v2/actor-runs")).data["items"]

    assert [call["responseStatus"] for call in dispatch["calls"]] == [201]
    assert [run["id"] == first["id"] for run in runs] == [True, False]


async def test_every_call_is_told_to_the_observer(
    start_emulator: StartEmulator, write_actor: WriteActor, listener: Listener
) -> None:
    write_actor("quick")
    told: list[Any] = []
    emulator = await start_emulator(on_dispatch=told.append)
    listener.statuses = [500]

    await emulator.start("quick", webhooks(listener))
    await settled(emulator)

    assert [(call.event, call.url, call.status, call.answer) for call in told] == [
        ("ACTOR.RUN.SUCCEEDED", listener.url, 500, "seen"),
        ("ACTOR.RUN.SUCCEEDED", listener.url, 200, "seen"),
    ]
    assert [call.next_try for call in told] == [pytest.approx(60 * 0.0002), None]
    assert [call.error is None for call in told] == [False, True]


async def test_what_a_headers_template_gave_is_not_told_when_it_comes_back(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    async def echo(request: web.Request) -> web.Response:
        given = request.headers["Authorization"]
        return web.Response(text=f"You sent {given}, the key {given.split()[1]}, the flag {request.headers['X-Flag']}")

    app = web.Application()
    app.router.add_post("/hook", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    write_actor("quick")
    told: list[Any] = []
    emulator = await start_emulator(on_dispatch=told.append)

    headers = '{"Authorization": "Bearer hush-hush", "X-Flag": "yes"}'
    await emulator.start("quick", webhooks(Listener(url=url), headersTemplate=headers))
    await settled(emulator)
    await runner.cleanup()

    assert [call.answer for call in told] == ["You sent ***, the key ***, the flag yes"]


async def test_a_condition_that_names_nothing_is_refused(emulator: Emulator) -> None:
    body = {"eventTypes": ["TEST"], "requestUrl": "http://127.0.0.1:9/hook", "condition": {"actorId": ""}}
    assert (await emulator.post("/v2/webhooks", body)).error == (400, "invalid-input")
