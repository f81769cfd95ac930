"""The pace of a sink that has a `rate`: all workers together, one request after the other, evenly."""

import asyncio

from config.contracts.errors import NotYet
from config.contracts.reasons import Reason
from config.units import PerTime
from workers.ledger.ledger import Ledger

#: Seconds a turn waits for its moment; if it is further away, others may use the slot meanwhile.
LONGEST = 20.0


class Pacing:
    """Evenly spaced moments for each sink, so that no stretch of the rate's time ever holds more than its number."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def pace(self, sink: str, rate: PerTime) -> None:
        """Wait for the sink's next moment. Raises NotYet (paced) if it is far away, RedisError, OSError."""
        interval = max(1, round(rate.seconds / rate.many * 1_000_000))
        wait = await self.ledger.run("pace", sink, interval, round(LONGEST * 1000)) / 1000
        if wait < 0:
            raise NotYet(Reason.PACED, f"the rate of {sink} allows no more for now", wait=-wait)
        await asyncio.sleep(wait)
