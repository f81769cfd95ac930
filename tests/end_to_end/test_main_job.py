"""A run finishes on the platform; everything it left arrives, once, with a receipt."""

import json
from pathlib import Path

from config.contracts.delivery import DeliveryState, Receipt
from config.contracts.event import EventState
from config.settings import Settings
from tests.end_to_end.installation import installation

ROUTES = """\
sinks:
  disk: {type: file, base: "{folder}/results"}
routes:
  - name: all
    when: {status: SUCCEEDED}
    read: {dataset: default, records: "*", log_tail: 100}
    to:
      - {sink: disk, name: rows, send: items, path: "{{ run.id }}.jsonl"}
      - {sink: disk, name: files, send: records, path: "{{ run.id }}/{{ record.key }}"}
      - {sink: disk, name: log, send: log, path: "{{ run.id }}.log"}
"""


async def test_a_run_arrives_whole_with_a_balanced_receipt(settings: Settings, tmp_path: Path, actors: Path) -> None:
    async with installation(settings, tmp_path, ROUTES, actors) as place:
        given = {"items": 2345, "records": {"OUTPUT": ["application/json", '{"a": 1}'], "page": ["text/html", "<p>"]}}
        run = await place.start("local~pusher", given)
        events, deliveries = await place.finished(run["id"])

    assert [event.state for event in events] == [EventState.PLANNED]
    assert {one.delivery.target: one.state for one in deliveries} == dict.fromkeys(
        ("rows", "files", "log"), DeliveryState.DELIVERED
    )
    results = tmp_path / "results"
    rows = [json.loads(line) for line in (results / f"{run['id']}.jsonl").read_text().splitlines()]
    assert [row["n"] for row in rows] == list(range(2345))
    assert json.loads((results / run["id"] / "OUTPUT.json").read_text()) == {"a": 1}
    assert (results / run["id"] / "page.html").read_text() == "<p>"
    assert "done" in (results / f"{run['id']}.log").read_text()

    receipts = {row.target: row for one in deliveries for row in one.checkpoint.receipts}
    size = (results / f"{run['id']}.jsonl").stat().st_size
    assert receipts["rows"] == Receipt(
        route="all",
        target="rows",
        sink="disk",
        stream="items:default",
        expected=2345,
        read=2345,
        delivered=2345,
        out=receipts["rows"].out,
        bytes=size,
        status="balanced",
    )
    assert (receipts["files"].expected, receipts["files"].filtered, receipts["files"].delivered) == (3, 1, 2)
    assert receipts["log"].status == "balanced"
