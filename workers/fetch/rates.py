"""How often each thing of one platform is asked, in this process.

Our own, not a package's: a bucket here halves for a while, takes over a limit the platform names, and is forgotten when
its thing has long not been asked. A package's bucket has one fixed rate and lives as long as its owner.
"""

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable

from config.contracts.api import Rate

#: Seconds for which a thing is asked half as often after a 429.
TIRED = 10.0
#: Things whose buckets are kept; the ones asked longest ago go first.
KEPT = 1024
#: The second in which a thing takes so many requests, and a tenth: they do not all travel equally fast.
SPAN = 1.1

Now = Callable[[], float]
Sleep = Callable[[float], Awaitable[object]]


class Rates:
    """The limits of one platform: one of all things together, one of each thing."""

    def __init__(
        self,
        in_all: float = math.inf,
        *,
        kept: int = KEPT,
        now: Now = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`in_all`: requests a second. `now`: seconds."""
        self._kept, self._now, self._sleep = kept, now, sleep
        self._in_all = _Bucket(in_all, now, sleep)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    @property
    def things(self) -> int:
        """How many have a bucket."""
        return len(self._buckets)

    async def turn(self, rate: Rate) -> None:
        """Wait until one more request may go, first come, first served. Who is cancelled while waiting for
        its thing has taken nothing."""
        await self._bucket(rate).turn()
        await self._in_all.turn()

    def refused(self, rate: Rate) -> None:
        """The platform said 429."""
        self._bucket(rate).tire()

    def told(self, rate: Rate, per_second: float) -> None:
        """The platform named the limit it applies; it counts if it is lower than the one we know."""
        self._bucket(rate).limit = min(rate.per_second, max(per_second, 1.0))

    def _bucket(self, rate: Rate) -> "_Bucket":
        bucket = self._buckets.get(rate.resource)
        if bucket is None:
            self._make_room()
            bucket = self._buckets[rate.resource] = _Bucket(rate.per_second, self._now, self._sleep)
        self._buckets.move_to_end(rate.resource)
        return bucket

    def _make_room(self) -> None:
        """A bucket somebody stands at stays: there may be more than `kept` while that many requests wait."""
        while len(self._buckets) >= self._kept:
            idle = next((name for name, bucket in self._buckets.items() if not bucket.busy), None)
            if idle is None:
                return
            del self._buckets[idle]


class _Bucket:
    """So many requests in each span, all at once if somebody likes: whoever stays below the limit never waits."""

    def __init__(self, limit: float, now: Now, sleep: Sleep) -> None:
        self.limit = limit
        self._now, self._sleep = now, sleep
        self._queue = asyncio.Lock()
        #: when the requests of the last span went
        self._went: deque[float] = deque()
        self._tired_until = -math.inf

    @property
    def busy(self) -> bool:
        return self._queue.locked()

    async def turn(self) -> None:
        """The lock is the queue: its waiters come in order, and only the first of them sleeps."""
        async with self._queue:
            while (wait := self._wait()) > 0:
                await self._sleep(wait)
            if math.isfinite(self.limit):
                self._went.append(self._now())

    def tire(self) -> None:
        self._tired_until = self._now() + TIRED

    def _wait(self) -> float:
        """Seconds until the span holds fewer than it may."""
        now = self._now()
        while self._went and self._went[0] <= now - SPAN:
            self._went.popleft()
        if not self._went:
            return 0.0
        pace = self.limit / 2 if now < self._tired_until else self.limit
        over = len(self._went) - max(math.floor(pace), 1)
        return self._went[over] + SPAN - now if over >= 0 else 0.0
