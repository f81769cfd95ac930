"""Signs that something needs a person, beyond those that `workers.ledger.standing` sees: what died or was held back
since a moment, runs that no webhook announced, and routes files that cannot be used."""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, cast

import msgspec
from redis.asyncio import Redis

from config.keys import Keys, RecordKind

#: Dead letters, or deliveries in quarantine, that are looked at in one go, the newest.
MOST = 250
#: ms for which a worker's word that it cannot use the routes file holds.
MISREAD_MS = 90_000
_FIELDS = ["reason", "source", "delivery", "after"]


class Loss(NamedTuple):
    """Where something died or is held back, and why. `route` and `target` are empty for events and for what comes after
    a run."""

    reason: str
    source: str
    route: str
    target: str


class Toll(NamedTuple):
    """How many there are, and of the newest of them how many of each kind, with the newest id of each."""

    number: int
    groups: Mapping[Loss, int]
    examples: Mapping[Loss, str]


class Missed(NamedTuple):
    """Runs of a source that no webhook announced: how many ever, and the newest of them."""

    number: int
    example: str


class _Led(msgspec.Struct):
    source: str
    route: str = ""
    target: str = ""


async def died(redis: Redis, keys: Keys, after: int, before: int, most: int = MOST) -> Toll:
    """What died between two moments (ms by Redis' clock), neither of them included. What died before now, by that
    clock, is all there: nothing is added to it later. Two round trips. Raises RedisError, OSError."""
    return await _between(redis, keys, keys.dead, after, before, most)


async def held_back(redis: Redis, keys: Keys, after: int, before: int, most: int = MOST) -> Toll:
    """The same of what went into quarantine and is there still."""
    return await _between(redis, keys, keys.quarantined, after, before, most)


async def _between(redis: Redis, keys: Keys, index: str, after: int, before: int, most: int) -> Toll:
    """An index has `<kind>:<id>`, or ids of deliveries, by ms."""
    ask = redis.pipeline(transaction=False)
    ask.zcount(index, f"({after}", f"({before}")
    ask.zrevrangebyscore(index, f"({before}", f"({after}", start=0, num=most)
    count, members = await ask.execute()
    named = [raw.decode().rpartition(":") for raw in members]
    for kind, _, record_id in named:
        ask.hmget(keys.record(cast("RecordKind", kind or "dl"), record_id), _FIELDS)
    fields = await ask.execute() if named else []
    return _toll(count, zip((record_id for *_, record_id in named), fields, strict=True))


def _toll(number: int, found: Iterable[tuple[str, Sequence[bytes | None]]]) -> Toll:
    groups: dict[Loss, int] = {}
    examples: dict[Loss, str] = {}
    for record_id, fields in found:
        one = _loss(fields)
        groups[one] = groups.get(one, 0) + 1
        examples.setdefault(one, record_id)
    return Toll(number, groups, examples)


def _loss(fields: Sequence[bytes | None]) -> Loss:
    reason, source, delivery, after = fields
    led = _Led((source or b"").decode(errors="replace"))
    with suppress(msgspec.MsgspecError):  # an event, or a record nobody can read: it died all the same
        led = msgspec.json.decode(delivery or after or b"", type=_Led)
    return Loss((reason or b"").decode(errors="replace"), led.source, led.route, led.target)


async def note_missed(redis: Redis, keys: Keys, source: str, run_id: str) -> None:
    """A webhook should have announced the run, and none did."""
    note = redis.pipeline()
    note.hincrby(keys.missed, source, 1)
    note.hset(keys.missed, f"{source}:run", run_id)
    await note.execute()


async def missed(redis: Redis, keys: Keys) -> dict[str, Missed]:
    """By source."""
    told = await cast("Awaitable[Mapping[bytes, bytes]]", redis.hgetall(keys.missed))
    return {
        name.decode(): Missed(int(count), told.get(name + b":run", b"").decode())
        for name, count in told.items()
        if b":" not in name
    }


async def note_misread(redis: Redis, keys: Keys, problem: str, now: int) -> None:
    """This worker cannot use the routes file, and goes on with what it has. To be said again before MISREAD_MS."""
    note: Any = redis.pipeline()
    note.zadd(keys.misread, {problem: now + MISREAD_MS})
    note.zremrangebyscore(keys.misread, "-inf", now)
    await note.execute()


async def misread(redis: Redis, keys: Keys, now: int) -> list[str]:
    """What workers say of the routes file."""
    return [raw.decode(errors="replace") for raw in await redis.zrangebyscore(keys.misread, f"({now}", "+inf")]
