"""The file sink under its contracts, once for each format."""

from typing import Any

import pytest

from config.contracts.sink import Rejected
from tests.workers.sinks.folder import Folder
from workers.sinks import file
from workers.testing.contract import ODD, Connect, SinkContract, send
from workers.testing.killed import KilledContract
from workers.testing.shipments import batches


class Killed(SinkContract, KilledContract):
    module = file

    @pytest.fixture
    def settings(self, far_side: Folder) -> dict[str, Any]:
        return {"base": str(far_side.base)}


class TestJsonLines(Killed):
    options = file.Target()


class TestZstd(Killed):
    options = file.Target(format="jsonl.zst")


class TestCsv(Killed):
    options = file.Target(format="csv.gz", columns="json")


class TestParquet(Killed):
    options = file.Target(format="parquet", columns="json")


class TestExcel(Killed):
    options = file.Target(format="xlsx", columns="json")

    async def test_takes_an_item_of_nine_megabytes(self, connect: Connect, far_side: Folder) -> None:  # type: ignore[override]  # a narrower far side
        large = b'{"html":"' + b"x" * 9_000_000 + b'"}'
        async with connect() as sink:
            taken, _ = await send(sink, self.ship(), batches([b"{}", large, b'{"n":1}']))
        why = "a text of 9000011 characters, a cell of Excel holds 32767: write `.csv` or `.parquet`"
        assert far_side.items("r1") == [b"{}", b'{"n":1}']
        assert (taken[0].rows, taken[0].rejected) == (2, (Rejected(1, why),))


class TestBatches(Killed):
    options = file.Target(format="jsonl.gz", per="batch")


class TestBatchesOfCsv(SinkContract):
    module = file
    options = file.Target(format="csv", per="batch", columns="json")


class OfMembers(SinkContract):
    """A column for each member: items come back as what their rows say."""

    module = file

    async def test_odd_values_arrive_byte_for_byte(self, connect: Connect, far_side: Folder) -> None:  # type: ignore[override]  # a narrower far side
        async with connect() as sink:
            taken, _ = await send(sink, self.ship(), batches(ODD))
        assert sum(one.rows for one in taken) == len(far_side.items("r1")) == len(ODD)


class TestCsvOfMembers(OfMembers):
    options = file.Target(format="csv")


class TestParquetOfMembers(OfMembers):
    options = file.Target(format="parquet")
