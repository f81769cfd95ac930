"""Forgetting what ended long enough ago. What is under way, or was just retried, is never forgotten: each step looks
again, inside its script, at the state and the end of whatever it removes."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from redis.asyncio import Redis

from config.contracts.source import Listing
from config.keys import Keys
from config.queue import SEEN_MS
from config.routes import RouteTable
from config.scripts import script

DAY = 86400.0
#: Seconds a dead letter is kept, and a route's document after its last use; at least.
DEAD, DOCUMENT = 90 * DAY, 30 * DAY
#: Records one step looks at: a millisecond or two of Redis' time.
STEP = 100


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds after its end for which a record is kept, and one that ended dead."""

    ended: float
    dead: float


def lifetimes(table: RouteTable) -> Lifetimes:
    """`history.keep`, but longer than repeats of a webhook come, and than any source looks back: a run that is
    forgotten, and then found once more, would be delivered once more."""
    timings = [source.reconcile for source in table.sources.values() if isinstance(source, Listing)]
    repeats = [SEEN_MS / 1000, *(timing.lookback + DAY for timing in timings if timing)]
    ended = max(table.history_seconds, *repeats)
    return Lifetimes(ended, max(ended, DEAD))


class Step(NamedTuple):
    """What one step did.

    Attributes:
        forgotten: records removed.
        odd: records nobody can read; they stay.
        through: whether the pass has come to its end; the next step begins another one.
    """

    forgotten: int
    odd: int
    through: bool


class Forgetting:
    """Steps of one pass after the other, each a single script. How far a pass has come is remembered in Redis, so it
    does not matter who makes the next step.

    A pass looks at what was born before the shortest lifetime began, the oldest first, and so costs one look at each
    record that goes, and one at each that has to stay although it is as old: dead letters, and what a retry of one
    would lean on. The younger history is never read.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._namespace = keys.namespace
        self._records = redis.register_script(script("workers", "forget"))
        self._documents = redis.register_script(script("workers", "forget_documents"))

    async def step(self, kind: Literal["dl", "ev"], lifetimes: Lifetimes, most: int = STEP) -> Step:
        """Deliveries take what came after their run along; events go once their deliveries are gone."""
        ended, dead = _ms(lifetimes.ended), _ms(lifetimes.dead)
        forgotten, odd, through = await self._records(args=[self._namespace, kind, ended, dead, most])
        return Step(forgotten, odd, bool(through))

    async def documents(self, most: int = STEP) -> int:
        """Forget documents of routes that no delivery refers to; how many."""
        return int(await self._documents(args=[self._namespace, _ms(DOCUMENT), most]))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
