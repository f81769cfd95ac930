"""What every source promises, held against ittybit's and the stand-in for that platform."""

from collections.abc import AsyncIterator

import pytest

from tests.sources.ittybit_place import IttybitPlace, ittybit_place
from workers.testing.source_contract import SourceContract


class TestIttybit(SourceContract):
    run_id = "run_1"
    other_id = "run_2"
    ended = "run.succeeded"
    going_on = "run.updated"
    under_way = "processing"
    failed = "failed"
    signs = True
    tolerance = 300.0

    @pytest.fixture
    async def place(self) -> AsyncIterator[IttybitPlace]:
        async with ittybit_place() as place:
            yield place
