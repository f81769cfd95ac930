"""Forgets what ended long ago, so that the ledger does not grow for ever. Runs in every worker, but of all workers one
at a time.

A turn takes steps of a millisecond or two, with pauses in between, until the pass is through or the turn has lasted
long enough; then the next turn goes on where it stopped. So nobody is held up by it, and it still keeps pace with some
hundred deliveries a second.
"""

import asyncio
from collections import Counter
from typing import Literal

import structlog
from redis.exceptions import RedisError

from config.routes import RouteTable
from workers.ledger.forgetting import STEP, Forgetting, Lifetimes, lifetimes
from workers.ledger.ledger import Ledger

log = structlog.get_logger("runrelay.janitor")

#: Seconds between the beginnings of two turns, and after which one takes no further step.
EVERY, LONGEST = 300.0, 30.0
#: Seconds between two steps: others have their turn at Redis.
PAUSE = 0.02
#: Seconds between two questions whose turn it is.
ASK = 30.0


async def tidy_forever(ledger: Ledger, table: RouteTable) -> None:
    """Until cancelled. Redis being away is waited out."""
    janitor = Janitor(ledger, lifetimes(table))
    while True:
        try:
            await janitor.turn()
        except (RedisError, OSError) as exc:
            log.warning("janitor.redis_away", error=type(exc).__name__)
        except Exception:
            log.exception("janitor.broke")
        await asyncio.sleep(ASK)


class Janitor:
    """Seconds as above; `most`: records of one step."""

    def __init__(
        self, ledger: Ledger, keep: Lifetimes, *, every: float = EVERY, longest: float = LONGEST, most: int = STEP
    ) -> None:
        self._redis, self._key = ledger.redis, ledger.keys.tidied
        self._forgetting = Forgetting(ledger.redis, ledger.keys)
        self._keep, self._every, self._longest, self._most = keep, every, longest, most
        self._end = 0.0

    async def turn(self) -> Counter[str]:
        """Forget, if it is time and no other worker does. Returns how many of what were forgotten."""
        done: Counter[str] = Counter()
        if await self._redis.set(self._key, 1, nx=True, px=round(self._every * 1000)):
            self._end = asyncio.get_running_loop().time() + self._longest
            try:
                await self._tidy(done)
            finally:
                _tell(done)
        return done

    async def _tidy(self, done: Counter[str]) -> None:
        """An event goes after its deliveries, and a route's document after all that were planned with it."""
        if await self._passed("dl", done) and await self._passed("ev", done):
            while forgotten := await self._forgetting.documents(self._most):
                done["documents"] += forgotten
                if not await self._more():
                    break

    async def _passed(self, kind: Literal["dl", "ev"], done: Counter[str]) -> bool:
        """Go on with a pass. False: there is no time for its end."""
        name = "deliveries" if kind == "dl" else "events"
        while True:
            step = await self._forgetting.step(kind, self._keep, self._most)
            done[name] += step.forgotten
            done["odd"] += step.odd
            if step.through:
                return True
            if not await self._more():
                return False

    async def _more(self) -> bool:
        """Whether there is time for another step, after a pause."""
        await asyncio.sleep(PAUSE)
        return asyncio.get_running_loop().time() < self._end


def _tell(done: Counter[str]) -> None:
    if odd := done["odd"]:
        log.warning("janitor.odd", records=odd, hint="nobody can read them, so they stay: were they written by hand?")
    if forgotten := {what: number for what, number in done.items() if number and what != "odd"}:
        log.info("janitor.forgot", **forgotten)
