"""Whose data the platform is about to delete: one look, bounded like `workers.ledger.standing`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
from redis.asyncio import Redis

from config.contracts.delivery import DeliveryState
from config.contracts.errors import WorkError
from config.contracts.source import Perishable, Source
from config.keys import Keys

#: Deliveries looked at from each end of those that are open, and of those in quarantine; twice as many of the newest
#: dead letters.
MOST = 250
#: Seconds before it is deleted from which on data counts as expiring.
SOON = 86400.0
_QUARANTINED = DeliveryState.QUARANTINED.value.encode()


class Expiring(NamedTuple):
    """A delivery, open or dead, whose run's data may be gone soon.

    Attributes:
        expires: Unix seconds.
        held: whether it is in quarantine.
    """

    expires: float
    route: str
    target: str
    run_id: str
    id: str
    held: bool = False


class _Led(msgspec.Struct):
    """What a delivery says of whose data it needs."""

    id: str
    source: str
    run_id: str
    life: str
    route: str
    target: str


def expiry(sources: Mapping[str, Source], source: str, life: str) -> float | None:
    """When the data of a run that ended at `life` may be gone, in Unix seconds; None if nobody can tell."""
    found = sources.get(source)
    if not isinstance(found, Perishable):
        return None
    with suppress(WorkError):  # a life that this source cannot read
        return found.expires(life)
    return None


async def expiring(redis: Redis, keys: Keys, sources: Mapping[str, Source], most: int = MOST) -> list[Expiring]:
    """The soonest first. What is gone already is not among them: nobody can save it.

    Two round trips. Of more than twice `most` open records only the most overdue are looked at and those that wait
    longest for their turn, of as many dead ones only the newest, of those in quarantine the oldest. Raises RedisError,
    OSError.
    """
    ask = redis.pipeline(transaction=False)
    ask.time()
    ask.zrange(keys.due, 0, most - 1)
    ask.zrevrange(keys.due, 0, most - 1)
    ask.zrevrange(keys.dead, 0, 2 * most - 1)
    ask.zrange(keys.quarantined, 0, most - 1)
    (seconds, _), *groups, held = await ask.execute()
    members = dict.fromkeys(raw.decode() for group in groups for raw in group)
    ids = list(dict.fromkeys([*(one[3:] for one in members if one.startswith("dl:")), *(raw.decode() for raw in held)]))
    tell = redis.pipeline(transaction=False)
    for each in ids:
        tell.hmget(keys.record("dl", each), ["delivery", "state"])
    return sorted(_soon(await tell.execute() if ids else [], sources, float(seconds)))


def by_route(found: Iterable[Expiring], routes: Iterable[str], other: str) -> dict[str, int]:
    """How many of each route; those that `routes` does not name are `other`."""
    counts = Counter(dict.fromkeys(routes, 0))
    for one in found:
        counts[one.route if one.route in counts else other] += 1
    return dict(counts)


def _soon(records: Iterable[Sequence[bytes | None]], sources: Mapping[str, Source], now: float) -> Iterator[Expiring]:
    perishable = {name: source for name, source in sources.items() if isinstance(source, Perishable)}
    for written, state in records:
        with suppress(msgspec.MsgspecError):  # a record nobody can read, or none any more, must not spoil the look
            one = msgspec.json.decode(written or b"", type=_Led)
            expires = expiry(perishable, one.source, one.life)
            if expires is not None and now < expires <= now + SOON:
                yield Expiring(expires, one.route, one.target, one.run_id, one.id, state == _QUARANTINED)
