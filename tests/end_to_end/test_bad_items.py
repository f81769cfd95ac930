"""Items that a far side cannot take: the rest is delivered, and each of them is kept with its reason."""

from pathlib import Path
from typing import Any

import pytest

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from console.cli.ledger import _found
from tests.end_to_end.installation import installation

ROUTES = """\
sinks:
  disk: {type: tests.end_to_end.picky_file, base: "{folder}/results", refuses: %s, bad_items: %s}
routes:
  - name: all
    read: {dataset: default, clean: %s}
    to: [{sink: disk, path: "{{ run.id }}.jsonl"}]
"""


async def test_few_are_left_out_and_shown(settings: Settings, tmp_path: Path, actors: Path) -> None:
    routes = ROUTES % ([4, 17], "reject", "false")
    async with installation(settings, tmp_path, routes, actors) as place:
        run = await place.start("local~pusher", {"items": 25, "size": 3})
        _, (delivery,) = await place.finished(run["id"])
        _, _, rejects = await _found(place.ledger, delivery.delivery.id)

    assert delivery.state == DeliveryState.PARTIAL
    (row,) = delivery.checkpoint.receipts
    assert (row.expected, row.read, row.rejected, row.delivered, row.status) == (25, 25, 2, 23, "balanced")
    lines = (tmp_path / "results" / f"{run['id']}.jsonl").read_text().splitlines()
    assert lines == [f'{{"n": {n}, "text": "xxx"}}' for n in range(25) if n not in {4, 17}]
    why: dict[str, Any] = {"stream": "items:default", "why": "it is not to my taste"}
    told = [{**why, "row": n, "item": f'{{"n": {n}, "text": "xxx"}}'} for n in (4, 17)]
    assert rejects == {delivery.delivery.id: told}


@pytest.mark.parametrize(
    ("refuses", "policy", "detail"),
    [
        ([4], "fail", "row 4: it is not to my taste"),
        (list(range(11)), "reject", "11 of 12 items cannot be taken, more than 10; row 9: it is not to my taste"),
    ],
)
async def test_one_or_many_end_the_delivery(
    settings: Settings, tmp_path: Path, actors: Path, refuses: list[int], policy: str, detail: str
) -> None:
    async with installation(settings, tmp_path, ROUTES % (refuses, policy, "false"), actors) as place:
        run = await place.start("local~pusher", {"items": 25})
        _, (delivery,) = await place.finished(run["id"])

    assert (delivery.state, delivery.reason, delivery.detail) == (DeliveryState.DEAD, "item_refused", detail)
    assert not list((tmp_path / "results").glob("*.jsonl"))


async def test_a_batch_that_is_taken_in_parts_counts_what_was_filtered(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    routes = ROUTES % ([2], "reject", "true")
    async with installation(settings, tmp_path, routes, actors) as place:
        rows = [{"n": 0}, {}, {"n": 2}, {"#x": 1}, {}, {"n": 5}, {"n": 6}, {"n": 7}, {}]
        run = await place.start("local~pusher", {"rows": rows})
        _, (delivery,) = await place.finished(run["id"])

    (row,) = delivery.checkpoint.receipts
    assert (row.expected, row.read, row.filtered, row.rejected, row.delivered) == (9, 9, 4, 1, 4)
    lines = (tmp_path / "results" / f"{run['id']}.jsonl").read_text().splitlines()
    assert lines == ['{"n": 0}', '{"n": 5}', '{"n": 6}', '{"n": 7}']


async def test_a_sink_that_takes_nothing_is_a_bug_and_no_endless_loop(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    routes = (ROUTES % ([], "reject", "false")).replace("refuses: []", "takes: 0, retry: {for: 100ms, backoff: [50ms]}")
    async with installation(settings, tmp_path, routes, actors) as place:
        run = await place.start("local~pusher", {"items": 5})
        _, (delivery,) = await place.finished(run["id"])

    assert (delivery.state, delivery.reason) == (DeliveryState.DEAD, "retries_exhausted")
    assert "the sink took nothing of a batch" in delivery.detail
