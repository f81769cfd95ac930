"""The environment variables of an Actor, built from scratch (Apify, "Environment variables")."""

import os
from datetime import timedelta
from urllib.parse import urlsplit

import msgspec

from emulator.documents import Document
from emulator.programs import Program
from emulator.stamps import moment_of, stamp

FIRST_INPUT = "INPUT"
_NOBODY = 9  # the "discard" port (RFC 863), on which nobody listens


def actor_environment(run: Document, program: Program, token: str, base_url: str, events_url: str) -> dict[str, str]:
    """What one run's process gets. Variables without a value are left out: an empty one would crash the SDK.

    Args:
        events_url: the websocket on which this life of the run hears events.
    """
    variables = {
        **program.manifest.environment_variables,
        **_system(program),
        **_identity(run, program),
        **_storages(run),
        **_limits(run),
        **_proxy(base_url),
        "APIFY_IS_AT_HOME": "1",
        "APIFY_TOKEN": token,
        "APIFY_API_BASE_URL": base_url,
        "APIFY_API_PUBLIC_BASE_URL": base_url,
        "ACTOR_EVENTS_WEBSOCKET_URL": events_url,
    }
    return {name: str(value) for name, value in variables.items() if value is not None}


def _system(program: Program) -> Document:
    """Scripts and shells find the Actor's interpreter, and the tools installed with it, before any other."""
    path = os.environ.get("PATH", os.defpath)
    return {
        "PATH": f"{program.python.parent}{os.pathsep}{path}",
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }


def _identity(run: Document, program: Program) -> Document:
    return {
        "ACTOR_ID": program.id,
        "ACTOR_FULL_NAME": program.full_name.replace("~", "/"),
        "ACTOR_RUN_ID": run["id"],
        "ACTOR_TASK_ID": run["actorTaskId"],
        "ACTOR_BUILD_ID": program.build_id,
        "ACTOR_BUILD_NUMBER": program.build_number,
        "ACTOR_BUILD_TAGS": program.build_tag,
        "ACTOR_PERMISSION_LEVEL": run["_permissionLevel"],
        "APIFY_USER_ID": run["userId"],
        "APIFY_META_ORIGIN": run["meta"]["origin"],
    }


def _storages(run: Document) -> Document:
    """`_inputKey` is the run's since a metamorph: the new Actor has an input of its own."""
    return {
        "ACTOR_INPUT_KEY": run.get("_inputKey", FIRST_INPUT),
        "ACTOR_DEFAULT_DATASET_ID": run["defaultDatasetId"],
        "ACTOR_DEFAULT_KEY_VALUE_STORE_ID": run["defaultKeyValueStoreId"],
        "ACTOR_DEFAULT_REQUEST_QUEUE_ID": run["defaultRequestQueueId"],
        "ACTOR_STORAGES_JSON": msgspec.json.encode(run["storageIds"]).decode(),
    }


def _limits(run: Document) -> Document:
    options, started = run["options"], run["_lifeStartedAt"]
    timeout = options["timeoutSecs"]
    return {
        "ACTOR_STARTED_AT": started,
        "ACTOR_TIMEOUT_AT": stamp(moment_of(started) + timedelta(seconds=timeout)) if timeout else None,
        "ACTOR_MEMORY_MBYTES": options["memoryMbytes"],
        "APIFY_DEDICATED_CPUS": options["memoryMbytes"] / 4096,
        "ACTOR_MAX_PAID_DATASET_ITEMS": options.get("maxItems"),
        "ACTOR_MAX_TOTAL_CHARGE_USD": options.get("maxTotalChargeUsd"),
        "ACTOR_RESTART_ON_ERROR": "1" if options.get("restartOnError") else None,
    }


def _proxy(base_url: str) -> Document:
    """Loopback everywhere: the SDK's defaults would reach the internet, an inherited proxy would swallow us.

    There is no proxy: the SDK warns of one that cannot be reached, and gives up on one that answers wrongly.
    """
    here = ",".join(sorted({"127.0.0.1", "localhost", urlsplit(base_url).hostname or ""}))
    return {
        "APIFY_PROXY_HOSTNAME": "127.0.0.1",
        "APIFY_PROXY_PORT": _NOBODY,
        "APIFY_PROXY_PASSWORD": "emulator",
        "APIFY_PROXY_STATUS_URL": base_url,
        "NO_PROXY": here,
        "no_proxy": here,
    }
