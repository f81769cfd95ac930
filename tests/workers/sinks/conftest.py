"""The far side of the file sinks; the other sinks have their own."""

from pathlib import Path

import pytest

from tests.servers import nats_server, s3_server
from tests.workers.sinks.folder import Folder, opened
from workers.testing.contract import Connect

__all__ = ["nats_server", "s3_server"]


@pytest.fixture
def far_side(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "results")


@pytest.fixture
def connect(far_side: Folder, tmp_path: Path) -> Connect:
    return lambda: opened(far_side.base, tmp_path)
