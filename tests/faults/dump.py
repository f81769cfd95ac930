"""Writes what the ledger holds at the end into the history, so that the checker needs no Redis."""

import asyncio

from redis.asyncio import Redis

from config.keys import Keys
from tests.faults.history import History
from workers.ledger.ledger import Ledger

_RECORDS = ("rr:ev:", "rr:dl:")
#: One for each event, run and record: nothing to look at.
_MANY = ("rr:seen:", "rr:run:", "rr:cfg:", "rr:af:")
_TOGETHER = 500


async def dump(redis: Redis, history: History) -> None:
    """Events, deliveries, and every other key with its time to live in ms (-1: none)."""
    ledger = Ledger(redis, Keys("rr"))
    names = sorted({name.decode() async for name in redis.scan_iter(count=1000)})
    events = [name.removeprefix("rr:ev:") for name in names if name.startswith("rr:ev:")]
    for begin in range(0, len(events), _TOGETHER):
        for event in await asyncio.gather(*map(ledger.event, events[begin : begin + _TOGETHER])):
            if event:
                history.tell("event", id=event.id, run=event.run_id, state=event.state, reason=event.reason)
    deliveries = [name.removeprefix("rr:dl:") for name in names if name.startswith("rr:dl:")]
    for begin in range(0, len(deliveries), _TOGETHER):
        for record in await asyncio.gather(*map(ledger.delivery, deliveries[begin : begin + _TOGETHER])):
            if record:
                one = record.delivery
                facts = {"id": one.id, "run": one.run_id, "life": one.life, "target": one.target, "sink": one.sink}
                history.tell("delivery", **facts, state=record.state, reason=record.reason, detail=record.detail)
    for name in names:
        if not name.startswith((*_RECORDS, *_MANY)):
            history.tell("key", name=name, ttl=await redis.pttl(name))
