"""Runs of real programs, from start to end."""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.emulator.conftest import Emulator, StartEmulator, WriteActor

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


async def until_dead(pid: int) -> None:
    while is_alive(pid):
        await asyncio.sleep(0.01)


async def test_a_run_succeeds_and_leaves_items_records_and_a_log(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor(
        "worker",
        "print('to stdout')\nprint('\\033[31mto stderr\\033[0m', file=sys.stderr)\n"
        "push([{'n': 1}, {'n': 2}])\nrecord('OUTPUT', b'hello', 'text/plain')\nprint('no newline', end='')",
    )
    emulator = await start_emulator()

    answer = await emulator.post("/v2/acts/local~worker/runs?timeout=60&memory=256&build=latest", {"a": 1})
    run = await emulator.finish(answer.data)

    root = f"/v2/actor-runs/{run['id']}"
    assert answer.status == 201
    assert answer.headers["Location"] == f"{emulator.url}/v2/acts/{run['actId']}/runs/{run['id']}"
    assert (run["status"], run["exitCode"], run["statusMessage"]) == ("SUCCEEDED", 0, "Actor finished with exit code 0")
    assert (await emulator.get(f"{root}/dataset/items")).json == [{"n": 1}, {"n": 2}]
    assert (await emulator.get(f"{root}/key-value-store/records/OUTPUT")).body == b"hello"
    lines = (await emulator.get(f"{root}/log")).body.decode().splitlines()
    assert all(STAMP.match(line) for line in lines)
    assert [line.split(" ", 1)[1] for line in lines] == [
        "ACTOR: Creating process.",
        "ACTOR: Process started.",
        "to stdout",
        "to stderr",
        "no newline",
        "ACTOR: Actor finished with exit code 0",
    ]
    assert "\x1b[31mto stderr\x1b[0m" in (await emulator.get(f"{root}/log?raw=1")).body.decode()
    download = await emulator.get(f"/v2/logs/{run['id']}?download=1")
    assert download.headers["Content-Disposition"] == f'attachment; filename="{run["id"]}.txt"'


async def test_the_run_object_has_the_fields_of_the_api_page(emulator: Emulator) -> None:
    query = (
        "timeout=90&memory=512&maxItems=10&maxTotalChargeUsd=1.5&restartOnError=1&forcePermissionLevel=FULL_PERMISSIONS"
    )
    run = await emulator.finish(await emulator.start("quick", query, {"a": 1}))

    assert run.keys() == {
        *("id", "actId", "userId", "actorTaskId", "startedAt", "finishedAt", "status", "statusMessage"),
        *("isStatusMessageTerminal", "meta", "stats", "options", "buildId", "buildNumber", "exitCode", "generalAccess"),
        *("defaultKeyValueStoreId", "defaultDatasetId", "defaultRequestQueueId", "storageIds", "usage", "usageUsd"),
        *("usageTotalUsd", "isContainerServerReady", "platformUsageBillingModel"),
    }
    assert run["options"] == {
        "build": "latest",
        "timeoutSecs": 90,
        "memoryMbytes": 512,
        "diskMbytes": 1024,
        "maxItems": 10,
        "maxTotalChargeUsd": 1.5,
        "restartOnError": True,
    }
    assert STAMP.fullmatch(run["startedAt"])
    assert STAMP.fullmatch(run["finishedAt"])
    assert (run["meta"]["origin"], run["meta"]["clientIp"]) == ("API", "127.0.0.1")
    assert run["stats"]["inputBodyLen"] == 8
    assert run["stats"]["durationMillis"] == run["stats"]["runTimeSecs"] * 1000 > 0
    ids = [value for name, value in run.items() if name == "id" or (name.endswith("Id") and value)]
    assert all(re.fullmatch("[A-Za-z0-9]{17}", id_) for id_ in ids)
    assert run["storageIds"]["datasets"] == {"default": run["defaultDatasetId"]}


async def test_the_environment_is_that_of_the_platform_and_nothing_of_ours(
    start_emulator: StartEmulator, write_actor: WriteActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    folder = write_actor(
        "teller", "record('ENV', json.dumps(dict(os.environ, CWD=os.getcwd())).encode(), 'application/json')"
    )
    emulator = await start_emulator()

    run = await emulator.finish(await emulator.start("teller", "timeout=60&memory=2048&maxItems=7"))

    env = (await emulator.get(f"/v2/actor-runs/{run['id']}/key-value-store/records/ENV")).json
    started = env.pop("ACTOR_STARTED_AT")
    assert STAMP.fullmatch(started)
    assert STAMP.fullmatch(env.pop("ACTOR_TIMEOUT_AT"))
    assert env.pop("APIFY_TOKEN").startswith("apify_run_")
    assert json.loads(env.pop("ACTOR_STORAGES_JSON")) == run["storageIds"]
    assert env == {
        "CWD": str(folder),
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "APIFY_IS_AT_HOME": "1",
        "APIFY_API_BASE_URL": emulator.url,
        "APIFY_API_PUBLIC_BASE_URL": emulator.url,
        "ACTOR_INPUT_KEY": "INPUT",
        "ACTOR_ID": run["actId"],
        "ACTOR_FULL_NAME": "local/teller",
        "ACTOR_RUN_ID": run["id"],
        "ACTOR_BUILD_ID": run["buildId"],
        "ACTOR_BUILD_NUMBER": "0.0.1",
        "ACTOR_BUILD_TAGS": "latest",
        "ACTOR_PERMISSION_LEVEL": "LIMITED_PERMISSIONS",
        "ACTOR_DEFAULT_DATASET_ID": run["defaultDatasetId"],
        "ACTOR_DEFAULT_KEY_VALUE_STORE_ID": run["defaultKeyValueStoreId"],
        "ACTOR_DEFAULT_REQUEST_QUEUE_ID": run["defaultRequestQueueId"],
        "ACTOR_MEMORY_MBYTES": "2048",
        "ACTOR_MAX_PAID_DATASET_ITEMS": "7",
        "APIFY_DEDICATED_CPUS": "0.5",
        "APIFY_USER_ID": run["userId"],
        "APIFY_META_ORIGIN": "API",
        "APIFY_PROXY_HOSTNAME": "127.0.0.1",
        "APIFY_PROXY_PORT": emulator.url.rsplit(":", 1)[1],
        "APIFY_PROXY_PASSWORD": "emulator",
        "APIFY_PROXY_STATUS_URL": emulator.url,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


@pytest.mark.parametrize(
    ("source", "code"), [("sys.exit(3)", 3), ("raise OSError", 1), ("os.kill(os.getpid(), signal.SIGTERM)", 143)]
)
async def test_another_exit_code_is_a_failure(
    start_emulator: StartEmulator, write_actor: WriteActor, source: str, code: int
) -> None:
    write_actor("failing", source)
    emulator = await start_emulator()

    run = await emulator.finish(await emulator.start("failing"))

    assert (run["status"], run["exitCode"]) == ("FAILED", code)


async def test_a_command_that_does_not_exist_is_a_failure(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor("missing", command=["/nowhere/at/all"])
    folder = write_actor("folderless")
    emulator = await start_emulator()
    (folder / "main.py").unlink()
    (folder / "actor.yaml").unlink()
    folder.rmdir()

    missing = await emulator.finish(await emulator.start("missing"))
    folderless = await emulator.finish(await emulator.start("folderless"))

    assert (missing["status"], missing["exitCode"]) == ("FAILED", 127)
    assert (folderless["status"], folderless["exitCode"]) == ("FAILED", None)
    assert folderless["statusMessage"].startswith("The Actor could not be started")


async def test_a_terminal_status_message_of_the_actor_is_kept(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor(
        "speaker",
        "call('PUT', '/actor-runs/' + os.environ['ACTOR_RUN_ID'],"
        " json.dumps({'statusMessage': 'All pages read', 'isStatusMessageTerminal': True}).encode())",
    )
    emulator = await start_emulator()

    assert (await emulator.finish(await emulator.start("speaker")))["statusMessage"] == "All pages read"


async def test_the_timeout_ends_the_whole_process_group(start_emulator: StartEmulator, write_actor: WriteActor) -> None:
    write_actor(
        "family",
        "child = subprocess.Popen(['sleep', '60'])\n"
        "record('PIDS', json.dumps([os.getpid(), child.pid]).encode(), 'application/json')\ntime.sleep(60)",
    )
    emulator = await start_emulator()

    run = await emulator.finish(await emulator.start("family", "timeout=0.5"))

    assert (run["status"], run["options"]["timeoutSecs"], run["exitCode"]) == ("TIMED-OUT", 1, 137)
    for pid in (await emulator.get(f"/v2/actor-runs/{run['id']}/key-value-store/records/PIDS")).json:
        await until_dead(pid)
    log = (await emulator.get(f"/v2/logs/{run['id']}")).body.decode()
    assert "ACTOR: The actor run has reached the timeout of 1 seconds" in log.replace("Actor run", "actor run")


async def test_an_abort_ends_a_run_at_once(emulator: Emulator) -> None:
    run = await emulator.start("sleepy")
    await emulator.until(run, "awake")

    aborted = (await emulator.post(f"/v2/actor-runs/{run['id']}/abort")).data
    ended = await emulator.finish(run)

    assert (aborted["status"], ended["status"], ended["exitCode"]) == ("ABORTING", "ABORTED", 137)
    assert (await emulator.post(f"/v2/actor-runs/{run['id']}/abort")).data == ended


async def test_a_graceful_abort_lets_the_actor_end_by_itself(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    folder = write_actor("polite", "print('awake')\nwhile not os.path.exists('stop'): time.sleep(0.01)")
    emulator = await start_emulator(clock_factor=1.0)
    run = await emulator.start("polite")
    await emulator.until(run, "awake")

    await emulator.post(f"/v2/actor-runs/{run['id']}/abort?gracefully=true")
    assert (await emulator.get(f"/v2/actor-runs/{run['id']}")).data["status"] == "ABORTING"
    (folder / "stop").touch()
    ended = await emulator.finish(run)

    assert (ended["status"], ended["exitCode"]) == ("ABORTED", 0)


async def test_a_graceful_abort_loses_patience(emulator: Emulator) -> None:
    run = await emulator.start("sleepy")
    await emulator.until(run, "awake")

    await emulator.post(f"/v2/actor-runs/{run['id']}/abort?gracefully=true")

    assert (await emulator.finish(run))["exitCode"] == 137


async def test_a_failing_run_is_restarted_when_asked(start_emulator: StartEmulator, write_actor: WriteActor) -> None:
    write_actor("stubborn", "push({'try': 1})\nsys.exit(5)")
    write_actor("second", "done = os.path.exists('once')\nopen('once', 'w').close()\nsys.exit(0 if done else 5)")
    emulator = await start_emulator()

    stubborn = await emulator.finish(await emulator.start("stubborn", "restartOnError=true"))
    second = await emulator.finish(await emulator.start("second", "restartOnError=true"))

    assert (stubborn["status"], stubborn["stats"]["restartCount"], stubborn["exitCode"]) == ("FAILED", 3, 5)
    assert (second["status"], second["stats"]["restartCount"]) == ("SUCCEEDED", 1)
    assert len((await emulator.get(f"/v2/datasets/{stubborn['defaultDatasetId']}/items")).json) == 4


async def test_a_resurrected_run_goes_on_with_the_same_storages(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor("again", "push([{'n': 1}])\nprint(os.environ['ACTOR_MEMORY_MBYTES'])")
    emulator = await start_emulator()
    first = await emulator.finish(await emulator.start("again"))

    answer = await emulator.post(f"/v2/actor-runs/{first['id']}/resurrect?memory=256&timeout=77")
    second = await emulator.finish(answer.data)

    assert answer.data["finishedAt"] is None
    assert (second["status"], second["stats"]["resurrectCount"]) == ("SUCCEEDED", 1)
    assert (second["options"]["memoryMbytes"], second["options"]["timeoutSecs"]) == (256, 77)
    assert second["finishedAt"] > first["finishedAt"]
    assert second["stats"]["durationMillis"] > first["stats"]["durationMillis"]
    assert len((await emulator.get(f"/v2/datasets/{first['defaultDatasetId']}/items")).json) == 2
    assert "Z 256\n" in (await emulator.get(f"/v2/logs/{first['id']}")).body.decode()


async def test_only_finished_runs_are_resurrected_or_deleted(emulator: Emulator) -> None:
    run = await emulator.start("sleepy")
    path = f"/v2/actor-runs/{run['id']}"

    assert (await emulator.post(f"{path}/resurrect")).error == (400, "invalid-request")
    assert (await emulator.ask("DELETE", path)).error == (400, "cannot-remove-running-run")
    await emulator.post(f"{path}/abort")
    await emulator.finish(run)
    assert (await emulator.ask("DELETE", path)).status == 204
    assert (await emulator.get(path)).error == (404, "record-not-found")
    assert (await emulator.get(f"/v2/datasets/{run['defaultDatasetId']}/items")).error == (404, "record-not-found")
    assert (await emulator.get(f"/v2/logs/{run['id']}")).error == (404, "record-not-found")
    assert (await emulator.ask("DELETE", path)).error == (404, "record-not-found")


async def test_waiting_is_cut_at_what_was_asked_and_any_number_is_taken(emulator: Emulator) -> None:
    waited = (await emulator.post("/v2/acts/local~quick/runs?waitForFinish=999999")).data
    running = (await emulator.post("/v2/acts/local~sleepy/runs?waitForFinish=0.1")).data

    assert (waited["status"], running["status"] in {"READY", "RUNNING"}) == ("SUCCEEDED", True)
    assert (await emulator.get(f"/v2/actor-runs/{running['id']}?waitForFinish=0.1")).data["finishedAt"] is None
    assert (await emulator.get(f"/v2/actor-runs/{running['id']}?waitForFinish=-1")).error == (400, "invalid-value")


async def test_many_wait_for_one_run(emulator: Emulator) -> None:
    run = await emulator.start("sleepy")
    await emulator.until(run, "awake")
    waiting = [asyncio.create_task(emulator.finish(run)) for _ in range(20)]

    await emulator.post(f"/v2/actor-runs/{run['id']}/abort")

    assert {ended["status"] for ended in await asyncio.gather(*waiting)} == {"ABORTED"}


async def test_a_log_is_followed_until_the_run_ends(emulator: Emulator) -> None:
    run = await emulator.start("sleepy")
    headers = {"Authorization": "Bearer t"}
    url = f"{emulator.url}/v2/actor-runs/{run['id']}/log?stream=1"
    async with emulator.session.get(url, headers=headers) as response:
        seen = ""
        while "awake" not in seen:
            seen += (await response.content.readany()).decode()
        await emulator.post(f"/v2/actor-runs/{run['id']}/abort")
        seen += (await response.read()).decode()

    assert seen == (await emulator.get(f"/v2/logs/{run['id']}?stream=1")).body.decode()
    assert seen.endswith("ACTOR: Actor was aborted\n")


async def test_the_token_of_a_run_works_for_its_life_and_no_longer(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor("leaky", "record('TOKEN', os.environ['APIFY_TOKEN'].encode(), 'text/plain')")
    emulator = await start_emulator(token="t")
    run = await emulator.finish(await emulator.start("leaky"))
    token = (await emulator.get(f"/v2/actor-runs/{run['id']}/key-value-store/records/TOKEN")).body.decode()

    assert run["status"] == "SUCCEEDED"
    assert (await emulator.get("/v2/users/me", token=token)).error == (401, "token-not-valid")


async def test_a_run_started_by_an_actor_has_another_origin(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor("child")
    write_actor("parent", "call('POST', '/acts/local~child/runs?waitForFinish=60')")
    emulator = await start_emulator()

    await emulator.finish(await emulator.start("parent"))

    assert (await emulator.get("/v2/acts/local~child/runs/last?origin=ACTOR")).data["meta"]["origin"] == "ACTOR"
    assert (await emulator.get("/v2/acts/local~child/runs/last?origin=API")).error == (404, "record-not-found")


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("memory=100", (400, "invalid-value")),
        ("memory=65536", (400, "invalid-value")),
        ("memory=768", (400, "invalid-value")),
        ("memory=abc", (400, "invalid-value")),
        ("timeout=-1", (400, "invalid-value")),
        ("timeout=inf", (400, "invalid-value")),
        ("maxItems=1.5", (400, "invalid-value")),
        ("maxTotalChargeUsd=-0.1", (400, "invalid-value")),
        ("restartOnError=perhaps", (400, "invalid-value")),
        ("waitForFinish=soon", (400, "invalid-value")),
        ("forcePermissionLevel=ROOT", (400, "invalid-value")),
        ("webhooks=%21%21", (400, "invalid-value")),
        ("build=1.2.3", (404, "unknown-build-tag")),
    ],
)
async def test_a_start_that_cannot_be_meant_starts_nothing(
    emulator: Emulator, query: str, error: tuple[int, str]
) -> None:
    assert (await emulator.post(f"/v2/acts/local~quick/runs?{query}")).error == error
    assert (await emulator.get("/v2/actor-runs")).data["total"] == 0


async def test_unknown_actors_and_oversized_inputs_start_nothing(emulator: Emulator) -> None:
    assert (await emulator.post("/v2/acts/local~nobody/runs")).error == (404, "actor-not-found")
    assert (await emulator.post("/v2/acts/local~quick/runs", b"x" * 9_437_185)).error == (413, "request-too-large")
    assert (await emulator.post("/v2/acts/local~quick/runs", b"{}", Content_Encoding="zip")).error[0] == 415
    assert (await emulator.get("/v2/actor-runs")).data["total"] == 0


@pytest.mark.parametrize("content_type", ["application/json", "text/csv", "image/png"])
async def test_any_input_is_kept_with_its_content_type(emulator: Emulator, content_type: str) -> None:
    answer = await emulator.post("/v2/actors/local~quick/runs", b" not, [json", Content_Type=content_type)

    kept = await emulator.get(f"/v2/actor-runs/{answer.data['id']}/key-value-store/records/INPUT")
    assert (kept.body, kept.headers["Content-Type"]) == (b" not, [json", content_type)


SCHEMA = {
    "properties": {
        "url": {"type": "string"},
        "depth": {"type": "integer", "default": 3, "minimum": 1, "maximum": 9},
        "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
        "rate": {"type": "number", "exclusiveMinimum": 0, "nullable": True},
        "deep": {"type": "boolean"},
    },
    "required": ["url"],
    "additionalProperties": False,
}


@pytest.fixture
async def with_schema(start_emulator: StartEmulator, write_actor: WriteActor) -> Emulator:
    write_actor("strict", input=SCHEMA)
    write_actor("relaxed", input={"properties": {"depth": {"type": "integer", "default": 3}}})
    return await start_emulator()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Field input.url is required"),
        (None, "Field input.url is required"),
        ({"url": 5}, "Field input.url must be string"),
        ({"url": "u", "depth": True}, "Field input.depth must be integer"),
        ({"url": "u", "depth": 0}, "Field input.depth must be >= 1"),
        ({"url": "u", "depth": 10}, "Field input.depth must be <= 9"),
        ({"url": "u", "rate": 0}, "Field input.rate must be > 0"),
        ({"url": "u", "mode": "c"}, "Field input.mode must be equal to one of the allowed values"),
        ({"url": "u", "deep": 1}, "Field input.deep must be boolean"),
        ({"url": "u", "more": 1}, "Field input.more is not allowed"),
        ([1], "The input JSON must be an object."),
        (b"{", "The input JSON must be an object."),
    ],
)
async def test_an_input_against_the_schema_is_refused(with_schema: Emulator, body: Any, said: str) -> None:
    answer = await with_schema.post("/v2/acts/local~strict/runs", body)

    assert answer.error == (400, "invalid-input")
    assert answer.json["error"]["message"] == f"Input is not valid: {said}"


@pytest.mark.parametrize(
    ("actor", "body", "kept"),
    [
        ("strict", {"url": "u", "rate": None}, {"url": "u", "rate": None, "depth": 3, "mode": "a"}),
        ("strict", {"url": "u", "depth": 5, "mode": "b"}, {"url": "u", "depth": 5, "mode": "b"}),
        ("relaxed", None, {"depth": 3}),
        ("relaxed", b"null", {"depth": 3}),
    ],
)
async def test_defaults_fill_what_the_input_leaves_out(with_schema: Emulator, actor: str, body: Any, kept: Any) -> None:
    run = await with_schema.start(actor, "", body)

    record = await with_schema.get(f"/v2/actor-runs/{run['id']}/key-value-store/records/INPUT")
    assert record.json == kept


async def test_runs_are_listed_filtered_and_paged(emulator: Emulator) -> None:
    first = await emulator.finish(await emulator.start("quick"))
    second = await emulator.finish(await emulator.start("quick"))
    third = await emulator.start("sleepy")

    async def ids(path: str) -> list[str]:
        return [run["id"] for run in (await emulator.get(path)).data["items"]]

    assert await ids("/v2/actor-runs") == [first["id"], second["id"], third["id"]]
    assert await ids("/v2/actor-runs?desc=1&limit=2") == [third["id"], second["id"]]
    assert await ids("/v2/actor-runs?offset=1&limit=1") == [second["id"]]
    assert await ids("/v2/actor-runs?status=SUCCEEDED,FAILED") == [first["id"], second["id"]]
    assert await ids(f"/v2/actor-runs?startedAfter={quote(second['startedAt'])}") == [second["id"], third["id"]]
    assert await ids(f"/v2/actor-runs?startedBefore={quote(second['startedAt'])}") == [first["id"], second["id"]]
    assert await ids("/v2/acts/local~sleepy/runs") == [third["id"]]
    page = (await emulator.get("/v2/actors/local~quick/runs?desc=1&limit=1")).data
    assert {name: page[name] for name in page if name != "items"} == {
        "total": 2,
        "offset": 0,
        "limit": 1,
        "count": 1,
        "desc": True,
    }
    assert page["items"][0].keys() == {
        *("id", "actId", "userId", "actorTaskId", "status", "startedAt", "finishedAt", "buildId", "buildNumber"),
        *("meta", "defaultKeyValueStoreId", "defaultDatasetId", "defaultRequestQueueId", "usageTotalUsd"),
    }
    assert (await emulator.get("/v2/actor-runs?status=FINISHED")).error == (400, "invalid-value")
    assert (await emulator.get("/v2/actor-runs?startedAfter=noon")).error == (400, "invalid-value")


async def test_the_last_run_and_its_storages_are_found_by_status(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor(
        "mixed",
        "push({'n': 1})\nrecord('OUTPUT', b'1', 'application/json')\n"
        "sys.exit(int(os.environ['ACTOR_MEMORY_MBYTES']) == 128)",
    )
    emulator = await start_emulator()
    good = await emulator.finish(await emulator.start("mixed"))
    bad = await emulator.finish(await emulator.start("mixed", "memory=128"))
    last = "/v2/acts/local~mixed/runs/last"

    assert (await emulator.get(last)).data["id"] == bad["id"]
    assert (await emulator.get(f"{last}?status=SUCCEEDED&waitForFinish=1")).data["id"] == good["id"]
    assert (await emulator.get(f"{last}?status=ABORTED")).error == (404, "record-not-found")
    assert (await emulator.get(last, token=None)).error == (401, "token-not-provided")
    for path, expected in [
        ("dataset", good["defaultDatasetId"]),
        ("key-value-store", good["defaultKeyValueStoreId"]),
        ("request-queue", good["defaultRequestQueueId"]),
    ]:
        assert (await emulator.get(f"{last}/{path}?status=SUCCEEDED")).data["id"] == expected
    assert (await emulator.get(f"{last}/dataset/items")).json == [{"n": 1}]
    assert (await emulator.get(f"{last}/dataset/items", token=None)).error == (401, "token-not-provided")
    assert [key["key"] for key in (await emulator.get(f"{last}/key-value-store/keys")).data["items"]] == ["OUTPUT"]
    assert (await emulator.get(f"{last}/key-value-store/records/OUTPUT")).json == 1
    assert (await emulator.get(f"{last}/request-queue/head")).data["items"] == []
    assert b"exit code 1" in (await emulator.get(f"{last}/log")).body


async def test_a_run_whose_dataset_is_gone_says_so(emulator: Emulator) -> None:
    run = await emulator.finish(await emulator.start("quick"))
    await emulator.ask("DELETE", f"/v2/datasets/{run['defaultDatasetId']}")

    assert (await emulator.get(f"/v2/actor-runs/{run['id']}/dataset/items")).error == (404, "record-not-found")


async def test_a_run_is_updated_in_the_three_fields_that_can_be(emulator: Emulator) -> None:
    run = await emulator.finish(await emulator.start("quick"))
    path = f"/v2/actor-runs/{run['id']}"

    changed = (await emulator.ask("PUT", path, {"statusMessage": "ok", "status": "FAILED", "runId": "x"})).data

    assert (changed["statusMessage"], changed["status"], changed["id"]) == ("ok", "SUCCEEDED", run["id"])
    assert (await emulator.ask("PUT", path, {"statusMessage": 5})).error == (400, "invalid-input")
    assert (await emulator.ask("PUT", path, b"[]")).error == (400, "invalid-input")
