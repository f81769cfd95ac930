"""A platform that the file alone describes, and that cannot be asked: what its webhook says is what arrives."""

import json
from pathlib import Path

from aiohttp import ClientSession

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from tests.end_to_end.installation import Station, station
from tests.workers.sinks.database import Database

SECRET = "secret-0123456789abcdef"
FILE = f"""\
version: 1
sources:
  jobs:
    type: generic
    webhook: {{secrets: [{SECRET}]}}
    event: {{id: job, kind: type, ended: [job.done, job.failed]}}
    run: {{status: type, succeeded: job.done, failed: job.failed, finished: at}}
    items: {{at: rows}}
sinks:
  books: {{type: sqlite, path: "{{folder}}/runs.db"}}
routes:
  - {{name: all, to: [{{sink: books, table: results}}]}}
"""


async def post(place: Station, kind: str, at: str, rows: list[int]) -> str:
    body = json.dumps({"type": kind, "job": "j1", "at": at, "rows": [{"n": n} for n in rows]})
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {SECRET}"}
    async with (
        ClientSession() as http,
        http.post(f"{place.door}/webhooks/jobs", data=body, headers=headers) as answer,
    ):
        return str((await answer.json())["status"])


async def test_a_run_that_ends_again_brings_all_of_its_rows(settings: Settings, tmp_path: Path) -> None:
    """Nothing says that those of before are still among them."""
    first, second = "2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z"
    async with station(settings, tmp_path, FILE) as place:
        assert await post(place, "job.started", first, []) == "ignored"
        assert await post(place, "job.failed", first, [1, 2]) == "accepted"
        await place.finished("j1", source="jobs")
        assert await post(place, "job.done", second, [10, 20, 30]) == "accepted"
        _, deliveries = await place.finished("j1", 2, source="jobs")
    assert [one.state for one in deliveries] == [DeliveryState.DELIVERED] * 2
    found = Database(tmp_path / "runs.db").rows("SELECT _finished_at, n FROM results ORDER BY 1, 2")
    assert found == [*((first, n) for n in (1, 2)), *((second, n) for n in (10, 20, 30))]
