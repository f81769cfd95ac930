"""The receiver with its real neighbours: Apify's dialect in front, a Valkey behind."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from config.queue import RunQueue
from config.settings import Settings, load_settings
from config.sources.apify import Config, connect
from console.embedded import embedded_valkey
from receiver.app import create_app
from tests.receiver.wire import Wire, running

SECRET = "8f1d6f0f4c5b4b4b9d0e2a7c6b5a4f3e"
FINISHED = msgspec.json.encode(
    {
        "userId": "u1",
        "createdAt": "2026-11-22T10:00:00.000Z",
        "eventType": "ACTOR.RUN.SUCCEEDED",
        "eventData": {"actorId": "a1", "actorRunId": "HG7ML7M8z78YcAPEB"},
        "resource": {"id": "HG7ML7M8z78YcAPEB", "status": "SUCCEEDED"},
    }
)


@asynccontextmanager
async def receiver(settings: Settings) -> AsyncIterator[Wire]:
    options = Config.model_validate({"token": "apify_api_x", "webhook": {"secrets": [SECRET, "", "another-one"]}})
    async with RunQueue.connect(settings) as queue:
        app = create_app({"apify": connect("apify", options)}, queue, settings=settings)
        async with running(app) as wire:
            yield wire


@pytest.fixture
async def wire(settings: Settings) -> AsyncIterator[Wire]:
    async with receiver(settings) as wire:
        yield wire


async def stored(redis: Redis) -> int:
    return int(await redis.zcard("rr:due"))


async def test_a_200_means_that_the_event_lies_in_redis(wire: Wire, redis: Redis) -> None:
    reply = await wire.post("/webhooks/apify", FINISHED, f"Bearer {SECRET}", X_Apify_Webhook_Dispatch_Id="d1")
    assert reply.json["status"] == "accepted"
    key = f"rr:ev:{reply.json['id']}"
    assert [await redis.hget(key, name) for name in ("run", "source", "body")] == [  # type: ignore[misc]  # sync or async
        b"HG7ML7M8z78YcAPEB",
        b"apify",
        FINISHED,
    ]
    again = await wire.post("/webhooks/apify", FINISHED, "another-one", X_Apify_Webhook_Dispatch_Id="d1")
    assert again.json == {"status": "duplicate", "id": reply.json["id"]}
    assert await stored(redis) == 1


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"eventType": "TEST"}, "test"),
        ({"eventType": "ACTOR.RUN.CREATED"}, "ignored"),
        ({"eventType": "ACTOR.BUILD.SUCCEEDED"}, "ignored"),
    ],
)
async def test_what_ends_no_run_is_not_stored(wire: Wire, redis: Redis, fields: Any, status: str) -> None:
    body = msgspec.json.encode({**fields, "resource": {"id": "abc"}})
    assert (await wire.post("/webhooks/apify", body, SECRET)).json == {"status": status, "id": None}
    assert await stored(redis) == 0


NOT_JSON = [
    b"",
    b"{",
    b"nonsense",
    b'{"resource": {"id": "abc"}} trailing',
    b'{"resource": {"id": NaN}}',
    b'{"resource": {"id": Infinity}}',
    b'{"resource": {"id": "\xff"}}',
    b'\xef\xbb\xbf{"resource": {"id": "abc"}}',
    '{"resource": {"id": "abc"}}'.encode("utf-16"),
    b"[" * 500_000,
    b'{"a":' * 100_000,
    b'{"resource": {"id": "abc\n"}}',
    b"{'resource': {'id': 'abc'}}",
]
NO_RUN = [
    b"[]",
    b"null",
    b'"abc"',
    b"1e5",
    b"{}",
    b'{"resource": null}',
    b'{"resource": {"id": null}}',
    b'{"resource": {"id": 12}}',
    b'{"resource": {"id": ["abc"]}}',
    b'{"resource": {"id": ""}}',
    b'{"resource": {"id": "a b"}}',
    b'{"resource": {"id": "../../etc"}}',
    b'{"resource": {"id": "abc\\n"}}',
    b'{"resource": {"id": "abc\\u0000"}}',
    b'{"resource": {"id": "\\u0661\\u0662"}}',
    b'{"resource": {"id": "%s"}}' % (b"a" * 65),
]


@pytest.mark.parametrize(
    ("corpus", "status", "kind"), [(NOT_JSON, 400, "request_invalid"), (NO_RUN, 422, "event_invalid")]
)
async def test_a_body_that_cannot_be_used_is_refused_and_nothing_is_stored(
    wire: Wire, redis: Redis, corpus: list[bytes], status: int, kind: str
) -> None:
    for body in corpus:
        reply = await wire.post("/webhooks/apify", body, SECRET)
        assert (body[:40], reply.status, reply.kind) == (body[:40], status, kind)
    assert await stored(redis) == 0


async def test_a_redis_that_is_full_is_503_and_the_next_try_gets_through(wire: Wire, redis: Redis) -> None:
    await redis.config_set("maxmemory", 1)
    try:
        full = await wire.post("/webhooks/apify", FINISHED, SECRET)
    finally:
        await redis.config_set("maxmemory", 0)
    later = await wire.post("/webhooks/apify", FINISHED, SECRET)
    assert (full.status, full.kind, full.headers["retry-after"]) == (503, "queue_unavailable", "60")
    assert (later.status, later.json["status"]) == (200, "accepted")


async def test_a_redis_without_persistence_is_not_ready(wire: Wire, redis: Redis) -> None:
    await redis.config_set("appendfsync", "everysec")
    try:
        reply = await wire.send("GET", "/readyz")
    finally:
        await redis.config_set("appendfsync", "always")
    assert (reply.status, reply.kind) == (503, "queue_unavailable")
    assert "appendfsync always" in reply.json["message"]
    assert (await wire.send("GET", "/readyz")).json == {"status": "ok"}


async def test_persistence_that_is_switched_off_later_is_a_warning_and_the_door_stays_open(
    wire: Wire, redis: Redis
) -> None:
    assert (await wire.send("GET", "/readyz")).json == {"status": "ok"}
    await redis.config_set("appendfsync", "everysec")
    try:
        ready = await wire.send("GET", "/readyz")
        taken = await wire.post("/webhooks/apify", FINISHED, SECRET)
    finally:
        await redis.config_set("appendfsync", "always")
    assert (ready.status, taken.status) == (200, 200)
    [warning] = ready.json["warnings"]
    assert "appendfsync always" in warning


@pytest.mark.parametrize(
    ("share", "readiness", "door"), [(0.5, (200, 0), 200), (0.8, (200, 1), 200), (0.95, (503, 0), 503)]
)
async def test_a_redis_that_fills_up_is_a_warning_and_then_no_webhook_is_taken_before_it_refuses_itself(
    wire: Wire, redis: Redis, share: float, readiness: tuple[int, int], door: int
) -> None:
    used = int((await redis.info("memory"))["used_memory"])
    await redis.config_set("maxmemory", int(used / share))
    try:
        await redis.set("there-is-room", "1")
        ready = await wire.send("GET", "/readyz")
        taken = await wire.post("/webhooks/apify", FINISHED, SECRET)
    finally:
        await redis.config_set("maxmemory", 0)
    assert (ready.status, len(ready.json.get("warnings", []))) == readiness
    assert taken.status == door
    assert await stored(redis) == (door == 200)


async def test_a_redis_that_is_gone_is_503_and_not_ready_while_the_process_is_alive(tmp_path: Path) -> None:
    server = embedded_valkey()
    async with receiver(load_settings(redis_url=server.__enter__(), spool_dir=tmp_path)) as wire:
        before = await wire.post("/webhooks/apify", FINISHED, SECRET)
        server.__exit__(None, None, None)
        after = await wire.post("/webhooks/apify", FINISHED, SECRET)
        ready = await wire.send("GET", "/readyz")
        alive = await wire.send("GET", "/healthz")
    assert before.status == 200
    assert (after.status, after.kind, after.headers["retry-after"]) == (503, "queue_unavailable", "60")
    assert (ready.status, ready.kind) == (503, "queue_unavailable")
    assert alive.status == 200
