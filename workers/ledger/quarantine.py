"""Runs that are not as their route expects: which are held, and what people do about each delivery of them: it is let
go, or given up."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
from redis.asyncio import Redis

from config.contracts.delivery import DeliveryState, delivery_id
from config.keys import Keys
from config.route import GATE
from workers.ledger.ledger import Ledger
from workers.ledger.letters import Outcome
from workers.ledger.records import DeliveryRecord

#: Deliveries looked at, the oldest, whose data expires first.
MOST = 250
_PAGE = 50


class Held(NamedTuple):
    """Deliveries in quarantine for one reason: how many of those looked at; of the oldest, when it was held (ms)
    and its id."""

    route: str
    source: str
    reason: str
    count: int  # type: ignore[assignment]  # a tuple's own `count`, which nobody asks here
    oldest: int
    example: str


class _Led(msgspec.Struct):
    """What a delivery says of where it belongs."""

    source: str
    route: str


async def held(redis: Redis, keys: Keys, most: int = MOST) -> list[Held]:
    """Two round trips; the oldest first. Raises RedisError, OSError."""
    found = await redis.zrange(keys.quarantined, 0, most - 1, withscores=True)
    tell = redis.pipeline(transaction=False)
    for raw, _ in found:
        tell.hmget(keys.record("dl", raw.decode()), ["delivery", "reason"])
    return _grouped(found, await tell.execute() if found else [])


def _grouped(found: Iterable[tuple[bytes, float]], records: Iterable[Sequence[bytes | None]]) -> list[Held]:
    groups: dict[tuple[str, str, str], Held] = {}
    for (raw, at), (written, reason) in zip(found, records, strict=True):
        with suppress(msgspec.MsgspecError):  # a record nobody can read, or none any more, must not spoil the look
            one = msgspec.json.decode(written or b"", type=_Led)
            key = (one.route, one.source, (reason or b"").decode())
            had = groups.get(key, Held(*key, 0, int(at), raw.decode()))
            groups[key] = had._replace(count=had.count + 1)
    return list(groups.values())


async def quarantined(ledger: Ledger) -> AsyncIterator[DeliveryRecord]:
    """Everything in quarantine, the oldest first. For reading: what is changed meanwhile shifts the rest."""
    begin = 0
    while ids := await ledger.redis.zrange(ledger.keys.quarantined, begin, begin + _PAGE - 1):
        begin += _PAGE
        for raw in ids:
            one = await ledger.delivery(raw.decode())
            if one and one.state is DeliveryState.QUARANTINED:
                yield one


async def release(ledger: Ledger, record: DeliveryRecord) -> Outcome:
    """Deliver it after all; as many items as it has count as usual from now on."""
    one = record.delivery
    event = await ledger.event(one.event_id)
    usual = ledger.keys.usual(one.route, event.run.actor_id) if event and event.run else ""
    gate = delivery_id(one.source, one.run_id, one.life, one.route, GATE)
    return Outcome((await ledger.run("release", one.id, gate, usual)).decode())


async def discard(ledger: Ledger, record: DeliveryRecord) -> Outcome:
    """Give it up for good."""
    return Outcome((await ledger.run("discard", record.delivery.id)).decode())
