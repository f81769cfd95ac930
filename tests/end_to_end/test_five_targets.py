"""One route, five targets on their real far sides: one of them is down, and the others do not notice."""

import json
from pathlib import Path
from typing import Any

import pytest

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from console.servers.listening import free_port
from console.servers.postgres import PostgresServer
from console.servers.seaweedfs import SeaweedServer
from tests.end_to_end.far_side import FarSide, far_side
from tests.end_to_end.installation import Installation, eventually, installation
from tests.workers.sinks.bucket import Bucket, seaweed_bucket
from tests.workers.sinks.database import Database as SqliteDatabase
from tests.workers.sinks.postgres_database import Database as PostgresDatabase
from workers.ledger.records import DeliveryRecord

ITEMS = 1000
OTHERS = {"disk", "books", "warehouse", "lake"}


@pytest.fixture
def lake(s3_server: SeaweedServer) -> Bucket:
    return seaweed_bucket(s3_server)


@pytest.fixture
def warehouse(postgres_server: PostgresServer) -> PostgresDatabase:
    return PostgresDatabase(postgres_server.url)


def routes(url: str, warehouse: PostgresDatabase, lake: Bucket) -> str:
    """`per: item`: a receiver that goes down in the middle of a batch has some of its items."""
    return f"""\
sinks:
  crm: {{type: http, url: "{url}", retry: {{backoff: [0s, 500ms]}}}}
  disk: {{type: file, base: "{{folder}}/results"}}
  books: {{type: sqlite, path: "{{folder}}/runs.db"}}
  warehouse: {{type: postgres, url: "{warehouse.url}", schema: {warehouse.schema}}}
  lake: {json.dumps({"type": "object_store", **lake.settings})}
defaults: {{batch: {{items: 200}}}}
routes:
  - name: all
    to:
      - {{sink: crm, per: item, parallel: 4, body: {{items: ["{{{{ item }}}}"]}}}}
      - {{sink: disk, path: "{{{{ run.id }}}}.jsonl"}}
      - {{sink: books, table: results}}
      - {{sink: warehouse, table: results}}
      - {{sink: lake, path: "{{{{ run.id }}}}.jsonl"}}
"""


async def others_done(place: Installation, run: str) -> dict[str, DeliveryRecord]:
    """By target, once the four others are done."""

    async def done() -> dict[str, DeliveryRecord] | None:
        _, deliveries = await place.ledger.of_run("apify", run)
        found = {one.delivery.target: one for one in deliveries}
        return found if found.keys() >= OTHERS and all(found[name].state.final for name in OTHERS) else None

    return await eventually(done)


def received(*sides: FarSide) -> list[int]:
    """The items of somebody who remembers ids and was down in between."""
    taken: dict[str, list[Any]] = {}
    for side in sides:
        for id, items in side.taken.items():
            assert taken.setdefault(id, items) == items, "what is sent again is the same"
    return sorted(item["n"] for items in taken.values() for item in items)


def numbers(lines: bytes) -> list[int]:
    return [json.loads(line)["n"] for line in lines.splitlines()]


async def test_while_one_of_five_targets_is_down_the_four_others_deliver(
    settings: Settings, tmp_path: Path, actors: Path, warehouse: PostgresDatabase, lake: Bucket
) -> None:
    port = free_port()
    text = routes(f"http://127.0.0.1:{port}/", warehouse, lake)
    async with installation(settings, tmp_path, text, actors) as place:
        async with far_side(port=port) as before:
            before.answers, before.always = [200] * 300, 503  # trouble begins in the middle of the second batch
            run = (await place.start("local~pusher", {"items": ITEMS}))["id"]
            await eventually(lambda: broken_down(before))
        meanwhile = await others_done(place, run)
        async with far_side(port=port) as after:
            _, deliveries = await place.finished(run)

    assert not meanwhile["crm"].state.final
    assert {meanwhile[name].state for name in OTHERS} == {DeliveryState.DELIVERED}
    assert {one.delivery.target: one.state for one in deliveries} == dict.fromkeys(
        {"crm", *OTHERS}, DeliveryState.DELIVERED
    )
    receipts = [row for one in deliveries for row in one.checkpoint.receipts]
    assert {(row.delivered, row.status) for row in receipts} == {(ITEMS, "balanced")}

    whole = list(range(ITEMS))
    assert received(before, after) == whole
    assert before.taken.keys() & after.taken.keys() != before.taken.keys(), "it goes on where it was"
    assert numbers((tmp_path / "results" / f"{run}.jsonl").read_bytes()) == whole
    assert SqliteDatabase(tmp_path / "runs.db").rows("SELECT _item, n FROM results") == [(n, n) for n in whole]
    assert warehouse.rows("SELECT n FROM results ORDER BY _item") == [(n,) for n in whole]
    assert numbers(lake.body(f"{run}.jsonl")) == whole


async def broken_down(side: FarSide) -> bool | None:
    return len(side.requests) > len(side.taken) or None
