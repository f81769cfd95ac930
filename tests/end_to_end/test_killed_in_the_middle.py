"""Workers that are killed while they deliver. `tests/long` has the same with a hundred thousand items."""

from pathlib import Path

from config.settings import Settings
from tests.end_to_end.killing import TARGETS, Trial, check, killed_on_the_way

SINKS = tuple(TARGETS)
FEW = Trial(rows=5000, batch=100, deaths=SINKS, kills=0, apart=0, pause=0.05, lease=1500, seconds=30)


async def test_what_a_killed_worker_began_another_one_ends(settings: Settings, tmp_path: Path) -> None:
    """Each of three workers dies when one of the sinks has a batch that the ledger does not know of."""
    check(SINKS, await killed_on_the_way(settings, tmp_path, SINKS, FEW), FEW)
