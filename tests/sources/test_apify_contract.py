"""What every source promises, held against Apify's."""

from collections.abc import AsyncIterator

import pytest

from tests.sources.apify_place import ApifyPlace, apify_place
from workers.testing.source_contract import SourceContract


class TestApify(SourceContract):
    run_id = "HG7ML7M8z78YcAPEB"
    other_id = "FQ3YVgX2xWzT5bcdE"
    ended = "ACTOR.RUN.SUCCEEDED"
    going_on = "ACTOR.RUN.CREATED"
    under_way = "RUNNING"
    failed = "TIMED-OUT"

    @pytest.fixture
    async def place(self) -> AsyncIterator[ApifyPlace]:
        async with apify_place() as place:
            yield place
