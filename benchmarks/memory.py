"""What the ledger's history weighs: `python -m benchmarks.memory`.

Takes runs from the webhook to the receipt, with one small route and a body of 1.2 KB each, in a Valkey of its own, and
prints the bytes one of them holds at each stage, and in which records.
"""

import asyncio
import json
import secrets
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from config.contracts.delivery import Checkpoint, Delivery, DeliveryState, Receipt, delivery_id
from config.contracts.event import Event, EventState, event_id
from config.keys import Keys
from config.queue import RunQueue
from config.sources.apify import Config, connect
from console.embedded import embedded_valkey
from workers.ledger.ledger import Ledger

RUNS = 500
_SOURCE = connect("apify", Config.model_validate({"token": "a-token-only-this-benchmark-knows"}))
_DOCUMENT = (
    b'{"defaults":{},"route":{"name":"products","to":[{"sink":"lake"}]},"sinks":{"lake":{"base":"out/"}},"version":1}'
)
_CFG = "5f" * 32
_LETTERS = string.ascii_letters + string.digits


def main() -> None:
    for targets in (("lake",), ("lake", "warehouse", "crm")):
        with embedded_valkey() as url:
            stages = asyncio.run(measure(url, targets))
        kinds = sorted({kind for _, held in stages for kind in held})
        table = Table(f"bytes a run, to targets: {len(targets)}", *kinds, box=SIMPLE_HEAD)
        for stage, held in stages:
            table.add_row(stage, *(f"{held[kind] / RUNS:,.0f}" for kind in kinds))
        Console().print(table)


async def measure(url: str, targets: Sequence[str]) -> list[tuple[str, Counter[str]]]:
    """(stage, bytes by kind of key, as MEMORY USAGE has them)."""
    async with Redis.from_url(url) as redis:
        keys = Keys("rr")
        ledger, inbox = Ledger(redis, keys), RunQueue(redis, keys)
        await redis.set(keys.breadth, 10 * RUNS)  # nobody stands in line
        stages = []
        runs = [run_object() for _ in range(RUNS)]
        events = [event_of(run) for run in runs]
        for some in _portions(events, 100):
            await inbox.accept(some)
        stages.append(("accepted", await _held(redis)))
        planned = [await _planned(ledger, *each, targets) for each in zip(events, runs, strict=True)]
        stages.append(("planned", await _held(redis)))
        for deliveries in planned:
            for one in deliveries:
                await _delivered(ledger, one)
        stages.append(("delivered", await _held(redis)))
    return stages


def run_object() -> dict[str, Any]:
    """What Get run answers for a small run of a schedule; what differs between runs is random here as well."""
    run, actor, task, user, build, store, dataset, queue, schedule = (_ident() for _ in range(9))
    return {
        "id": run,
        "actId": actor,
        "userId": user,
        "actorTaskId": task,
        "startedAt": _moment(),
        "finishedAt": _moment(),
        "status": "SUCCEEDED",
        "statusMessage": f"Finished! Total {_number(3)} requests: {_number(3)} succeeded, 3 failed.",
        "isStatusMessageTerminal": True,
        "meta": {
            "origin": "SCHEDULER",
            "userAgent": "ApifyClient/2.9.3 (linux; Node/v20.9.0); isAtHome/true",
            "scheduleId": schedule,
            "scheduledAt": _moment(),
        },
        "stats": {
            "inputBodyLen": _number(3),
            "migrationCount": 0,
            "rebootCount": 0,
            "restartCount": 0,
            "resurrectCount": 0,
            "memAvgBytes": _number(9) / 10,
            "memMaxBytes": _number(9),
            "memCurrentBytes": 0,
            "cpuAvgUsage": _number(14) / 10**12,
            "cpuMaxUsage": _number(14) / 10**12,
            "cpuCurrentUsage": 0,
            "netRxBytes": _number(8),
            "netTxBytes": _number(7),
            "durationMillis": _number(6),
            "runTimeSecs": _number(6) / 1000,
            "metamorph": 0,
            "computeUnits": _number(16) / 10**17,
        },
        "options": {
            "build": "latest",
            "timeoutSecs": 3600,
            "memoryMbytes": 1024,
            "maxItems": 1000,
            "maxTotalChargeUsd": 5,
            "diskMbytes": 2048,
        },
        "buildId": build,
        "exitCode": 0,
        "generalAccess": "FOLLOW_USER_SETTING",
        "defaultKeyValueStoreId": store,
        "defaultDatasetId": dataset,
        "defaultRequestQueueId": queue,
        "storageIds": {
            "datasets": {"default": dataset},
            "keyValueStores": {"default": store},
            "requestQueues": {"default": queue},
        },
        "buildNumber": "0.1.27",
        "containerUrl": f"https://{_ident().lower()}.runs.apify.net",
        "isContainerServerReady": True,
        "usage": _usage(0),
        "usageTotalUsd": _number(16) / 10**17,
        "usageUsd": _usage(9),
    }


def event_of(run: dict[str, Any]) -> Event:
    """Its webhook, of Apify's default payload."""
    resource = {name: value for name, value in run.items() if name not in {"usage", "usageUsd", "storageIds"}}
    about = {"actorId": run["actId"], "actorRunId": run["id"]}
    said = {"userId": run["userId"], "createdAt": _moment(), "eventType": "ACTOR.RUN.SUCCEEDED"}
    body = json.dumps({**said, "eventData": about, "resource": resource}, separators=(",", ":")).encode()[:1200]
    return Event(
        id=event_id("apify", _ident(), body), source="apify", run_id=run["id"], kind="ACTOR.RUN.SUCCEEDED", body=body
    )


async def _planned(ledger: Ledger, event: Event, fields: dict[str, Any], targets: Sequence[str]) -> Sequence[Delivery]:
    run = msgspec.structs.replace(_SOURCE.told(fields), actor="acme/product-scraper")
    deliveries = [
        Delivery(
            id=delivery_id("apify", run.id, run.life, "products", target),
            event_id=event.id,
            source="apify",
            run_id=run.id,
            life=run.life,
            route="products",
            target=target,
            sink=target,
            cfg=_CFG,
            streams=("items:default",),
        )
        for target in targets
    ]
    taken = await ledger.take_event(event.id, 1)
    assert taken
    await ledger.plan(taken[0], EventState.PLANNED, run=run, deliveries=deliveries, documents={_CFG: _DOCUMENT})
    return deliveries


async def _delivered(ledger: Ledger, one: Delivery) -> None:
    taken = await ledger.take_delivery(one.id, 1)
    assert taken
    row = Receipt(
        route=one.route,
        target=one.target,
        sink=one.sink,
        stream="items:default",
        read=409,
        delivered=409,
        out=409,
        bytes=404_132,
    ).closed(409)
    checkpoint = Checkpoint(stream=1, offset=409, batch=1, end=409, expected=409, receipts=(row,))
    await ledger.finish(taken[0], DeliveryState.DELIVERED, checkpoint=msgspec.json.encode(checkpoint), attempt=0)


async def _held(redis: Redis) -> Counter[str]:
    held: Counter[str] = Counter()
    async for key in redis.scan_iter(count=1000):
        held[_kind(key.decode())] += int(await redis.memory_usage(key, samples=0) or 0)
    held["in all"] = held.total()
    return held


def _kind(key: str) -> str:
    """`ev`, `dl` and the like; what is one key for all of them is an index."""
    parts = key.split(":")
    return parts[1] if len(parts) > 2 else "indexes"


def _portions(events: list[Event], size: int) -> Iterator[list[Event]]:
    return (events[begin : begin + size] for begin in range(0, len(events), size))


def _ident() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(17))


def _number(digits: int) -> int:
    least: int = 10 ** (digits - 1)
    return least + secrets.randbelow(9 * least)


def _moment() -> str:
    return f"2026-11-{_number(2) % 28 + 1:02}T{_number(2) % 24:02}:{_number(2) % 60:02}:17.{_number(3)}Z"


def _usage(digits: int) -> dict[str, float]:
    units = (
        "ACTOR_COMPUTE_UNITS",
        "DATASET_READS",
        "DATASET_WRITES",
        "KEY_VALUE_STORE_READS",
        "KEY_VALUE_STORE_WRITES",
        "KEY_VALUE_STORE_LISTS",
        "REQUEST_QUEUE_READS",
        "REQUEST_QUEUE_WRITES",
        "DATA_TRANSFER_INTERNAL_GBYTES",
        "DATA_TRANSFER_EXTERNAL_GBYTES",
        "PROXY_RESIDENTIAL_TRANSFER_GBYTES",
        "PROXY_SERPS",
    )
    return {unit: _number(9) / 10**12 if digits else _number(2) for unit in units}


if __name__ == "__main__":
    main()
