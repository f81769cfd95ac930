"""Turns at a pace."""

import pytest

from config.units import per_time
from console.pacing import Pace


class Clock:
    """Time that passes only while somebody sleeps, or when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.mark.parametrize(("rate", "gap"), [("4/s", 0.25), ("2/1m", 30.0)])
async def test_turns_are_spread_evenly_and_who_is_late_does_not_catch_up(rate: str, gap: float) -> None:
    clock = Clock()
    pace = Pace(per_time(rate), now=lambda: clock.now, sleep=clock.sleep)
    for between in (0, gap / 2, 10 * gap, 0):
        await pace.turn()
        clock.now += between
    await pace.turn()
    assert clock.slept == [0, gap, gap / 2, 0, gap]
