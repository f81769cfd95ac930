"""How deliveries end, and who may end them: counts that never settle, leases, draining, later lives."""

import asyncio
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis

from config.contracts.api import Api
from config.contracts.delivery import Checkpoint, Delivery, DeliveryState, Receipt, delivery_id
from config.contracts.errors import NotYet
from config.contracts.run import Run
from config.contracts.source import Count, Settle, Source
from config.keys import Keys
from config.queue import RunQueue
from config.routes import RouteTable, load
from config.settings import Settings
from config.sources.apify import ApifySource
from tests.end_to_end.far_side import far_side
from tests.end_to_end.installation import eventually, installation
from tests.end_to_end.test_troubles import FILE, QUICK, to_crm
from workers import progress
from workers.delivering import Turn
from workers.fetch.documents import counted_keys
from workers.ledger.ledger import LeaseLost, Ledger
from workers.ledger.records import Lease, TakenDelivery
from workers.runtime import Runtime

SMALLEST = """\
version: 1
sources: {apify: {token: tok-0123456789, webhook: {secrets: [secret-0123456789]}}}
sinks: {out: {type: file, base: results/}}
routes: [{name: all, when: {}, to: [{sink: out}]}]
"""


def life_of(number: int) -> Delivery:
    life = f"2026-01-0{number}T00:00:00.000Z"
    return Delivery(
        id=delivery_id("apify", "run1", life, "all", "crm"),
        event_id="e",
        source="apify",
        run_id="run1",
        life=life,
        route="all",
        target="crm",
        sink="crm",
        cfg="c",
        streams=("items:default",),
    )


async def kept(redis: Redis, one: Delivery, state: DeliveryState, rows: tuple[int, int]) -> None:
    """A delivery as it lies in the ledger; `rows`: first row that counted, and how many were read."""
    row = Receipt(route="all", target="crm", sink="crm", stream="items:default", from_offset=rows[0], read=rows[1])
    fields = {
        "state": state.value,
        "delivery": msgspec.json.encode(one),
        "checkpoint": msgspec.json.encode(Checkpoint(receipts=(row,))),
    }
    await cast(Any, redis.hset(f"rr:dl:{one.id}", mapping=fields))
    await cast(Any, redis.sadd("rr:run:apify:run1", f"dl:{one.id}"))


@pytest.fixture
def table(tmp_path: Path) -> RouteTable:
    (tmp_path / "runrelay.yaml").write_text(SMALLEST)
    return load(tmp_path / "runrelay.yaml", {})


async def test_counts_that_never_settle_end_in_a_dead_letter(
    settings: Settings, tmp_path: Path, actors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = ApifySource.count

    async def one_more(self: ApifySource, api: Api, run: Run, dataset: str, /) -> Count:
        count = await honest(self, api, run, dataset)
        return Count(rows=count.rows + 1, at=count.at)

    monkeypatch.setattr(ApifySource, "count", one_more)
    monkeypatch.setattr("workers.verdicts._FIRST_WAIT", 0.1)
    routes = FILE + "defaults: {" + QUICK + "}\n"
    async with installation(settings, tmp_path, routes, actors) as place:
        place.table.sources["apify"].settle = Settle(quiet=0.1, timeout=0.2)
        run = await place.start("local~pusher", {"items": 3})
        _, (delivery,) = await place.finished(run["id"])
    assert (delivery.state, delivery.reason) == (DeliveryState.DEAD, "count_mismatch")
    assert delivery.detail == "the platform counts 4 rows and gave 3"
    assert delivery.checkpoint.timeouts == 3
    assert list((tmp_path / "results").glob("*.jsonl")) == []


async def test_nothing_is_published_once_the_lease_is_lost(
    settings: Settings, tmp_path: Path, actors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = asyncio.Event()

    async def renew(self: Ledger, lease: Lease) -> None:
        lost.set()
        raise LeaseLost(lease.id)

    monkeypatch.setattr(Ledger, "renew", renew)
    monkeypatch.setattr(progress, "CONFIRMED", 0.0)
    async with installation(settings, tmp_path, FILE, actors) as place:
        run = await place.start("local~pusher", {"items": 3})
        await asyncio.wait_for(lost.wait(), 30)
        _, (delivery,) = await place.ledger.of_run("apify", run["id"])
    assert delivery.state is DeliveryState.RUNNING
    assert delivery.checkpoint.receipts[0].delivered == 3
    assert list((tmp_path / "results").glob("*.jsonl")) == []


async def test_a_worker_told_to_stop_ends_at_a_checkpoint(settings: Settings, tmp_path: Path, actors: Path) -> None:
    async with far_side(pause=0.7) as side:
        routes = to_crm(side) + "defaults: {batch: {items: 10}}\n"
        async with installation(settings, tmp_path, routes, actors) as place:
            run = await place.start("local~pusher", {"items": 200})

            async def under_way() -> bool | None:
                return len(side.requests) == 2 or None

            await eventually(under_way)
        async with RunQueue.connect(settings) as queue:
            _, (delivery,) = await Ledger(queue.redis, Keys("rr")).of_run("apify", run["id"])
    assert len(side.taken) == len(side.requests) == 2, "what was under way was taken to its end"
    assert (delivery.state, delivery.attempt) == (DeliveryState.WAITING, 0)
    assert delivery.checkpoint.receipts[0].delivered == 20


async def test_a_record_that_comes_late_is_read_in_the_next_try(
    settings: Settings, tmp_path: Path, actors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = """\
sinks: {disk: {type: file, base: "{folder}/results"}}
defaults: {retry: {backoff: [0s, 100ms], for: 60s}}
routes: [{name: all, when: {}, read: {records: "*"}, to: [{sink: disk, path: "{{ record.key }}"}]}]
"""
    async with installation(settings, tmp_path, routes, actors) as place:
        late = ["AAA"]

        async def one_more(source: Source, api: Api, run: Run) -> int:
            for key in late:
                late.remove(key)
                await place.api("PUT", f"/v2/key-value-stores/{run.stores['default']}/records/{key}", data=b"late")
            return await counted_keys(source, api, run)

        monkeypatch.setattr("workers.pipeline.counted_keys", one_more)
        run = await place.start("local~pusher", {"records": {"MID": ["text/plain", "mid"]}})
        _, (delivery,) = await place.finished(run["id"])
    assert delivery.state is DeliveryState.DELIVERED
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["AAA.bin", "MID.txt"]
    assert [(row.expected, row.filtered, row.delivered) for row in delivery.checkpoint.receipts] == [(3, 1, 2)]


async def test_each_life_begins_where_the_one_before_it_ended(
    settings: Settings, table: RouteTable, redis: Redis
) -> None:
    ledger = Ledger(redis, Keys("rr"))
    first, second, third = (life_of(n) for n in (1, 2, 3))
    await kept(redis, first, DeliveryState.DELIVERED, rows=(0, 10))
    await kept(redis, second, DeliveryState.RUNNING, rows=(10, 0))
    record = TakenDelivery(
        delivery=third, state=DeliveryState.RUNNING, checkpoint=Checkpoint(), at=0, run=None, body=b"", via="", family=4
    )
    turn = Turn(Runtime(settings=settings, table=table, ledger=ledger, apis={}), Lease("dl", third.id, 1), record)
    apify = table.sources["apify"]
    with pytest.raises(NotYet):
        await turn._rows(apify)
    await kept(redis, second, DeliveryState.DELIVERED, rows=(10, 5))
    assert await turn._rows(apify) == {"items:default": (15, None)}
