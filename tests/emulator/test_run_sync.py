"""Starts that answer with what the run left."""

import base64
import json
import re
from pathlib import Path

import pytest

from tests.emulator.conftest import Emulator, Listener, StartEmulator, WriteActor
from tests.emulator.scripted import write_script

ROOTS = ("/v2/acts/local~pages", "/v2/actors/local~pages", "/v2/actor-tasks/local~nightly")


@pytest.fixture
async def platform(start_emulator: StartEmulator, actors: Path) -> Emulator:
    write_script(
        actors,
        "pages",
        items=[{"n": n, "even": n % 2 == 0} for n in range(4)],
        records={"OUTPUT": {"pages": 4}, "REPORT": "four pages"},
    )
    write_script(actors, "silent")
    write_script(actors, "broken", status="FAILED")
    emulator = await start_emulator(clock_factor=1.0)
    await emulator.post("/v2/actor-tasks", {"actId": "local~pages", "name": "nightly"})
    return emulator


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_output_record_is_the_answer(platform: Emulator, root: str, method: str) -> None:
    output = await platform.ask(method, f"{root}/run-sync?memory=256&timeout=60", {"a": 1})
    report = await platform.ask(method, f"{root}/run-sync?outputRecordKey=REPORT", {"a": 1})

    assert (output.status, output.headers["Content-Type"], output.json) == (
        201,
        "application/json; charset=utf-8",
        {"pages": 4},
    )
    assert (report.status, report.headers["Content-Type"], report.body) == (
        201,
        "text/plain; charset=utf-8",
        b"four pages",
    )
    last = (await platform.get(f"{root}/runs/last?status=SUCCEEDED")).data
    store = f"/v2/key-value-stores/{last['defaultKeyValueStoreId']}/records/INPUT"
    assert (await platform.get(store)).status == (200 if method == "POST" else 404)  # a GET brings no input


async def test_a_record_that_was_stored_compressed_is_answered_readable(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor(
        "packer",
        "import gzip\n"
        "path = '/v2/key-value-stores/' + os.environ['ACTOR_DEFAULT_KEY_VALUE_STORE_ID'] + '/records/OUTPUT'\n"
        "headers = {'Authorization': 'Bearer ' + os.environ['APIFY_TOKEN'], 'Content-Encoding': 'gzip',\n"
        "           'Content-Type': 'application/json'}\n"
        "body = gzip.compress(b'{\"a\":1}')\n"
        "request = urllib.request.Request(os.environ['APIFY_API_BASE_URL'] + path, body, headers, method='PUT')\n"
        "urllib.request.urlopen(request).close()",
    )
    emulator = await start_emulator(clock_factor=1.0)
    path = "/v2/acts/local~packer/run-sync"

    packed = await emulator.post(path, {})
    plain = await emulator.post(path, {}, Accept_Encoding="identity")

    assert (packed.status, packed.headers["Content-Encoding"], packed.json) == (201, "gzip", {"a": 1})
    assert (plain.status, plain.headers.get("Content-Encoding"), plain.json) == (201, None, {"a": 1})


async def test_a_run_without_an_output_record_answers_with_nothing(platform: Emulator) -> None:
    answer = await platform.post("/v2/acts/local~silent/run-sync", {})

    assert (answer.status, answer.body) == (201, b"")


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_items_are_the_answer_with_every_parameter_of_items(
    platform: Emulator, root: str, method: str
) -> None:
    answer = await platform.ask(method, f"{root}/run-sync-get-dataset-items?fields=n&offset=1&limit=2&desc=1")
    table = await platform.ask(method, f"{root}/run-sync-get-dataset-items?format=csv&bom=0&fields=n")

    assert (answer.status, answer.json) == (201, [{"n": 2}, {"n": 1}])
    headers = {name.title(): value for name, value in answer.headers.items()}
    assert {name: value for name, value in headers.items() if name.startswith("X-Apify-Pagination")} == {
        "X-Apify-Pagination-Offset": "1",
        "X-Apify-Pagination-Limit": "2",
        "X-Apify-Pagination-Count": "2",
        "X-Apify-Pagination-Total": "4",
        "X-Apify-Pagination-Desc": "true",
    }
    assert (table.status, table.body.split()) == (201, [b"n", b"0", b"1", b"2", b"3"])


@pytest.mark.parametrize("end", ["run-sync", "run-sync-get-dataset-items"])
async def test_a_run_that_does_not_succeed_is_a_400_that_names_it(platform: Emulator, end: str) -> None:
    answer = await platform.post(f"/v2/acts/local~broken/{end}", {})

    run = (await platform.get("/v2/acts/local~broken/runs/last")).data
    assert answer.error == (400, "run-failed")
    said = f"Actor run did not succeed (run ID: {run['id']}, status: FAILED)."
    assert answer.json["error"]["message"] == said


@pytest.mark.parametrize("end", ["run-sync", "run-sync-get-dataset-items"])
async def test_a_run_that_takes_too_long_is_a_408_and_goes_on(
    start_emulator: StartEmulator, actors: Path, end: str
) -> None:
    write_script(actors, "endless", duration="1h")
    emulator = await start_emulator(clock_factor=0.0001)  # 300 seconds are 30 milliseconds

    answer = await emulator.post(f"/v2/acts/local~endless/{end}", {})

    assert answer.error == (408, "run-timeout-exceeded")
    assert re.search("300 seconds", answer.json["error"]["message"])
    assert (await emulator.get("/v2/acts/local~endless/runs/last")).data["status"] == "RUNNING"


async def test_webhooks_are_taken_and_bad_ones_start_nothing(platform: Emulator, listener: Listener) -> None:

    hook = [{"eventTypes": ["ACTOR.RUN.SUCCEEDED"], "requestUrl": listener.url}]
    value = base64.urlsafe_b64encode(json.dumps(hook).encode()).decode()

    await platform.post(f"/v2/acts/local~pages/run-sync?webhooks={value}", {})
    [(_, body)] = await listener.wait_for(1)
    refused = await platform.post("/v2/acts/local~pages/run-sync?webhooks=%21", {})

    assert body["eventType"] == "ACTOR.RUN.SUCCEEDED"
    assert refused.error == (400, "invalid-value")
    assert (await platform.get("/v2/acts/local~pages/runs")).data["total"] == 1


async def test_what_cannot_be_meant_starts_nothing(platform: Emulator) -> None:
    for query in ("outputRecordKey=a%2Fb", "memory=100"):
        assert (await platform.post(f"/v2/acts/local~pages/run-sync?{query}", {})).status == 400
    items = "/v2/acts/local~pages/run-sync-get-dataset-items"
    for query in ("format=pdf", "limit=-1", "outputFields=a", "delimiter=ab"):
        assert (await platform.post(f"{items}?{query}", {})).status == 400
    assert (await platform.post(f"{items}?view=nothing", {})).status == 404
    assert (await platform.post("/v2/acts/local~nobody/run-sync", {})).error == (404, "actor-not-found")
    assert (await platform.ask("POST", "/v2/acts/local~pages/run-sync", {}, token=None)).error == (
        401,
        "token-not-provided",
    )
    assert (await platform.get("/v2/acts/local~pages/runs")).data["total"] == 0
