"""What is kept of webhooks that could not be verified: at the real door, on a real Valkey."""

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import pytest
import yaml
from redis.asyncio import Redis

from config import logs
from config.contracts.kinds import Kind
from config.contracts.source import Source
from config.keys import Keys
from config.queue import RunQueue
from config.settings import Settings, load_settings
from config.webhooks.captured import MOST_BODY, Captured
from config.webhooks.guard import Guard, Guarded
from config.webhooks.options import Webhook
from console.learning import block, learnt
from receiver import capturing
from receiver.app import Receiver, create_app
from receiver.limits import MOST_BYTES
from tests.receiver.plain import PlainSource, TestQueue
from tests.receiver.wire import Reply, Wire, running

SECRET = "the-secret-of-this-test-0123456789"
RUN = b'{"run": "r1"}'
KEY = Keys(load_settings().namespace).captured("mine")
SIGNED = {"scheme": "hmac", "header": "x-sig"}


class GuardedSource(Guarded, PlainSource):
    """As the file describes its door."""

    def __init__(self, name: str, **webhook: Any) -> None:
        super().__init__(name)
        self.guard = Guard(Webhook.model_validate({"secrets": [SECRET], **webhook}))


def app_of(queue: Any, **webhook: Any) -> Receiver:
    sources = {
        "mine": cast("Source", GuardedSource("mine", **{"capture": {"keep": 3, "for": "2h"}, **webhook})),
        "quiet": cast("Source", GuardedSource("quiet", **{**webhook, "capture": None})),
    }
    return create_app(sources, queue, settings=load_settings(receive_timeout=0.5))


@asynccontextmanager
async def door(settings: Settings, **webhook: Any) -> AsyncIterator[Wire]:
    relaxed = settings.model_copy(update={"durability": "relaxed"})
    async with RunQueue.connect(relaxed) as queue, running(app_of(queue, **webhook)) as wire:
        yield wire


async def kept(redis: Redis) -> list[Captured]:
    raw = await cast("Awaitable[list[bytes]]", redis.lrange(KEY, 0, -1))
    return [msgspec.json.decode(one, type=Captured) for one in raw]


async def outcomes(wire: Wire) -> dict[str, float]:
    text = (await wire.send("GET", "/metrics")).body.decode()
    begin = 'runrelay_webhooks_captured_total{outcome="'
    lines = [line.removeprefix(begin) for line in text.splitlines() if line.startswith(begin)]
    return {line.partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


def told(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.kind


async def test_what_could_not_be_verified_is_kept_as_it_came(settings: Settings, redis: Redis) -> None:
    async with door(settings, verify=SIGNED) as wire:
        unsigned = await wire.post("/webhooks/mine", RUN, None, X_Hub_Signature="sha256=ab", X_Id="7")
        forged = await wire.post("/webhooks/mine", b'{"run": "r2"}', None, X_Sig="00" * 32)
        counted = await outcomes(wire)
    assert (told(unsigned), told(forged)) == ((401, "signature_missing"), (401, "signature_invalid"))
    second, first = await kept(redis)
    assert (first.source, first.kind, first.method, first.path) == (
        "mine",
        "signature_missing",
        "POST",
        "/webhooks/mine",
    )
    assert (first.body, first.masked, first.cut, first.secrets) == (RUN, False, False, ())
    assert {"x-hub-signature": "sha256=ab", "x-id": "7"}.items() <= dict(first.headers).items()
    assert (second.kind, second.body) == ("signature_invalid", b'{"run": "r2"}')
    assert dict(second.headers)["x-sig"] == "00" * 32
    assert round(first.until - first.at) == 7200
    assert 7000 < await redis.ttl(KEY) <= 7200
    assert counted == {"kept": 2.0}


async def test_no_more_are_kept_than_the_file_says(settings: Settings, redis: Redis) -> None:
    async with door(settings) as wire:
        for number in range(5):
            await wire.post("/webhooks/mine", b"%d" % number)
    assert [one.body for one in await kept(redis)] == [b"4", b"3", b"2"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/webhooks/quiet", {}),
        ("/webhooks/mine", {"Authorization": SECRET}),
        ("/webhooks/mine", {"Authorization": SECRET, "Content-Type": "text/plain"}),
        ("/webhooks/none", {}),
    ],
    ids=["off", "verified", "another refusal", "no source"],
)
async def test_nothing_else_is_kept(settings: Settings, redis: Redis, path: str, headers: dict[str, str]) -> None:
    async with door(settings) as wire:
        await wire.send("POST", path, data=RUN, headers={"Content-Type": "application/json", **headers})
        assert await outcomes(wire) == {}
    assert not await redis.keys("*captured*")


async def test_no_secret_is_kept(settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_mask", logs.Mask())
    logs.add_secret(SECRET)
    unknown = "hunter2hunter2"
    headers = {
        "Authorization": f"Basic {unknown}",
        "Cookie": f"session={unknown}",
        "X-Webhook-Token": unknown,
        "X-Plain": SECRET,
        "X-Around": f"a {SECRET} b",
        "X-Bearer": f"Bearer {SECRET}",
        "X-Stars": "***",
        "X-Signature": "t=1;signature=abcdef",
    }
    async with door(settings, verify=SIGNED) as wire:
        body = b'{"said": "%s", "at": "https://me:%s@example.com"}' % (SECRET.encode(), unknown.encode())
        await wire.send("POST", f"/webhooks/mine/{unknown}", data=body, headers=headers)
    raw = b"".join(await cast("Awaitable[list[bytes]]", redis.lrange(KEY, 0, -1)))
    (one,) = await kept(redis)
    assert {name: value for name, value in one.headers if name.title() in headers} == {
        "authorization": "*** (20 characters)",
        "cookie": "*** (22 characters)",
        "x-webhook-token": "*** (14 characters)",
        "x-plain": "*** (34 characters)",
        "x-around": "*** (38 characters)",
        "x-bearer": "*** (41 characters)",
        "x-stars": "***",
        "x-signature": "t=1;signature=abcdef",
    }
    assert one.secrets == ("x-plain", "x-bearer")
    assert one.path == "/webhooks/mine/*** (14 characters)"
    assert (one.body, one.masked) == (b'{"said": "***", "at": "https://me:***@example.com"}', True)
    for secret in (SECRET, unknown):
        assert secret.encode() not in raw + one.body


async def test_that_a_secret_stood_in_the_path_is_kept_and_the_secret_is_not(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_mask", logs.Mask())
    logs.add_secret(SECRET)
    async with door(settings, verify=SIGNED) as wire:
        for rest in (f"/{SECRET}", "/of-a-stranger", ""):
            await wire.post(f"/webhooks/mine{rest}", RUN, None)
    bare, strange, ours = await kept(redis)
    assert (bare.path, bare.in_path) == ("/webhooks/mine", False)
    assert (strange.path, strange.in_path) == ("/webhooks/mine/*** (13 characters)", False)
    assert (ours.path, ours.in_path) == (f"/webhooks/mine/*** ({len(SECRET)} characters)", True)
    found = learnt(ours, [SECRET])
    assert found.verify is not None
    assert block(found.verify) == "verify: token"


async def test_a_secret_across_the_cut_is_not_kept_in_part(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_mask", logs.Mask())
    logs.add_secret(SECRET)
    async with door(settings) as wire:
        await wire.post("/webhooks/mine", b"x" * (MOST_BODY - 10) + SECRET.encode() + b"y" * 9000)
    (one,) = await kept(redis)
    assert (one.body, one.masked, one.cut) == (b"x" * (MOST_BODY - 10) + b"***" + b"y" * 7, True, True)


@pytest.mark.parametrize("size", [MOST_BODY, MOST_BODY + 1, MOST_BYTES, MOST_BYTES + 1])
async def test_the_beginning_of_a_large_body_is_kept(settings: Settings, redis: Redis, size: int) -> None:
    async with door(settings) as wire:
        reply = await wire.post("/webhooks/mine", b"x" * size)
    (one,) = await kept(redis)
    assert told(reply) == (401, "token_missing")
    assert one.body == (b"x" * MOST_BODY if size <= MOST_BYTES else b"")
    assert one.cut == (size > MOST_BODY)


async def test_a_body_that_does_not_come_changes_no_answer(settings: Settings, redis: Redis) -> None:
    async with door(settings) as wire, wire.socket() as socket:
        await socket.begin("/webhooks/mine", "Content-Length: 20")
        await socket.say(b"half")
        assert told(await socket.reply()) == (401, "token_missing")
    (one,) = await kept(redis)
    assert (one.body, one.cut) == (b"half", True)


async def test_strangers_cannot_make_us_write_as_much_as_they_like(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(capturing.Capturing.__init__, "__defaults__", (lambda: now,))
    async with door(settings, capture={"keep": 100}) as wire:
        for _ in range(capturing.MOST_A_SECOND + 3):
            assert told(await wire.post("/webhooks/mine", RUN)) == (401, "token_missing")
        assert await outcomes(wire) == {"kept": 5.0, "skipped": 3.0}
        now += 1
        await wire.post("/webhooks/mine", RUN)
        assert await outcomes(wire) == {"kept": 6.0, "skipped": 3.0}
    assert len(await kept(redis)) == 6


async def test_without_redis_the_answer_is_the_same() -> None:
    settings = load_settings(redis_url="redis://127.0.0.1:9/0")
    async with door(settings, verify=SIGNED) as wire:
        reply = await wire.post("/webhooks/mine", RUN, None, X_Sig="00" * 32)
        assert (told(reply), await outcomes(wire)) == ((401, "signature_invalid"), {"failed": 1.0})


async def test_a_bug_in_keeping_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = TestQueue()
    monkeypatch.delattr(TestQueue, "capture")
    async with running(app_of(queue)) as wire:
        assert told(await wire.post("/webhooks/mine", RUN)) == (401, "token_missing")


@pytest.mark.parametrize("sent", [(), ("X-Sig: rubbish",)])
async def test_what_the_head_cannot_prove_is_refused_before_any_of_the_body_has_come(
    settings: Settings, sent: tuple[str, ...]
) -> None:
    async with door(settings, verify=SIGNED) as wire, wire.socket() as socket:
        await socket.begin("/webhooks/quiet", "Content-Type: application/json", "Content-Length: 9", *sent)
        assert told(await socket.reply()) == (401, "signature_invalid" if sent else "signature_missing")


async def test_one_that_is_signed_right_comes_in(settings: Settings, redis: Redis) -> None:
    async with door(settings, verify=SIGNED) as wire:
        good = hmac.new(SECRET.encode(), RUN, hashlib.sha256).hexdigest()
        reply = await wire.send(
            "POST", "/webhooks/mine", data=RUN, headers={"x-sig": good, "Content-Type": "application/vnd.x+json"}
        )
    assert (reply.status, reply.json["status"]) == (200, "accepted")
    assert await kept(redis) == []


async def test_what_is_kept_teaches_how_it_is_signed(settings: Settings, redis: Redis) -> None:
    moment = str(int(time.time()))
    signature = base64.b64encode(hmac.new(SECRET.encode(), f"{moment}.".encode() + RUN, "sha512").digest()).decode()
    sent = {"X-Acme-Signature": signature, "X-Acme-Time": moment, "Content-Type": "application/json"}
    async with door(settings) as wire:
        assert (await wire.send("POST", "/webhooks/mine", data=RUN, headers=sent)).status == 401
    (one,) = await kept(redis)
    found = learnt(one, [SECRET]).verify
    assert found is not None
    async with door(settings, **yaml.safe_load(block(found))) as wire:
        reply = await wire.send("POST", "/webhooks/mine", data=RUN, headers=sent)
    assert (reply.status, reply.json["status"]) == (200, "accepted")


def test_only_refusals_of_strangers_are_kept() -> None:
    assert {kind for kind in Kind if kind.status == 401} == capturing.UNPROVEN
