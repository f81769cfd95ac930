"""What a target was last delivered, item by item, for `only: {change: …}`."""

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from redis.asyncio import Redis

from config.contracts.delivery import Delivery
from config.contracts.sink import Batch
from config.keys import Keys
from config.route import Only

#: Row → what is remembered of it once the target has it.
Notes = Mapping[int, bytes]


class Sifted(NamedTuple):
    """What of a batch is sent, and what is remembered of each of its rows, sent or not."""

    batch: Batch
    notes: Notes


class Changes:
    """The memory of one target, for one delivery. It is only read here: what is to be remembered is written with the
    checkpoint of the delivery that sent it, beside what the target has, and takes its place once all is delivered."""

    def __init__(self, redis: Redis, keys: Keys, delivery: Delivery, only: Only) -> None:
        self._redis, self._only = redis, only
        self._last, self._next = keys.last(delivery.route, delivery.target), keys.next(delivery.id)

    async def finished(self) -> float:
        """When the run finished that the target was delivered last, as Unix seconds; 0.0 before the first."""
        raise NotImplementedError

    async def sift(self, batch: Batch) -> Sifted:
        """Raises Permanent (too_many_keys)."""
        raise NotImplementedError

    async def parts(self, notes: Notes) -> Mapping[str, bytes]:
        """What is written with a checkpoint, by name, for rows that the target has now."""
        raise NotImplementedError

    async def forget(self) -> None:
        """The delivery begins anew: what it has noted so far does not count."""
        await self._redis.unlink(self._next)

    def gone(self, row: int, skip: int) -> AsyncIterator[Batch]:
        """Items for the keys that the run does not have, without the first `skip`; rows are numbered from `row` on.
        None unless they are wanted."""
        raise NotImplementedError

    def rest(self) -> AsyncIterator[Mapping[str, bytes]]:
        """What else the target has, in parts to be written with checkpoints once every row is through."""
        raise NotImplementedError
