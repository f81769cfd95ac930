"""Starting a run: what is refused, what is kept, and what the program gets."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.conftest import Emulator, StartEmulator, WriteActor

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_the_run_object_has_the_fields_of_the_api_page(emulator: Emulator) -> None:
    query = (
        "timeout=90&memory=512&maxItems=10&maxTotalChargeUsd=1.5&restartOnError=1&forcePermissionLevel=FULL_PERMISSIONS"
    )
    run = await emulator.finish(await emulator.start("quick", query, {"a": 1}))

    assert run.keys() == {
        *("id", "actId", "userId", "actorTaskId", "startedAt", "finishedAt", "status", "statusMessage"),
        *("isStatusMessageTerminal", "meta", "stats", "options", "buildId", "buildNumber", "exitCode", "generalAccess"),
        *("defaultKeyValueStoreId", "defaultDatasetId", "defaultRequestQueueId", "storageIds", "usage", "usageUsd"),
        *("usageTotalUsd", "isContainerServerReady", "platformUsageBillingModel", "containerUrl", "gitBranchName"),
        "metamorphs",
    }
    assert run["stats"].keys() == {
        *("inputBodyLen", "migrationCount", "rebootCount", "restartCount", "resurrectCount", "metamorph"),
        *("memAvgBytes", "memMaxBytes", "memCurrentBytes", "cpuAvgUsage", "cpuMaxUsage", "cpuCurrentUsage"),
        *("netRxBytes", "netTxBytes", "durationMillis", "runTimeSecs", "computeUnits"),
    }
    assert len(run["usage"]) == len(run["usageUsd"]) == 12
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
    assert env.pop("ACTOR_EVENTS_WEBSOCKET_URL").startswith("ws://127.0.0.1:")
    assert json.loads(env.pop("ACTOR_STORAGES_JSON")) == run["storageIds"]
    assert env == {
        "CWD": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
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
        "APIFY_PROXY_PORT": "9",
        "APIFY_PROXY_PASSWORD": "emulator",
        "APIFY_PROXY_STATUS_URL": emulator.url,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


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
