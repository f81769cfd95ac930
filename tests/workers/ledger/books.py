"""The ledger as a test reads it: what is due when, what is queued, and a hand to turn time forward."""

from collections.abc import Awaitable
from typing import cast

import pytest
from redis.asyncio import Redis

from config.contracts.after import After, after_id
from config.contracts.delivery import Delivery, DeliveryState, delivery_id
from config.contracts.event import Event, EventState, event_id
from config.contracts.run import Run
from config.contracts.source import Leftover
from config.keys import Keys, RecordKind
from config.queue import RunQueue
from workers.ledger.ledger import Ledger
from workers.ledger.records import Lease

LIFE = "2026-01-30T07:38:32.674Z"
DOCUMENTS = {"sha1": b'{"routes": []}'}


def delivery(target: str = "rows", life: str = LIFE, **changes: str | int) -> Delivery:
    route, generation = str(changes.get("route", "all")), int(changes.get("generation", 0))
    return Delivery(
        id=delivery_id("apify", "run1", life, route, target, generation),
        event_id=str(changes.get("event", "e1")),
        source="apify",
        run_id="run1",
        life=life,
        route=route,
        target=target,
        sink="disk",
        generation=generation,
        cfg="sha1",
        streams=("items:default",),
    )


def run(life: str = LIFE) -> Run:
    return Run(
        id="run1",
        source="apify",
        status="SUCCEEDED",
        terminal=True,
        life=life,
        finished=1769758712.674,
        account="u1",
        fields={"id": "run1", "big": 2**70},
    )


def after(*delete: Leftover, life: str = LIFE) -> After:
    return After(id=after_id("apify", "run1", life), source="apify", run_id="run1", life=life, delete=delete)


def about(seconds: float) -> object:
    """What is left of this many seconds when the question comes a moment later."""
    return pytest.approx(seconds - 2, abs=2.1)


class Books:
    """A ledger, the inbox before it, and their keys."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.keys = Keys("rr")
        self.inbox = RunQueue(redis, self.keys)
        self.ledger = Ledger(redis, self.keys)

    async def accept(self, body: bytes = b"{}") -> str:
        """The id of a new event of run1; its first wake-up has the number 1."""
        event = Event(
            id=event_id("apify", None, body), source="apify", run_id="run1", kind="ACTOR.RUN.SUCCEEDED", body=body
        )
        await self.inbox.accept([event])
        return event.id

    async def taken_event(self, body: bytes = b"{}") -> Lease:
        taken = await self.ledger.take_event(await self.accept(body), 1)
        assert taken
        return taken[0]

    async def plan(self, *deliveries: Delivery, body: bytes = b"{}", after: After | None = None) -> Lease:
        """An event that has been planned."""
        lease = await self.taken_event(body)
        documents = DOCUMENTS if deliveries else {}
        await self.ledger.plan(
            lease, EventState.PLANNED, run=run(), deliveries=deliveries, documents=documents, after=after
        )
        return lease

    async def end(self, one: Delivery, state: DeliveryState = DeliveryState.DELIVERED) -> None:
        """A planned delivery comes to its end."""
        taken = await self.ledger.take_delivery(one.id, int(await self.field("dl", one.id, "seq") or 0))
        assert taken
        await self.ledger.finish(taken[0], state)

    async def taken_delivery(self, one: Delivery | None = None) -> Lease:
        one = one or delivery()
        await self.plan(one)
        taken = await self.ledger.take_delivery(one.id, 1)
        assert taken
        return taken[0]

    async def now(self) -> int:
        """ms by Redis' clock."""
        seconds, micros = await self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def field(self, kind: RecordKind, record_id: str, name: str) -> bytes | None:
        return await cast("Awaitable[bytes | None]", self.redis.hget(self.keys.record(kind, record_id), name))

    async def set(self, kind: RecordKind, record_id: str, **fields: str | int | bytes) -> None:
        await cast("Awaitable[int]", self.redis.hset(self.keys.record(kind, record_id), mapping=fields))

    async def snapshot(self) -> dict[bytes, object]:
        """Everything Redis holds, times to live left out."""
        held: dict[bytes, object] = {}
        async for key in self.redis.scan_iter():
            kind = await self.redis.type(key)
            held[key] = await self._value(kind, key)
        return held

    async def _value(self, kind: bytes, key: bytes) -> object:
        name = key.decode()
        if kind == b"hash":
            return await cast("Awaitable[object]", self.redis.hgetall(name))
        if kind == b"set":
            return await cast("Awaitable[object]", self.redis.smembers(name))
        if kind == b"zset":
            return await self.redis.zrange(name, 0, -1, withscores=True)
        return await self.redis.get(name)

    async def due(self) -> dict[str, float]:
        """Seconds from now until each record is overdue."""
        now = await self.now()
        members = await self.redis.zrange(self.keys.due, 0, -1, withscores=True)
        return {member.decode(): (score - now) / 1000 for member, score in members}

    async def overdue(self, kind: RecordKind, record_id: str) -> None:
        """Its time has come."""
        await self.redis.zadd(self.keys.due, {f"{kind}:{record_id}": await self.now() - 1}, xx=True)

    async def queued(self) -> list[str]:
        """Wake-ups, and that each has its job: anything else would stay in arq's queue for nothing."""
        waiting = [raw.decode() for raw in await self.redis.zrange(self.keys.queue, 0, -1)]
        jobs = sorted([key.decode().removeprefix("arq:job:") async for key in self.redis.scan_iter("arq:job:*")])
        assert sorted(waiting) == jobs
        return waiting

    async def expire(self, lease: Lease) -> None:
        """The lease has run out."""
        await self.redis.delete(self.keys.lease(lease.id))
