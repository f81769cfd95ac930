"""Runs of ittybit's, from the webhook to files, objects and rows, on a stand-in for the platform."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from config.contracts.delivery import DeliveryState, Receipt
from config.contracts.event import EventState
from config.settings import Settings
from console.servers.postgres import PostgresServer
from console.servers.seaweedfs import SeaweedServer
from tests.end_to_end.installation import Station, eventually, station
from tests.ittybit.standin import Standin, standin
from tests.workers.sinks.bucket import seaweed_bucket
from tests.workers.sinks.database import Database as SqliteDatabase
from tests.workers.sinks.postgres_database import Database as PostgresDatabase
from workers.ledger.records import DeliveryRecord

KEY = base64.b64encode(b"a key of thirty-two bytes, or so!").decode()
PATH_SECRET = "path-secret-0123456789abcdef"
VIDEO = bytes(range(256)) * 5000
SEGMENTS = [{"start": 0.0, "end": 1.5, "text": "Hello"}, {"start": 1.5, "end": 3.25, "text": "world — ä"}]
SUMMARY = {"summary": "two words", "tokens": 12}


@pytest.fixture
async def clips() -> AsyncIterator[Standin]:
    async with standin("ittybit-key-of-clips") as place:
        yield place


@pytest.fixture
async def calls() -> AsyncIterator[Standin]:
    async with standin("ittybit-key-of-calls") as place:
        yield place


def file(clips: Standin, calls: Standin, sinks: str, routes: str) -> str:
    """Two projects of one platform: one signs, the other brings a secret in the path."""
    return f"""\
version: 1
sources:
  clips:
    type: ittybit
    token: {clips.token}
    api_url: {clips.url}
    file_origins: ["{clips.files_url}"]
    webhook: {{secrets: [whsec_{KEY}], verify: standard_webhooks}}
    reconcile: {{every: 1s, lookback: 1h}}
  calls:
    type: ittybit
    token: {calls.token}
    api_url: {calls.url}
    file_origins: ["{calls.files_url}"]
    webhook: {{secrets: [{PATH_SECRET}]}}
defaults: {{retry: {{backoff: [0s, 200ms]}}}}
sinks:
{sinks}
routes:
{routes}
"""


def filled(place: Standin, run_id: str) -> None:
    """A run that made a video, sent another to a bucket of the customer's, and analysed what was said."""
    made = place.add_task(
        f"task_{run_id}a", "video", outputs=[place.add_file("/v/clip.mp4", VIDEO, width=1920, height=1080)]
    )
    exported = place.add_task(
        f"task_{run_id}b", "video", outputs=[{"object": "file", "kind": "video", "url": "s3://acme/clips/out.mp4"}]
    )
    said = place.add_task(
        f"task_{run_id}c",
        "speech",
        outputs=[place.add_file("/a/speech.json", json.dumps(SEGMENTS).encode(), "application/json"), SUMMARY],
    )
    place.add_run(run_id, tasks=[made, exported, said])


def signed(body: bytes, message_id: str) -> dict[str, str]:
    at = str(int(time.time()))
    mac = hmac.new(base64.b64decode(KEY), f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(mac).decode()}"
    return {"webhook-id": message_id, "webhook-timestamp": at, "webhook-signature": signature}


async def post(place: Station, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    named = {"Content-Type": "application/json", **(headers or {})}
    async with ClientSession() as http, http.post(f"{place.door}/webhooks/{path}", data=body, headers=named) as answer:
        return answer.status, await answer.json()


def receipts(deliveries: list[DeliveryRecord]) -> dict[str, Receipt]:
    return {f"{one.delivery.target}/{row.stream}": row for one in deliveries for row in one.checkpoint.receipts}


async def test_files_and_analyses_of_a_run_arrive_whole_and_two_projects_do_not_mix(
    settings: Settings,
    tmp_path: Path,
    clips: Standin,
    calls: Standin,
    postgres_server: PostgresServer,
    s3_server: SeaweedServer,
) -> None:
    warehouse, lake = PostgresDatabase(postgres_server.url), seaweed_bucket(s3_server)
    sinks = f"""\
  disk: {{type: file, base: "{{folder}}/results"}}
  books: {{type: sqlite, path: "{{folder}}/runs.db"}}
  warehouse: {{type: postgres, url: "{warehouse.url}", schema: {warehouse.schema}}}
  lake: {json.dumps({"type": "object_store", **lake.settings})}
"""
    routes = """\
  - name: files
    read: {records: "*"}
    to:
      - {sink: disk, path: "{{ source }}/{{ run.id }}/{{ record.key }}"}
      - {sink: lake, path: "{{ source }}/{{ run.id }}/{{ record.key }}"}
  - name: analyses
    when: {status: succeeded}
    to:
      - {sink: books, table: analyses}
      - {sink: warehouse, table: analyses}
"""
    filled(clips, "run_1")
    at = clips.runs["run_1"]["finished_at"]
    calls.add_task(
        "task_z", "speech", outputs=[calls.add_file("/z.mp3", b"mp3", "audio/mp3"), {"text": "of the other"}]
    )
    calls.add_run("run_1", tasks=[calls.tasks["task_z"]], finished_at=at)
    body = clips.event("run_1")
    async with station(settings, tmp_path, file(clips, calls, sinks, routes)) as place:
        assert (await post(place, "clips", body, signed(body + b" ", "msg_1")))[0] == 401
        assert (await post(place, "clips", body, signed(body, "msg_1")))[1]["status"] == "accepted"
        assert (await post(place, "clips", body, signed(body, "msg_2")))[1]["status"] == "duplicate"
        assert (await post(place, f"calls/{PATH_SECRET}", calls.event("run_1")))[1]["status"] == "accepted"
        [event], deliveries = await place.finished("run_1", source="clips")
        [other], others = await place.finished("run_1", source="calls")
    assert (event.state, other.state) == (EventState.PLANNED, EventState.PLANNED)
    assert {one.state for one in (*deliveries, *others)} == {DeliveryState.DELIVERED}

    base = tmp_path / "results"
    on_disk = {path.relative_to(base).as_posix(): path.read_bytes() for path in base.rglob("*") if path.is_file()}
    assert on_disk == {
        "clips/run_1/task_run_1a-clip.mp4": VIDEO,
        "clips/run_1/task_run_1b-out.mp4.url": b"s3://acme/clips/out.mp4\r\n",
        "clips/run_1/task_run_1c-0-speech.json": json.dumps(SEGMENTS).encode(),
        "calls/run_1/task_z-0-z.mp3": b"mp3",
    }
    assert {name: lake.body(name) for name in lake.names()} == on_disk
    said = {"task_id": "task_run_1c", "task_kind": "speech"}
    rows = [{**said, **row} for row in (*SEGMENTS, SUMMARY)]
    books = SqliteDatabase(tmp_path / "runs.db")
    found = books.rows(
        "SELECT task_id, task_kind, start, end, text, summary, tokens FROM analyses WHERE _target LIKE 'clips/%'"
        " ORDER BY _item"
    )
    names = ("task_id", "task_kind", "start", "end", "text", "summary", "tokens")
    assert found == [tuple(row.get(name) for name in names) for row in rows]
    assert books.rows("SELECT text FROM analyses WHERE _target LIKE 'calls/%'") == [("of the other",)]
    both = warehouse.rows("SELECT _target, text FROM analyses ORDER BY _target, _item")
    of_clips = [("clips/analyses/warehouse", row.get("text")) for row in rows]
    assert both == [("calls/analyses/warehouse", "of the other"), *of_clips]
    counted = {name: (row.read, row.expected) for name, row in receipts(deliveries).items()}
    assert counted == {
        "disk/records": (3, 3),
        "lake/records": (3, 3),
        "books/items:default": (3, 3),
        "warehouse/items:default": (3, 3),
    }
    assert {row.read for row in receipts(others).values()} == {1}
    for project in (clips, calls):
        asked = {one.headers.get("authorization", "") for one in project.asked}
        assert asked == {f"Bearer {project.token}", ""}


async def test_nobody_announces_a_cancelled_run_and_it_is_found(
    settings: Settings, tmp_path: Path, clips: Standin, calls: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.care.reconciler.GRACE", 0.0)
    sinks = '  disk: {type: file, base: "{folder}/results"}'
    routes = "  - {name: all, when: {status: cancelled}, to: [{sink: disk, send: run, path: '{{ run.id }}.json'}]}"
    async with station(settings, tmp_path, file(clips, calls, sinks, routes)) as place:

        async def begun() -> bytes | None:
            noted: bytes | None = await place.ledger.redis.get(place.ledger.keys.since("clips"))
            return noted

        await eventually(begun)
        clips.add_run("run_gone", "cancelled", finished_at=int(time.time()) + 1)
        [event], [delivery] = await place.finished("run_gone", source="clips")
    assert (event.via, delivery.state) == ("reconcile", DeliveryState.DELIVERED)
    assert json.loads((tmp_path / "results" / "run_gone.json").read_bytes())["status"] == "cancelled"


async def test_a_bill_that_is_due_pauses_the_project_and_somebody_is_told(
    settings: Settings, tmp_path: Path, clips: Standin, calls: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.care.alarms.ASK", 0.1)
    monkeypatch.setattr("workers.care.alarms.EVERY", 0.1)
    sinks = '  disk: {type: file, base: "{folder}/results"}'
    routes = "  - {name: all, to: [{sink: disk, send: run, path: '{{ run.id }}.json'}]}"
    calls.add_run("run_9")
    calls.refuse("/runs/run_9", 402, "payment_required", "Please visit billing.")
    routes += "\nalerts: {to: [{sink: disk}], kinds: [paused]}"
    async with station(settings, tmp_path, file(clips, calls, sinks, routes)) as place:
        await post(place, f"calls/{PATH_SECRET}", calls.event("run_9"))

        async def told() -> dict[str, Any] | None:
            found = sorted((tmp_path / "results/alerts").glob("*-paused-*.json"))
            return dict(json.loads(found[0].read_text())) if found else None

        async def paused() -> str | None:
            events, _ = await place.ledger.of_run("calls", "run_9")
            return next((one.reason for one in events if one.reason), None)

        assert await eventually(paused) == "source_unpaid"
        alert = await eventually(told)
        calls.refusals.clear()
        await place.ledger.resume("source:calls")
        [event], [delivery] = await place.finished("run_9", source="calls")
    assert (event.state, delivery.state) == (EventState.PLANNED, DeliveryState.DELIVERED)
    [about] = alert["about"]
    assert (alert["kind"], about["source"], about["reason"]) == ("paused", "calls", "source_unpaid")
    assert (tmp_path / "results" / "run_9.json").exists()
