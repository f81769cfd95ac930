"""What an Actor's process is told: the variables that depend on the run, the Actor and the address."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from emulator.environment import actor_environment
from emulator.manifest import Manifest
from emulator.programs import Program

RUN: dict[str, Any] = {
    "id": "run",
    "userId": "user",
    "actorTaskId": None,
    "meta": {"origin": "API"},
    "options": {"timeoutSecs": 60, "memoryMbytes": 1024},
    "defaultDatasetId": "d",
    "defaultKeyValueStoreId": "k",
    "defaultRequestQueueId": "q",
    "storageIds": {"datasets": {"default": "d", "reviews": "r"}},
    "_permissionLevel": "LIMITED_PERMISSIONS",
    "_lifeStartedAt": "2026-11-22T10:00:00.000Z",
}


def told(run: dict[str, Any], folder: Path, base_url: str = "http://127.0.0.1:80", **manifest: Any) -> dict[str, str]:
    program = Program("local", folder, Manifest(name="a", command=["x"], **manifest), "")
    return actor_environment(run | {}, program, "token", base_url, "ws://here")


def test_what_is_not_known_is_left_out_because_an_empty_variable_crashes_the_sdk(tmp_path: Path) -> None:
    run = RUN | {"options": {"timeoutSecs": 0, "memoryMbytes": 512}}

    env = told(run, tmp_path)

    absent = {"ACTOR_TIMEOUT_AT", "ACTOR_TASK_ID", "ACTOR_MAX_PAID_DATASET_ITEMS", "ACTOR_RESTART_ON_ERROR"}
    assert absent.isdisjoint(env)
    assert all(env.values())


def test_times_limits_and_aliases_are_those_of_the_run(tmp_path: Path) -> None:
    options = {**RUN["options"], "maxItems": 7, "maxTotalChargeUsd": 1.5, "restartOnError": True}

    env = told(RUN | {"options": options, "actorTaskId": "task", "_inputKey": "INPUT-METAMORPH-1"}, tmp_path)

    assert {name: env[name] for name in env if name.startswith("ACTOR_") and "_DEFAULT_" not in name} == {
        "ACTOR_ID": env["ACTOR_ID"],
        "ACTOR_FULL_NAME": "local/a",
        "ACTOR_RUN_ID": "run",
        "ACTOR_TASK_ID": "task",
        "ACTOR_BUILD_ID": env["ACTOR_BUILD_ID"],
        "ACTOR_BUILD_NUMBER": "0.0.1",
        "ACTOR_BUILD_TAGS": "latest",
        "ACTOR_PERMISSION_LEVEL": "LIMITED_PERMISSIONS",
        "ACTOR_INPUT_KEY": "INPUT-METAMORPH-1",
        "ACTOR_STORAGES_JSON": '{"datasets":{"default":"d","reviews":"r"}}',
        "ACTOR_STARTED_AT": "2026-11-22T10:00:00.000Z",
        "ACTOR_TIMEOUT_AT": "2026-11-22T10:01:00.000Z",
        "ACTOR_MEMORY_MBYTES": "1024",
        "ACTOR_MAX_PAID_DATASET_ITEMS": "7",
        "ACTOR_MAX_TOTAL_CHARGE_USD": "1.5",
        "ACTOR_RESTART_ON_ERROR": "1",
        "ACTOR_EVENTS_WEBSOCKET_URL": "ws://here",
    }


def test_the_platform_s_variables_win_over_the_actor_s_own(tmp_path: Path) -> None:
    env = told(RUN, tmp_path, environment_variables={"COLOUR": "red", "APIFY_TOKEN": "mine", "PATH": "/mine"})

    assert (env["COLOUR"], env["APIFY_TOKEN"]) == ("red", "token")
    assert env["PATH"] == f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def test_the_actor_s_own_interpreter_comes_first_in_the_path(tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()

    assert told(RUN, tmp_path)["PATH"].startswith(f"{tmp_path}/.venv/bin{os.pathsep}")


@pytest.mark.parametrize(
    ("base_url", "direct"),
    [("http://127.0.0.1:80", "127.0.0.1,localhost"), ("http://[::1]:80", "127.0.0.1,::1,localhost")],
)
def test_nothing_goes_through_a_proxy_and_apify_s_own_is_not_reached_for(
    tmp_path: Path, base_url: str, direct: str
) -> None:
    env = told(RUN, tmp_path, base_url)

    assert {name: value for name, value in env.items() if "PROXY" in name.upper()} == {
        "APIFY_PROXY_HOSTNAME": "127.0.0.1",
        "APIFY_PROXY_PORT": "9",
        "APIFY_PROXY_PASSWORD": "emulator",
        "APIFY_PROXY_STATUS_URL": base_url,
        "NO_PROXY": direct,
        "no_proxy": direct,
    }
