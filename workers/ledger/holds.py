"""What keeps work waiting: somebody's word, credentials that were refused, or a far side in trouble."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from redis.asyncio import Redis

from config.contracts.reasons import PAUSES_SOURCE, Reason
from config.keys import Keys

Why = Literal["held", "refused", "failing"]
_REFUSED = frozenset({Reason.TOKEN_REFUSED.value, *(one.value for one in PAUSES_SOURCE)})


class Hold(NamedTuple):
    """Something that nothing goes to, or is read from, now.

    Attributes:
        kind: `source`, `sink` or `target`.
        name: in runrelay.yaml; of a target `route/target`.
        why: `held` by a person; `refused` our credentials; `failing`: it had trouble several times in a row.
        reason, detail: what it said last; empty if a person holds it.
        since: ms by Redis' clock; 0 if a person holds it.
        until: ms; of a person's word, 0: until it is taken back; else when it is tried again.
        waiting: how many stand in its line.
    """

    kind: str
    name: str
    why: Why
    reason: str = ""
    detail: str = ""
    since: int = 0
    until: int = 0
    waiting: int = 0


class Queues(NamedTuple):
    """Every hold, and how many stand in the lines that no hold keeps them in: they wait for a place."""

    holds: list[Hold]
    crowd: int


async def queues(redis: Redis, keys: Keys, now: int) -> Queues:
    """Two round trips. `now`: ms by Redis' clock. Raises RedisError, OSError."""
    ask = redis.pipeline(transaction=False)
    ask.smembers(keys.open)
    ask.hgetall(keys.paused)
    ask.smembers(keys.lines)
    opened, words, lines = await ask.execute()
    said = sorted((name.decode(), int(until)) for name, until in words.items())
    paused = {name: until for name, until in said if until == 0 or until > now}
    circuits, crowd = sorted(name.decode() for name in opened), [name.decode() for name in lines]
    for name in circuits:
        ask.hgetall(keys.circuit(name))
    for name in (*circuits, *(f"paused:{each}" for each in paused)):
        ask.zcard(keys.line(name))
    free = [name for name in crowd if name not in circuits and not name.startswith("paused:")]
    for name in free:
        ask.zcount(keys.line(name), "-inf", now)
    answers = iter(await ask.execute())
    told: list[Mapping[bytes, bytes]] = [next(answers) for _ in circuits]
    waiting: list[int] = [next(answers) for _ in (*circuits, *paused)]
    found = [*map(_failed, circuits, told), *(_held(name, until) for name, until in paused.items())]
    return Queues([one._replace(waiting=count) for one, count in zip(found, waiting, strict=True)], sum(answers))


def _failed(name: str, told: Mapping[bytes, bytes]) -> Hold:
    kind, _, rest = name.partition(":")
    reason = told.get(b"reason", b"").decode(errors="replace")
    return Hold(
        kind,
        rest,
        "refused" if reason in _REFUSED else "failing",
        reason,
        told.get(b"detail", b"").decode(errors="replace"),
        int(told.get(b"opened", 0)),
        int(told.get(b"probe_at", 0)),
    )


def _held(name: str, until: int) -> Hold:
    kind, _, rest = name.partition(":")
    return Hold(kind, rest, "held", until=until)
