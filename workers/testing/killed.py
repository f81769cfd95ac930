"""What a sink promises whose word is "exactly once": a process may die at any moment, and nothing shows it.

Inherit `KilledContract` beside `SinkContract` and give it a fixture `settings`: the options of the sink's `Config`, in
JSON types, so that another process can connect to the same far side.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from workers.testing.contract import FarSide
from workers.testing.dying import BATCHES, MOMENTS


class KilledContract:
    """`module` and `options` as in `SinkContract`."""

    module: ModuleType
    options: BaseModel

    async def test_killed_at_every_moment_it_ends_as_if_nothing_had_happened(
        self, settings: dict[str, Any], far_side: FarSide, tmp_path: Path
    ) -> None:
        options = self.options.model_dump(mode="json", exclude_unset=True)
        await run_dying(self.module.__name__, settings, options, tmp_path / "spool")
        whole = [item for batch in BATCHES for item in batch]
        found = {moment: far_side.items(f"r-{number}") == whole for number, moment in enumerate(MOMENTS)}
        assert found == dict.fromkeys(MOMENTS, True)


async def run_dying(module: str, settings: dict[str, Any], options: dict[str, Any], spool: Path) -> None:
    """One delivery for each moment: its first process is killed then, others go on. Its run is `r-<number>`."""
    spool.mkdir(parents=True, exist_ok=True)
    told = json.dumps({"module": module, "settings": settings, "options": options, "spool": str(spool)})
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workers.testing.dying"), stdin=asyncio.subprocess.PIPE, env={**os.environ}
    )
    await child.communicate(told.encode())
    assert child.returncode == 0
