"""The sink in docs/how-to/write-a-sink.md keeps the contract, as the page says."""

import re
from pathlib import Path
from types import ModuleType

import pytest

from workers.testing.contract import Connect, FarSide, SinkContract
from workers.testing.shipments import around

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "write-a-sink.md"


def example() -> ModuleType:
    code = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)[0]
    module = ModuleType("chunks")
    exec(compile(code, str(PAGE), "exec"), vars(module))
    return module


CHUNKS = example()


class Folder:
    def __init__(self, base: Path) -> None:
        self.base = base

    def items(self, run: str) -> list[bytes]:
        files = sorted((self.base / run).rglob("*.jsonl"))
        return [item for path in files for item in path.read_bytes().split(b"\n")[:-1]]

    def documents(self, run: str) -> list[bytes]:
        return []


class TestHowTo(SinkContract):
    module = CHUNKS
    options = CHUNKS.Target()

    @pytest.fixture
    def far_side(self, tmp_path: Path) -> Folder:
        return Folder(tmp_path / "chunks")

    @pytest.fixture
    def connect(self, far_side: Folder, tmp_path: Path) -> Connect:
        return lambda: CHUNKS.connect(CHUNKS.Config(folder=far_side.base), around(tmp_path))

    async def test_takes_documents_as_they_are(self, connect: Connect, far_side: FarSide) -> None:
        """It takes none, and says so."""
        assert frozenset({"items"}) == CHUNKS.TAKES

    async def test_documents_sent_again_are_there_once(self, connect: Connect, far_side: FarSide) -> None:
        async with connect() as sink:
            with pytest.raises(TypeError):
                await self.send_records(sink)
