"""How long a step of a delivery may take."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import pytest

from config.contracts.errors import Transient
from workers.delivering import Turn

Publishing = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def turn() -> Any:
    """One whose steps may take a tenth of a second, and publishing a minute."""
    turn = Turn.__new__(Turn)
    settings = SimpleNamespace(slice_seconds=0.05, job_timeout=0.15, publish_timeout=60.0)
    vars(turn)["runtime"] = SimpleNamespace(settings=settings)
    return turn


async def test_after_publishing_a_step_that_hangs_ends_as_soon_as_any_other(turn: Any) -> None:
    async def ship(publishing: Publishing) -> None:
        with publishing():
            await asyncio.sleep(0.3)
        await asyncio.sleep(3600)

    turn._ship = ship
    async with asyncio.timeout(30):
        with pytest.raises(Transient, match="one step took longer than 0 s"):
            await turn._ship_in_time()


async def test_what_is_published_in_time_is_no_trouble(turn: Any) -> None:
    async def ship(publishing: Publishing) -> None:
        for _ in range(2):
            with publishing():
                await asyncio.sleep(0.2)

    turn._ship = ship
    await turn._ship_in_time()
