"""The complete read once more, with ten times as many datasets."""

import pytest
from hypothesis import given, settings

from tests.workers.fetch.left_behind import WAYS, Platform, Way, platforms
from tests.workers.fetch.test_complete_read import EXAMPLES, everything_arrives


@pytest.mark.timeout(900)
@settings(max_examples=10 * EXAMPLES)
@given(platforms(), WAYS)
async def test_everything_a_run_left_arrives_as_it_was_written(platform: Platform, way: Way) -> None:
    await everything_arrives(platform, way)
