"""dlt, killed at every moment: each load is a process of its own, so this takes a minute or two."""

from pathlib import Path
from typing import Any

import pytest

from tests.workers.sinks.test_dlt import Warehouse, into
from workers.sinks import dlt
from workers.testing.killed import KilledContract


class TestDltKilled(KilledContract):
    module = dlt
    options = into()

    @pytest.fixture
    def far_side(self, tmp_path: Path) -> Warehouse:
        return Warehouse(tmp_path / "warehouse.duckdb")

    @pytest.fixture
    def settings(self, far_side: Warehouse) -> dict[str, Any]:
        return {"destination": "duckdb", "dataset": "scrapes", "credentials": str(far_side.path)}
