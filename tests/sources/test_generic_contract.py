"""What every source promises, held against one that the file describes."""

from collections.abc import AsyncIterator

import pytest

from tests.sources.generic_place import GenericPlace, generic_place
from workers.testing.source_contract import SourceContract


class TestGeneric(SourceContract):
    ended = "job.done"
    going_on = "job.started"
    under_way = "working"
    failed = "stopped"
    signs = True
    tolerance = 120.0

    @pytest.fixture
    async def place(self) -> AsyncIterator[GenericPlace]:
        async with generic_place() as place:
            yield place


class TestGenericWithFilesOfItsOwn(TestGeneric):
    @pytest.fixture
    async def place(self) -> AsyncIterator[GenericPlace]:
        async with generic_place(own_files=True) as place:
            yield place
