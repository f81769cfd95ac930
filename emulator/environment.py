"""The environment variables of an Actor, built from scratch (Apify, "Environment variables")."""

import os
from datetime import timedelta
from urllib.parse import urlsplit

import msgspec

from emulator.documents import Document
from emulator.programs import BUILD_TAG, Program
from emulator.stamps import moment_of, stamp


def actor_environment(run: Document, program: Program, token: str, base_url: str) -> dict[str, str]:
    """What one run's process gets. Variables without a value are left out: an empty one would crash the SDK."""
    variables = {
        **_system(),
        **_identity(run, program),
        **_limits(run),
        **_proxy(base_url),
        "APIFY_IS_AT_HOME": "1",
        "APIFY_TOKEN": token,
        "APIFY_API_BASE_URL": base_url,
        "APIFY_API_PUBLIC_BASE_URL": base_url,
        "ACTOR_INPUT_KEY": "INPUT",
        "ACTOR_DEFAULT_DATASET_ID": run["defaultDatasetId"],
        "ACTOR_DEFAULT_KEY_VALUE_STORE_ID": run["defaultKeyValueStoreId"],
        "ACTOR_DEFAULT_REQUEST_QUEUE_ID": run["defaultRequestQueueId"],
        "ACTOR_STORAGES_JSON": msgspec.json.encode(run["storageIds"]).decode(),
    }
    return {name: str(value) for name, value in variables.items() if value is not None}


def _system() -> Document:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }


def _identity(run: Document, program: Program) -> Document:
    return {
        "ACTOR_ID": program.id,
        "ACTOR_FULL_NAME": program.full_name.replace("~", "/"),
        "ACTOR_RUN_ID": run["id"],
        "ACTOR_BUILD_ID": run["buildId"],
        "ACTOR_BUILD_NUMBER": run["buildNumber"],
        "ACTOR_BUILD_TAGS": BUILD_TAG,
        "ACTOR_PERMISSION_LEVEL": run["_permissionLevel"],
        "APIFY_USER_ID": run["userId"],
        "APIFY_META_ORIGIN": run["meta"]["origin"],
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
    """Loopback everywhere: the SDK's defaults would reach the internet, an inherited proxy would swallow us."""
    return {
        "APIFY_PROXY_HOSTNAME": "127.0.0.1",
        "APIFY_PROXY_PORT": urlsplit(base_url).port,
        "APIFY_PROXY_PASSWORD": "emulator",
        "APIFY_PROXY_STATUS_URL": base_url,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
