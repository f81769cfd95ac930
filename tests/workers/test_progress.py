"""When a delivery's turn is over."""

import pytest

from workers.progress import CHECKPOINTS, Slice, SliceOver


async def test_where_slots_are_scarce_a_turn_ends_after_some_checkpoints() -> None:
    turn = Slice(100, stopping=lambda: False, crowded=lambda: True)
    for _ in range(CHECKPOINTS - 1):
        turn.spend()
    with pytest.raises(SliceOver):
        turn.spend()


async def test_where_nobody_waits_it_goes_on_until_somebody_does() -> None:
    waiting = False
    turn = Slice(100, stopping=lambda: False, crowded=lambda: waiting)
    for _ in range(3 * CHECKPOINTS):
        turn.spend()
    waiting = True
    with pytest.raises(SliceOver):
        turn.spend()


async def test_time_and_the_end_of_the_process_end_it_in_any_case() -> None:
    with pytest.raises(SliceOver):
        Slice(0, stopping=lambda: False, crowded=lambda: False).spend()
    with pytest.raises(SliceOver):
        Slice(100, stopping=lambda: True, crowded=lambda: False).spend()
