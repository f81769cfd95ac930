"""Everything a ledger keeps about some records, read at once, and a hand on its clock."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from redis.asyncio import Redis

from config.contracts.delivery import Checkpoint
from config.keys import Keys
from tests.workers.ledger.model import Record


class Seen(NamedTuple):
    """What lies in Redis. `fields`: state, newest token, crashes, attempt and offset of each record; `jobs`: what arq
    keeps for its wake-ups; `standing`: in any line."""

    due: set[str]
    dead: set[str]
    wake_ups: list[str]
    jobs: list[str]
    leases: dict[str, int]
    standing: set[str]
    fields: dict[str, tuple[str, int, int, int, int]]
    seqs: dict[str, int]


async def look(redis: Redis, keys: Keys, records: Sequence[Record]) -> Seen:
    """In two round trips."""
    ask = redis.pipeline(transaction=False)
    for key in (keys.due, keys.dead, keys.queue):
        ask.zrange(key, 0, -1)
    for pattern in ("arq:job:*", "rr:lease:*", "rr:line:*"):
        ask.keys(pattern)
    for record in records:
        ask.hmget(keys.record(record.kind, record.id), ["state", "fence", "crashes", "attempt", "seq", "checkpoint"])
    due, dead, wake_ups, jobs, leases, lines, *found = await ask.execute()
    for key in leases:
        ask.get(key)
    for key in lines:
        ask.zrange(key, 0, -1)
    rest = await ask.execute()
    return Seen(
        due=set(_words(due)),
        dead=set(_words(dead)),
        wake_ups=_words(wake_ups),
        jobs=_words(jobs, "arq:job:"),
        leases=dict(zip(_words(leases, "rr:lease:"), map(int, rest), strict=False)),
        standing={word for line in rest[len(leases) :] for word in _words(line)},
        fields={record.member: _fields(*one) for record, one in zip(records, found, strict=True)},
        seqs={record.member: int(one[4]) for record, one in zip(records, found, strict=True)},
    )


def _words(raw: Sequence[bytes], prefix: str = "") -> list[str]:
    return [each.decode().removeprefix(prefix) for each in raw]


def _fields(state: bytes, *rest: bytes | None) -> tuple[str, int, int, int, int]:
    token, crashes, attempt, _, checkpoint = rest
    offset = msgspec.json.decode(checkpoint, type=Checkpoint).offset if checkpoint else 0
    return state.decode(), int(token or 0), int(crashes or 0), int(attempt or 0), offset


async def turn_forward(redis: Redis, keys: Keys, ms: int) -> None:
    """Every moment the ledger waits for is nearer by so much. Leases are not: they run out by themselves."""
    ask = redis.pipeline(transaction=False)
    ask.keys("rr:lane:*")
    ask.keys("rr:line:*")
    names = [keys.due, *(name for found in await ask.execute() for name in _words(found))]
    for name in names:
        ask.zrange(name, 0, -1)
    for name, members in zip(names, await ask.execute(), strict=True):
        for member in members:
            ask.zincrby(name, -ms, member)
    await ask.execute()
