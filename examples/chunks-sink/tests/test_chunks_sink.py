"""What every sink promises, held against this one. Needs pytest and pytest-asyncio."""

from pathlib import Path
from typing import Any

import chunks_sink
import pytest

from workers.testing.contract import Connect, SinkContract
from workers.testing.killed import KilledContract
from workers.testing.shipments import around


class Folder:
    """The far side, looked at without asking the sink."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def items(self, run: str) -> list[bytes]:
        files = sorted((self.base / run).rglob("*.jsonl"))
        return [item for path in files for item in path.read_bytes().split(b"\n")[:-1]]

    def documents(self, run: str) -> list[bytes]:
        return []


class TestChunks(SinkContract, KilledContract):
    module = chunks_sink
    options = chunks_sink.Target()

    @pytest.fixture
    def far_side(self, tmp_path: Path) -> Folder:
        return Folder(tmp_path / "chunks")

    @pytest.fixture
    def settings(self, far_side: Folder) -> dict[str, Any]:
        return {"folder": str(far_side.base)}

    @pytest.fixture
    def connect(self, settings: dict[str, Any], tmp_path: Path) -> Connect:
        config = chunks_sink.Config.model_validate(settings)
        return lambda: chunks_sink.connect(config, around(tmp_path))

    async def test_takes_documents_as_they_are(self, connect: Connect) -> None:  # type: ignore[override]  # it takes none
        async with connect() as sink:
            with pytest.raises(TypeError):
                await self.send_records(sink)

    async def test_documents_sent_again_are_there_once(self) -> None:  # type: ignore[override]  # it takes none
        assert frozenset({"items"}) == chunks_sink.TAKES
