"""How things stand, from one look: bounded work, whatever Redis holds, and nothing that blocks it.

What is open is counted exactly; who it is, is asked of at most `most` records from either end of `due`: the most
overdue, and those that wait longest for their next turn, among which the oldest of a long backlog are.
"""

from collections import Counter
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from config.contracts.delivery import DeliveryState
from config.contracts.reasons import PAUSES_SOURCE
from config.keys import Keys, RecordKind
from config.route import GATE
from workers.ledger.holds import Hold, queues

#: Records looked at from each end of a list.
MOST = 250
#: ms after which a worker that has not signed on again counts as gone.
WORKER_MS = 45_000
_FIELDS = ["state", "at", "ended", "reason", "source", "delivery", "after"]
_PARTS = {"ev": "events", "dl": "deliveries", "af": "deletions"}


class Place(NamedTuple):
    """Where a delivery leads."""

    route: str
    target: str


class Letters(NamedTuple):
    """Dead letters of one reason: how many of those looked at, when the newest died (ms), and its id."""

    reason: str
    number: int
    newest: int
    example: str


class Memory(NamedTuple):
    """Bytes. `limit` is `maxmemory`, or all the memory of Redis' machine without one."""

    used: int
    limit: int

    @property
    def ratio(self) -> float:
        return self.used / self.limit if self.limit else 0.0


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in ms is by Redis' clock.

    Attributes:
        at: when it was looked.
        open, dead: how many records are not final; how many ended dead. Exact.
        looked: how many of the open ones the rest is about.
        states: of these, how many by kind (`events`, `deliveries`, `deletions`) and state.
        oldest_event: birth of the oldest event that is not planned yet; None without one.
        oldest: the same of deliveries, by where they lead; of those that wait for nobody's word.
        letters: of the newest dead letters, the most frequent reason first.
        delivered: route → end of its last delivery, among the newest deliveries.
        paused: what keeps work waiting, though it could go.
        wanted: what waits for a worker's slot, or for a place in its lane, or holds one.
        workers: who signed on lately.
        memory: None if Redis does not tell.
    """

    at: int
    open: int
    dead: int
    looked: int
    states: dict[str, dict[str, int]]
    oldest_event: int | None
    oldest: dict[Place, int]
    paused: list[Hold]
    letters: list[Letters]
    delivered: dict[str, int]
    wanted: int
    workers: list[str]
    memory: Memory | None


class _Led(msgspec.Struct):
    """What a delivery, or what comes after one, says of where it belongs."""

    source: str
    route: str = ""
    target: str = ""


class _Line(NamedTuple):
    """One record, as far as anybody looks."""

    kind: str
    id: str
    state: str
    at: int
    ended: int
    reason: str
    source: str
    place: Place


async def look(redis: Redis, keys: Keys, most: int = MOST) -> Standing:
    """Five round trips, each of short commands. Raises RedisError, OSError."""
    ask = redis.pipeline(transaction=False)
    ask.time()
    ask.zcard(keys.due)
    ask.zrange(keys.due, 0, most - 1)
    ask.zrevrange(keys.due, 0, most - 1)
    ask.zcard(keys.dead)
    ask.zrevrange(keys.dead, 0, most - 1)
    ask.zrevrange(keys.deliveries, 0, most - 1)
    ask.zcard(keys.queue)
    ask.zrevrange(keys.workers, 0, most - 1, withscores=True)
    time, waiting, first, last, dead, letters, newest, wanted, workers = await ask.execute()
    now = time[0] * 1000 + time[1] // 1000
    held = await queues(redis, keys, now)
    groups = (dict.fromkeys([*first, *last]), letters, [b"dl:" + each for each in newest])
    due, died, recent = await _lines(redis, keys, [[raw.decode() for raw in group] for group in groups])
    return Standing(
        at=now,
        open=waiting,
        dead=dead,
        looked=len(due),
        states=_states(due),
        oldest_event=min((one.at for one in due if one.kind == "ev"), default=None),
        oldest=_earliest(one for one in due if one.kind == "dl" and one.state != DeliveryState.QUARANTINED),
        paused=_paused(held.holds, due),
        letters=_letters(died),
        delivered=_delivered(recent),
        wanted=wanted + held.crowd,
        workers=sorted(name.decode() for name, until in workers if until > now),
        memory=await _memory(redis),
    )


async def sign_on(redis: Redis, keys: Keys, worker: str, now: int, places: int) -> None:
    """This worker is alive, for WORKER_MS from `now` (ms by Redis' clock); whoever has been silent is forgotten.

    places: what it adds to the breadth of each lane.
    """
    tell = redis.pipeline(transaction=False)
    tell.zadd(keys.workers, {worker: now + WORKER_MS})
    tell.zremrangebyscore(keys.workers, "-inf", now)
    tell.zcard(keys.workers)
    *_, workers = await tell.execute()
    await redis.set(keys.breadth, workers * places)


async def sign_off(redis: Redis, keys: Keys, worker: str) -> None:
    await redis.zrem(keys.workers, worker)


async def _lines(redis: Redis, keys: Keys, groups: Sequence[Sequence[str]]) -> list[list[_Line]]:
    """What is still there of each group of `<kind>:<id>`."""
    ask = redis.pipeline(transaction=False)
    for member in (member for group in groups for member in group):
        kind, _, record_id = member.partition(":")
        ask.hmget(keys.record(cast("RecordKind", kind), record_id), _FIELDS)
    answers = iter(await ask.execute())
    found = [[(member, next(answers)) for member in group] for group in groups]
    return [[_line(member, fields) for member, fields in group if fields[0]] for group in found]


def _line(member: str, fields: Sequence[bytes | None]) -> _Line:
    state, at, ended, reason, source, delivery, after = fields
    led = _led(delivery or after or b"", _word(source))
    kind, _, record_id = member.partition(":")
    place = Place(led.route, led.target)
    return _Line(kind, record_id, _word(state), int(at or 0), int(ended or 0), _word(reason), led.source, place)


def _led(written: bytes, source: str) -> _Led:
    with suppress(msgspec.MsgspecError):  # an event, or a record nobody can read: one look must not fail for it
        return msgspec.json.decode(written, type=_Led)
    return _Led(source)


def _word(raw: bytes | None) -> str:
    return (raw or b"").decode(errors="replace")


def _states(lines: Iterable[_Line]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for one in lines:
        found.setdefault(_PARTS.get(one.kind, one.kind), Counter())[one.state] += 1
    return {part: dict(counts) for part, counts in found.items()}


def _earliest(lines: Iterable[_Line]) -> dict[Place, int]:
    found: dict[Place, int] = {}
    for one in lines:
        found[one.place] = min(one.at, found.get(one.place, one.at))
    return found


def _paused(holds: Sequence[Hold], lines: Iterable[_Line]) -> list[Hold]:
    """What keeps work waiting; and what refused a single record, which asks again by itself."""
    found = {(one.kind, one.name): one for one in holds}
    alone: dict[tuple[str, str], Hold] = {}
    for one in lines:
        key = _refused_by(one)
        if key and key not in found:
            had = alone.get(key, Hold(*key, "refused", one.reason, since=one.at))
            alone[key] = had._replace(since=min(had.since, one.at), waiting=had.waiting + 1)
    return [*holds, *sorted(alone.values())]


def _refused_by(one: _Line) -> tuple[str, str] | None:
    """An event has no state of its own for it: its reason tells."""
    if one.reason in PAUSES_SOURCE or (one.kind == "af" and one.state == DeliveryState.PAUSED):
        return "source", one.source
    if one.state == DeliveryState.PAUSED:
        return "target", "/".join(one.place)
    return None


def _letters(lines: Iterable[_Line]) -> list[Letters]:
    """Of lines that come the newest first."""
    found: dict[str, Letters] = {}
    for one in lines:
        had = found.get(one.reason, Letters(one.reason, 0, one.ended, one.id))
        found[one.reason] = had._replace(number=had.number + 1)
    return sorted(found.values(), key=lambda each: -each.number)


def _delivered(lines: Iterable[_Line]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in lines:
        if one.state in {DeliveryState.DELIVERED, DeliveryState.PARTIAL} and one.place.target != GATE:
            found[one.place.route] = max(one.ended, found.get(one.place.route, 0))
    return found


async def _memory(redis: Redis) -> Memory | None:
    with suppress(ResponseError):  # somebody else runs it, and does not tell
        told = await cast("Awaitable[dict[str, Any]]", redis.info("memory"))
        limit = told.get("maxmemory") or told.get("total_system_memory")
        return Memory(int(told.get("used_memory", 0)), int(limit or 0))
    return None
