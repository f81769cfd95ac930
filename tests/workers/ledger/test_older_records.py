"""Records as an earlier version wrote them: while a new one is rolled out, workers of both meet on one Redis."""

import pytest

from config.contracts.delivery import Checkpoint, Delivery, DeliveryState, Receipt
from config.contracts.event import EventState
from config.contracts.run import Run
from tests.workers.ledger.books import LIFE, Books, after
from workers.ledger.records import DeliveryRecord, EventRecord

RUN = (
    '{"id":"run1","source":"apify","status":"SUCCEEDED","terminal":true,"life":"2026-01-30T07:38:32.674Z",'
    '"finished":1769758712.674,"account":"u1","origin":"","actor_id":"a1","actor":"","task_id":"","task":"",'
    '"datasets":{"default":"d1"},"stores":{"default":"s1"},"fields":{"id":"run1"}}'
)
DELIVERY = (
    '{"id":"old","event_id":"ev1","source":"apify","run_id":"run1","life":"2026-01-30T07:38:32.674Z","route":"all",'
    '"target":"rows","sink":"disk","generation":0,"cfg":"sha1","streams":["items:default"]}'
)
CHECKPOINT = (
    '{"stream":0,"offset":500,"batch":5,"after":null,"end":null,"expected":null,"position":{"bytes":12},"receipts":'
    '[{"route":"all","target":"rows","sink":"disk","stream":"items:default","expected":0,"read":500,"filtered":0,'
    '"rejected":0,"delivered":500,"out":500,"bytes":12,"from_offset":0,"status":"open"}],"waits":1,"unsettled":2.0,'
    '"timeouts":0,"restarts":0}'
)


@pytest.fixture
async def older(books: Books) -> Books:
    """A planned event, and its delivery on the way."""
    await books.set("ev", "ev1", v=1, state="planned", source="apify", run="run1", at=5, snapshot=RUN, deliveries="old")
    await books.set("dl", "old", v=1, state="waiting", delivery=DELIVERY, checkpoint=CHECKPOINT, at=5, attempt=2, seq=1)
    await books.redis.sadd("rr:run:apify:run1", "dl:old")  # type: ignore[misc]  # one signature for both clients
    return books


async def test_they_are_read_as_they_were_meant(older: Books) -> None:
    assert await older.ledger.event("ev1") == EventRecord(
        id="ev1",
        state=EventState.PLANNED,
        source="apify",
        run_id="run1",
        kind="",
        via="",
        at=5,
        run=Run(
            id="run1",
            source="apify",
            status="SUCCEEDED",
            terminal=True,
            life=LIFE,
            finished=1769758712.674,
            account="u1",
            actor_id="a1",
            datasets={"default": "d1"},
            stores={"default": "s1"},
            fields={"id": "run1"},
        ),
        deliveries=("old",),
    )
    row = Receipt(
        route="all",
        target="rows",
        sink="disk",
        stream="items:default",
        read=500,
        delivered=500,
        out=500,
        bytes=12,
    )
    assert await older.ledger.delivery("old") == DeliveryRecord(
        delivery=Delivery(
            id="old",
            event_id="ev1",
            source="apify",
            run_id="run1",
            life=LIFE,
            route="all",
            target="rows",
            sink="disk",
            cfg="sha1",
            streams=("items:default",),
        ),
        state=DeliveryState.WAITING,
        checkpoint=Checkpoint(offset=500, batch=5, position={"bytes": 12}, receipts=(row,), waits=1, unsettled=2.0),
        at=5,
        attempt=2,
    )


async def test_they_come_to_their_end_and_nothing_is_deleted_after_them(older: Books) -> None:
    taken = await older.ledger.take_delivery("old", 1)
    assert taken
    await older.ledger.finish(taken[0], DeliveryState.DELIVERED)
    assert (await older.due(), await older.ledger.after(after("run").id)) == ({}, None)
