"""Why a record stands in line."""

from collections.abc import Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from config.keys import Keys, RecordKind
from workers.ledger.holds import Hold, queues

#: Places of a lane before any worker has signed on, as in `config/lua/lanes.lua`.
BREADTH = 10


class Wait(NamedTuple):
    """One record's place in a line.

    Attributes:
        hold: what keeps the whole line waiting; None if each of them has its turn.
        until: without a hold, ms by Redis' clock of its next try; 0: it waits for a place.
        places: how many the lane has.
    """

    hold: Hold | None
    until: int
    places: int


async def waits(redis: Redis, keys: Keys, members: Sequence[tuple[RecordKind, str]]) -> dict[str, Wait]:
    """By id, those of the records that stand in a line. Five round trips. Raises RedisError, OSError."""
    seconds, micros = await redis.time()
    now = int(seconds) * 1000 + int(micros) // 1000
    found = await _lines(redis, keys, members)
    if not found:
        return {}
    places = int(await redis.get(keys.breadth) or BREADTH)
    holds = {_line(one): one for one in (await queues(redis, keys, now)).holds}
    return {
        record_id: Wait(holds.get(line), at if at > now and line not in holds else 0, places)
        for record_id, (line, at) in found.items()
    }


async def _lines(redis: Redis, keys: Keys, members: Sequence[tuple[RecordKind, str]]) -> dict[str, tuple[str, int]]:
    """The line that each stands in, and the ms it may go at. The name on a record may be of one that it has left."""
    ask = redis.pipeline(transaction=False)
    for kind, record_id in members:
        ask.hget(keys.record(kind, record_id), "line")
    named = [raw.decode() if raw else "" for raw in (await ask.execute() if members else [])]
    for (kind, record_id), line in zip(members, named, strict=True):
        ask.zscore(keys.line(line), f"{kind}:{record_id}")
    scores = await ask.execute() if members else []
    return {
        record_id: (line, int(score))
        for (_, record_id), line, score in zip(members, named, scores, strict=True)
        if score is not None
    }


def _line(hold: Hold) -> str:
    """The line that a hold fills."""
    return f"{'paused:' if hold.why == 'held' else ''}{hold.kind}:{hold.name}"
