"""From an Actor on the official SDK, through webhook, receiver and worker, into a file."""

import json
from pathlib import Path

from config.settings import Settings
from tests.emulator.conftest import Listener
from tests.end_to_end.installation import installation

ACTORS = Path(__file__).parent / "actors"
ROUTES = """\
sinks:
  disk: {type: file, base: "{folder}/results"}
routes:
  - name: all
    when: {status: SUCCEEDED}
    read: {dataset: default, records: "OUTPUT", log_tail: 5}
    to:
      - {sink: disk, name: rows, send: items, path: rows.jsonl}
      - {sink: disk, name: output, send: records, path: "{{ record.key }}"}
"""


async def test_what_an_sdk_actor_pushed_and_set_arrives_in_files(
    settings: Settings, tmp_path: Path, listener: Listener
) -> None:
    async with installation(settings, tmp_path, ROUTES, ACTORS) as place:
        run = await place.start("local~toolbox", {"hook": listener.url, "count": 250})
        _, deliveries = await place.finished(run["id"])

    rows = [json.loads(line)["n"] for line in (tmp_path / "results" / "rows.jsonl").read_text().splitlines()]
    assert rows == list(range(250))
    assert json.loads((tmp_path / "results" / "OUTPUT.json").read_text())["storages"]["items"] == rows
    receipts = {row.target: row.status for one in deliveries for row in one.checkpoint.receipts}
    assert receipts == {"rows": "balanced", "output": "balanced"}
