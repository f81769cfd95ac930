"""Doing many things one after another, no faster than somebody said."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

from config.units import PerTime


class Pace:
    """Turns that are spread evenly; the first one is at once."""

    def __init__(
        self,
        rate: PerTime,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`now`: seconds."""
        self._gap = rate.seconds / rate.many
        self._now, self._sleep = now, sleep
        self._next = -math.inf

    async def turn(self) -> None:
        """Wait for the next one. Who comes late does not catch up."""
        now = self._now()
        self._next = max(self._next, now)
        await self._sleep(self._next - now)
        self._next += self._gap
