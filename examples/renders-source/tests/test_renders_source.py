"""What every source promises, held against this one. Needs pytest and pytest-asyncio."""

from collections.abc import AsyncIterator

import pytest
from farm import Farm, farm

from workers.testing.source_contract import SourceContract


class TestRenders(SourceContract):
    ended = "render.ended"
    going_on = "render.started"
    under_way = "rendering"
    failed = "failed"
    signs = True
    tolerance = 300.0

    @pytest.fixture
    async def place(self) -> AsyncIterator[Farm]:
        async with farm() as place:
            yield place
