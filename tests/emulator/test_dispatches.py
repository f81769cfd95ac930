"""Webhooks, from a run's change to a listener on the network."""

import asyncio
import base64
import json
import ssl
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from emulator.scenarios import Delay, Duplicate, Fault, Lose
from tests.emulator.conftest import Emulator, Listener, StartEmulator, WriteActor

ENDS = ["ACTOR.RUN.SUCCEEDED", "ACTOR.RUN.FAILED", "ACTOR.RUN.TIMED_OUT", "ACTOR.RUN.ABORTED"]


def webhooks(listener: Listener, **fields: Any) -> str:
    """The `webhooks` parameter for one webhook, ready for a URL."""
    hook = {"eventTypes": ENDS, "requestUrl": listener.url} | fields
    return "webhooks=" + quote(base64.b64encode(json.dumps([hook]).encode()).decode())


async def settled(emulator: Emulator, count: int = 1) -> list[dict[str, Any]]:
    """All dispatches, once there are so many and none is active."""
    while True:
        items: list[dict[str, Any]] = (await emulator.get("/v2/webhook-dispatches")).data["items"]
        if len(items) >= count and all(item["status"] != "ACTIVE" for item in items):
            return items
        await asyncio.sleep(0.01)


async def test_the_default_payload_and_headers_announce_the_end(emulator: Emulator, listener: Listener) -> None:
    started = await emulator.start("quick", webhooks(listener))
    run = await emulator.finish(started)

    [(headers, body)] = await listener.wait_for(1)
    [dispatch] = await settled(emulator)

    assert body == {
        "userId": run["userId"],
        "createdAt": dispatch["createdAt"],
        "eventType": "ACTOR.RUN.SUCCEEDED",
        "eventData": {"actorId": run["actId"], "actorRunId": run["id"], "actorTaskId": None},
        "resource": run,
    }
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Apify-Webhook"] == "1"
    assert headers["X-Apify-Request-Origin"] == "WEBHOOK"
    assert headers["X-Apify-Webhook-Dispatch-Id"] == dispatch["id"]
    assert dispatch["status"] == "SUCCEEDED"
    assert dispatch["eventData"] == body["eventData"]
    assert dispatch["webhook"] == {
        "actionType": "HTTP_REQUEST",
        "condition": {"actorRunId": run["id"]},
        "requestUrl": listener.url,
        "isAdHoc": True,
    }
    [call] = dispatch["calls"]
    assert (call["responseStatus"], call["responseBody"], call["errorMessage"]) == (200, "seen", None)
    assert "_request" not in dispatch


@pytest.mark.parametrize(
    ("source", "query", "event"),
    [
        ("", "", "ACTOR.RUN.SUCCEEDED"),
        ("sys.exit(1)", "", "ACTOR.RUN.FAILED"),
        ("time.sleep(60)", "timeout=1", "ACTOR.RUN.TIMED_OUT"),
    ],
)
async def test_each_end_is_announced_by_its_own_event(
    start_emulator: StartEmulator, write_actor: WriteActor, listener: Listener, source: str, query: str, event: str
) -> None:
    write_actor("ending", source)
    emulator = await start_emulator()

    await emulator.start("ending", f"{query}&{webhooks(listener)}")

    assert [body["eventType"] for _, body in await listener.wait_for(1)] == [event]


async def test_start_abort_and_resurrection_are_announced_in_order(emulator: Emulator, listener: Listener) -> None:
    every = [*ENDS, "ACTOR.RUN.CREATED", "ACTOR.RUN.RESURRECTED"]
    run = await emulator.start("sleepy", webhooks(listener, eventTypes=every))
    for _ in range(2):
        await emulator.until(run, "awake")
        await emulator.post(f"/v2/actor-runs/{run['id']}/abort")
        await emulator.finish(run)
        await listener.wait_for(2)
        await emulator.post(f"/v2/actor-runs/{run['id']}/resurrect")

    got = await listener.wait_for(5)
    events = sorted(body["eventType"].removeprefix("ACTOR.RUN.") for _, body in got)
    assert events[:3] == ["ABORTED", "ABORTED", "CREATED"]
    assert set(events[3:]) == {"RESURRECTED"}
    assert got[0][1]["resource"]["status"] == "READY"


async def test_templates_shape_the_body_and_headers_but_not_the_reserved_ones(
    emulator: Emulator, listener: Listener
) -> None:
    hook = {
        "payloadTemplate": '{"run": {{resource.id}}, "code": "{{resource.exitCode}}", "u": "{{globals.dateUnix}}"}',
        "headersTemplate": '{"Authorization": "Bearer {{eventData.actorRunId}}", "Host": "x", "Content-Type": "y"}',
        "shouldInterpolateStrings": True,
    }
    run = await emulator.start("quick", webhooks(listener, **hook))

    [(headers, body)] = await listener.wait_for(1)

    assert (body["run"], body["code"]) == (run["id"], 0)
    assert isinstance(body["u"], int)
    assert headers["Authorization"] == f"Bearer {run['id']}"
    assert headers["Host"] == listener.url.split("/")[2]
    assert headers["Content-Type"] == "application/json"


async def test_headers_that_are_not_strings_end_the_dispatch_without_a_call(
    emulator: Emulator, listener: Listener
) -> None:
    await emulator.start("quick", webhooks(listener, headersTemplate='{"X-Number": 5}'))

    [dispatch] = await settled(emulator)

    assert (dispatch["status"], dispatch["calls"]) == ("FAILED", [])


async def test_anything_but_a_2xx_is_tried_again_with_the_same_dispatch_id(
    emulator: Emulator, listener: Listener
) -> None:
    listener.statuses = [500, 302, 404, 429]

    await emulator.start("quick", webhooks(listener))
    [dispatch] = await settled(emulator)

    assert [call["responseStatus"] for call in dispatch["calls"]] == [500, 302, 404, 429, 200]
    assert dispatch["calls"][0]["errorMessage"] == "Webhook request got the status code 500"
    assert {headers["X-Apify-Webhook-Dispatch-Id"] for headers, _ in listener.got} == {dispatch["id"]}
    assert len({json.dumps(body) for _, body in listener.got}) == 1
    webhook = (await emulator.get(f"/v2/webhooks/{dispatch['webhookId']}")).data
    assert webhook["stats"] == {"totalDispatches": 1}
    assert webhook["lastDispatch"]["status"] == "SUCCEEDED"


async def test_after_eleven_retries_it_gives_up(start_emulator: StartEmulator, write_actor: WriteActor) -> None:
    write_actor("quick")
    emulator = await start_emulator(clock_factor=0.000001)
    nobody = Listener(url="http://127.0.0.1:1/closed")

    await emulator.start("quick", webhooks(nobody))
    [dispatch] = await settled(emulator)

    assert (dispatch["status"], len(dispatch["calls"])) == ("FAILED", 12)
    assert dispatch["calls"][0]["responseStatus"] is None
    assert dispatch["calls"][0]["errorMessage"].startswith("Webhook request failed: ")


async def test_delays_double_from_one_minute(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    real_sleep, slept = asyncio.sleep, []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds / 0.0002))
        await real_sleep(0)

    monkeypatch.setattr("emulator.dispatches.asyncio.sleep", sleep)
    listener.statuses = [500] * 12
    await emulator.start("quick", webhooks(listener))
    await listener.wait_for(12)
    monkeypatch.undo()

    schedule = [60 * 2**n for n in range(11)]
    assert [seconds for seconds in slept if seconds in schedule] == schedule


async def test_a_webhook_that_must_not_retry_is_sent_once(emulator: Emulator, listener: Listener) -> None:
    listener.statuses = [503]

    await emulator.start("quick", webhooks(listener, doNotRetry=True))
    [dispatch] = await settled(emulator)

    assert (dispatch["status"], len(listener.got)) == ("FAILED", 1)


async def test_a_known_idempotency_key_makes_no_second_webhook(emulator: Emulator, listener: Listener) -> None:
    first = await emulator.start("quick", webhooks(listener, idempotencyKey="once"))
    await emulator.finish(first)
    second = await emulator.start("quick", webhooks(listener, idempotencyKey="once"))
    await emulator.finish(second)

    [dispatch] = await settled(emulator)

    assert dispatch["eventData"]["actorRunId"] == first["id"]
    assert (await emulator.get("/v2/webhooks")).data["total"] == 1


async def test_a_broken_certificate_is_an_error_unless_ignored(
    emulator: Emulator, tls: ssl.SSLContext, listener: Listener
) -> None:
    app = web.Application()
    app.router.add_post("/hook", listener.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}/hook"

    await emulator.start("quick", webhooks(listener, requestUrl=url, doNotRetry=True))
    [strict] = await settled(emulator)
    await emulator.start("quick", webhooks(listener, requestUrl=url, ignoreSslErrors=True))
    _, lenient = await settled(emulator, 2)
    await runner.cleanup()

    assert (strict["status"], lenient["status"]) == ("FAILED", "SUCCEEDED")
    assert "certificate" in strict["calls"][0]["errorMessage"]


async def test_a_lost_webhook_never_arrives(emulator: Emulator, listener: Listener) -> None:
    emulator.scenario.add(Fault("WEBHOOK ACTOR.RUN.*", Lose()))

    await emulator.start("quick", webhooks(listener))
    [dispatch] = await settled(emulator)

    assert (dispatch["status"], dispatch["calls"], listener.got) == ("FAILED", [], [])


async def test_a_duplicated_webhook_arrives_again_under_the_same_id(emulator: Emulator, listener: Listener) -> None:
    emulator.scenario.add(Fault("WEBHOOK ACTOR.RUN.SUCCEEDED", Duplicate(2)))

    await emulator.start("quick", webhooks(listener))

    got = await listener.wait_for(3)
    assert len({headers["X-Apify-Webhook-Dispatch-Id"] for headers, _ in got}) == 1


async def test_a_delayed_webhook_arrives_later(emulator: Emulator, listener: Listener) -> None:
    emulator.scenario.add(Fault("WEBHOOK *", Delay(1.0)))

    first = await emulator.finish(await emulator.start("quick", webhooks(listener)))
    second = await emulator.finish(await emulator.start("quick", webhooks(listener)))

    got = await listener.wait_for(2)
    assert [body["resource"]["id"] for _, body in got] == [second["id"], first["id"]]


async def test_a_lasting_webhook_watches_an_actor_until_it_is_deleted(emulator: Emulator, listener: Listener) -> None:
    actor = (await emulator.get("/v2/actors/local~quick")).data["id"]
    body = {"eventTypes": ENDS, "requestUrl": listener.url, "condition": {"actorId": actor}, "unheardOf": 1}

    made = await emulator.post("/v2/webhooks", body)
    path = f"/v2/webhooks/{made.data['id']}"
    changed = await emulator.ask("PUT", path, {"description": "mine", "payloadTemplate": '{"r": {{resource.id}}}'})
    run = await emulator.finish(await emulator.start("quick"))
    [(_, payload)] = await listener.wait_for(1)

    assert (made.status, made.data["isAdHoc"], made.data["condition"]) == (201, False, {"actorId": actor})
    assert (changed.data["description"], changed.data["requestUrl"]) == ("mine", listener.url)
    assert payload == {"r": run["id"]}
    assert [item["id"] for item in (await emulator.get(f"{path}/dispatches")).data["items"]] == [
        item["id"] for item in await settled(emulator)
    ]
    assert (await emulator.ask("DELETE", path)).status == 204
    assert (await emulator.get(path)).error == (404, "record-not-found")
    await emulator.finish(await emulator.start("quick"))
    assert len(listener.got) == 1


async def test_a_webhook_can_be_tested(emulator: Emulator, listener: Listener) -> None:
    body = {"eventTypes": ENDS, "requestUrl": listener.url, "condition": {"actorId": "x"}}
    id_ = (await emulator.post("/v2/webhooks", body)).data["id"]

    answer = await emulator.post(f"/v2/webhooks/{id_}/test")
    [(_, payload)] = await listener.wait_for(1)
    [dispatch] = await settled(emulator)

    assert (answer.status, answer.data["status"]) == (201, "ACTIVE")
    assert (payload["eventType"], payload["eventData"]) == ("TEST", None)
    assert (await emulator.get(f"/v2/webhook-dispatches/{dispatch['id']}")).data == dispatch
    assert (await emulator.get("/v2/webhook-dispatches/nope")).error == (404, "record-not-found")


@pytest.mark.parametrize(
    "change", [{"eventTypes": ["NOPE"]}, {"requestUrl": "x"}, {"condition": {}}, {"condition": {"actor": "x"}}]
)
async def test_a_webhook_that_cannot_be_meant_is_refused(emulator: Emulator, listener: Listener, change: Any) -> None:
    body = {"eventTypes": ENDS, "requestUrl": listener.url, "condition": {"actorId": "x"}}
    id_ = (await emulator.post("/v2/webhooks", body)).data["id"]

    assert (await emulator.post("/v2/webhooks", body | change)).error == (400, "invalid-input")
    assert (await emulator.ask("PUT", f"/v2/webhooks/{id_}", change)).error == (400, "invalid-input")


async def test_what_was_not_yet_sent_is_sent_after_a_restart(
    start_emulator: StartEmulator, write_actor: WriteActor, listener: Listener
) -> None:
    write_actor("quick")
    listener.statuses = [500]
    emulator = await start_emulator(clock_factor=0.01)
    await emulator.start("quick", webhooks(listener))
    await listener.wait_for(1)
    await emulator.stop()

    again = await start_emulator(clock_factor=0.001)
    [dispatch] = await settled(again)

    assert [call["responseStatus"] for call in dispatch["calls"]] == [500, 200]
