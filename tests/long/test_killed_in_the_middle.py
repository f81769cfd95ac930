"""Workers that are killed (SIGKILL) again and again in the middle of a hundred thousand items. Not part of `make test`:
`make test-long`."""

import json
from pathlib import Path

import pytest

from config.settings import Settings
from tests.end_to_end.killing import Trial, check, killed_on_the_way


def many(sink: str) -> Trial:
    """Three die between a batch and its checkpoint, three more wherever they are."""
    deaths = (sink,) * 3
    return Trial(rows=100_000, batch=1000, deaths=deaths, kills=3, apart=9000, pause=0.15, lease=3000, seconds=300)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("sink", ["file", "http", "sqlite"])
async def test_what_killed_workers_began_others_end(settings: Settings, tmp_path: Path, sink: str) -> None:
    trial = many(sink)
    print(json.dumps(check([sink], await killed_on_the_way(settings, tmp_path, [sink], trial), trial)))
