"""Wakes what is overdue: waits that are over, wake-ups that got lost, work whose holder died. Runs in every worker."""

import asyncio

import structlog
from redis.exceptions import RedisError

from workers.ledger.ledger import Ledger

log = structlog.get_logger("runrelay.sweeper")

#: Seconds between two looks, and most records one look wakes.
PAUSE = 0.5
MOST = 200


async def sweep_forever(ledger: Ledger, pause: float = PAUSE) -> None:
    """Until cancelled. Redis being away is waited out."""
    while True:
        try:
            swept = await ledger.sweep(MOST)
        except (RedisError, OSError) as exc:
            swept = 0
            log.warning("sweeper.redis_away", error=type(exc).__name__)
        await asyncio.sleep(0 if swept == MOST else pause)
