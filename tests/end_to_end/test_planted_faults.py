"""The receipt is worth something only if a fault of ours unbalances it. Here are two, planted on purpose."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.contracts.delivery import DeliveryState
from config.contracts.sink import Batch
from config.settings import Settings
from tests.end_to_end.installation import installation
from workers.fetch.reader import DatasetReader

ROUTES = """\
sinks:
  disk: {type: %s, base: "{folder}/results"}
routes:
  - name: all
    when: {}
    to: [{sink: disk, path: "{{ run.id }}.jsonl"}]
"""


async def test_a_reader_that_drops_the_last_page_is_caught(
    settings: Settings, tmp_path: Path, actors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = DatasetReader.batches

    async def short(self: DatasetReader, offset: int, index: int, end: int | None) -> AsyncIterator[Batch]:
        held = None
        async for batch in honest(self, offset, index, end):
            if held:
                yield held
            held = batch

    monkeypatch.setattr(DatasetReader, "batches", short)
    async with installation(settings, tmp_path, ROUTES % "file", actors) as place:
        run = await place.start("local~pusher", {"items": 2500})
        _, (delivery,) = await place.finished(run["id"])

    assert (delivery.state, delivery.reason) == (DeliveryState.DEAD, "count_mismatch")
    (row,) = delivery.checkpoint.receipts
    assert (row.expected, row.read, row.delivered, row.status) == (2500, 2000, 2000, "unbalanced")
    assert list((tmp_path / "results").glob("*.jsonl")) == [], "a short file is never published"


async def test_a_sink_that_drops_one_item_is_caught(settings: Settings, tmp_path: Path, actors: Path) -> None:
    async with installation(settings, tmp_path, ROUTES % "tests.end_to_end.leaky_file", actors) as place:
        run = await place.start("local~pusher", {"items": 700})
        _, (delivery,) = await place.finished(run["id"])

    assert (delivery.state, delivery.reason) == (DeliveryState.DEAD, "count_mismatch")
    (row,) = delivery.checkpoint.receipts
    assert (row.expected, row.read, row.delivered, row.status) == (700, 700, 699, "unbalanced")
    assert list((tmp_path / "results").glob("*.jsonl")) == [], "a short file is never published"
