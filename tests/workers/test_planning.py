"""Planning one event on a real ledger: what each answer of the platform leads to.

The platform is played by a scripted source: what its API would answer is given, so nothing travels.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis

from config.contracts.api import Api
from config.contracts.errors import NotFound, Transient, Unauthorized, WorkError
from config.contracts.event import Event, EventState, event_id
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.source import Source
from config.keys import Keys
from config.queue import RunQueue
from config.routes import RouteTable, load
from config.settings import Settings
from workers.ledger.ledger import Ledger
from workers.ledger.records import EventRecord
from workers.planner import plan_of
from workers.planning import plan_event
from workers.runtime import Runtime

FILE = """\
version: 1
sources: {apify: {token: tok-0123456789, webhook: {secrets: [secret-0123456789]}}}
sinks: {disk: {type: file, base: results/}}
routes:
  - name: good
    when: {status: SUCCEEDED, not: {actor: acme/old}}
    read: {dataset: "*"}
    to: [{sink: disk, name: rows, path: "{{ run.id }}/{{ dataset }}.jsonl"}]
  - name: bad
    when: {status: FAILED}
    to: [{sink: disk, name: late, when: {origin: API}}, {sink: disk, name: run, send: run}]
"""
RUN = Run(
    id="run1",
    source="apify",
    status="SUCCEEDED",
    terminal=True,
    life="2026-01-30T07:38:32.674Z",
    finished=1769758712.674,
    account="me",
    origin="WEB",
    datasets={"default": "d1", "details": "d2"},
)

RUNNING = msgspec.structs.replace(RUN, status="RUNNING", terminal=False, life="", finished=0.0)


def changed(**facts: str) -> Run:
    return msgspec.structs.replace(RUN, **facts)


class Platform:
    """A source of which only the API half is asked; `answer` is a run or what is raised instead."""

    name = "apify"
    accounts: tuple[str, ...] = ()

    def __init__(self, answer: Run | Exception) -> None:
        self.answer = answer

    def describe(self, run: Run) -> dict[str, Any]:
        return {"run": run.fields}

    async def account(self, api: Api) -> str:
        return "me"

    async def run(self, api: Api, run_id: str, said: bytes = b"") -> Run:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def actor_name(self, api: Api, actor_id: str) -> str:
        return "acme/shop"

    async def task_name(self, api: Api, task_id: str) -> str:
        return ""


Plan = Callable[..., Any]


@pytest.fixture
def table(tmp_path: Path) -> RouteTable:
    (tmp_path / "runrelay.yaml").write_text(FILE)
    return load(tmp_path / "runrelay.yaml", {})


@pytest.fixture
def plan(redis: Redis, settings: Settings, table: RouteTable) -> Plan:
    ledger = Ledger(redis, Keys("rr"))
    event = Event(id=event_id("apify", None, b"{}"), source="apify", run_id="run1", body=b"{}")

    async def play(answer: Run | Exception, *, failed: int = 0) -> EventRecord:
        await RunQueue(redis, Keys("rr")).accept([event])
        await cast(Any, redis.hset(f"rr:ev:{event.id}", "attempt", str(failed)))
        table.sources["apify"] = cast(Source, Platform(answer))
        runtime = Runtime(settings=settings, table=table, ledger=ledger, apis={"apify": cast(Api, None)})
        await plan_event(runtime, event.id, 1)
        record = await ledger.event(event.id)
        assert record is not None
        return record

    return play


def seen(record: EventRecord) -> tuple[EventState, str, int]:
    return record.state, record.reason, record.attempt


async def test_a_wanted_run_becomes_one_delivery_per_target(plan: Plan, redis: Redis) -> None:
    record = await plan(RUN)
    assert seen(record) == (EventState.PLANNED, "", 0)
    (only,) = await Ledger(redis, Keys("rr")).newest_deliveries(10)
    assert record.deliveries == (only.delivery.id,)
    assert (only.delivery.route, only.delivery.target) == ("good", "rows")
    assert only.delivery.streams == ("items:default", "items:details")
    assert record.run is not None
    assert record.run.actor == "acme/shop"
    document = await redis.get(f"rr:cfg:{only.delivery.cfg}")
    assert document is not None
    assert b"bad" not in document, "only what the route needs is kept"


async def test_what_the_webhook_said_is_kept_for_a_route_that_uses_it(
    plan: Plan, redis: Redis, table: RouteTable
) -> None:
    event = await plan(RUN)
    assert await cast(Any, redis.hget(f"rr:ev:{event.id}", "keep_body")) is None
    await redis.flushall()
    documents = cast(dict[str, bytes], table.documents)
    documents["good"] = documents["good"].replace(b"{{ run.id }}", b"{{ event.said }}")
    await plan(RUN)
    assert await cast(Any, redis.hget(f"rr:ev:{event.id}", "keep_body")) == b"1"


async def test_a_dataset_with_two_aliases_is_read_once(plan: Plan, redis: Redis) -> None:
    datasets = {"default": "d1", "details": "d2", "products": "d1"}
    await plan(msgspec.structs.replace(RUN, datasets=datasets))
    (only,) = await Ledger(redis, Keys("rr")).newest_deliveries(10)
    assert only.delivery.streams == ("items:default", "items:details")


@pytest.mark.parametrize(
    ("status", "said"), [("SUCCEEDED", ""), ("FAILED", "no route reads the dataset `odds`, `ends`")]
)
async def test_a_dataset_with_a_name_that_nobody_reads_is_told(plan: Plan, status: str, said: str) -> None:
    datasets = {"default": "d1", "same": "d1", "odds": "d2", "ends": "d3"}
    event = await plan(msgspec.structs.replace(changed(status=status), datasets=datasets))
    assert (event.state, event.detail) == (EventState.PLANNED, said)


async def test_a_target_that_declines_gets_nothing(plan: Plan, redis: Redis) -> None:
    await plan(changed(status="FAILED"))
    targets = [one.delivery.target for one in await Ledger(redis, Keys("rr")).newest_deliveries(10)]
    assert targets == ["run"]


async def test_a_run_nobody_wants_is_unmatched(plan: Plan) -> None:
    assert seen(await plan(changed(status="ABORTED"))) == (EventState.UNMATCHED, "no_route", 0)


@pytest.mark.parametrize(
    ("answer", "failed", "expected"),
    [
        (RUNNING, 0, (EventState.ACCEPTED, "not_terminal", 0)),
        (NotFound(Reason.DATA_EXPIRED, "HTTP 404"), 0, (EventState.ACCEPTED, "run_not_found", 1)),
        (NotFound(Reason.DATA_EXPIRED, "HTTP 404"), 4, (EventState.DEAD, "run_not_found", 4)),
        (Transient(Reason.SOURCE_UNAVAILABLE, "HTTP 503"), 0, (EventState.ACCEPTED, "source_unavailable", 1)),
        (Unauthorized(Reason.SOURCE_TOKEN_REFUSED, "HTTP 401"), 0, (EventState.ACCEPTED, "source_token_refused", 0)),
        (ZeroDivisionError(), 0, (EventState.ACCEPTED, "internal_error", 1)),
    ],
)
async def test_what_goes_wrong_is_kept_with_its_reason(
    plan: Plan, answer: Run | WorkError, failed: int, expected: tuple[EventState, str, int]
) -> None:
    assert seen(await plan(answer, failed=failed)) == expected


async def test_a_foreign_run_is_dead(plan: Plan) -> None:
    assert seen(await plan(changed(account="other"))) == (EventState.DEAD, "run_foreign", 0)


async def test_a_run_that_was_delivered_and_deleted_is_superseded(plan: Plan, redis: Redis) -> None:
    await plan(RUN)
    ledger = Ledger(redis, Keys("rr"))
    (only,) = await ledger.newest_deliveries(1)
    await cast(Any, redis.hset(f"rr:dl:{only.delivery.id}", "state", "delivered"))
    second = Event(id=event_id("apify", None, b"{ }"), source="apify", run_id="run1", body=b"{ }")
    await RunQueue(redis, Keys("rr")).accept([second])
    await redis.delete(f"rr:seen:{event_id('apify', None, b'{}')}")

    again = await plan(NotFound(Reason.DATA_EXPIRED, "HTTP 404"))
    assert seen(again)[:2] == (EventState.SUPERSEDED, "superseded")


async def test_an_event_of_a_source_that_is_gone_waits_for_it(
    redis: Redis, settings: Settings, table: RouteTable
) -> None:
    lost = Event(id=event_id("other", None, b"{}"), source="other", run_id="run1", body=b"{}")
    await RunQueue(redis, Keys("rr")).accept([lost])
    ledger = Ledger(redis, Keys("rr"))
    await plan_event(Runtime(settings=settings, table=table, ledger=ledger, apis={}), lost.id, 1)
    record = await ledger.event(lost.id)
    assert record is not None
    assert seen(record) == (EventState.ACCEPTED, "config_gone", 1)
    assert record.detail == "runrelay.yaml has no source 'other'; put it back or drop the work"


async def test_a_stale_wake_up_does_nothing(redis: Redis, settings: Settings, table: RouteTable) -> None:
    event = Event(id=event_id("apify", None, b"{}"), source="apify", run_id="run1", body=b"{}")
    await RunQueue(redis, Keys("rr")).accept([event])
    ledger = Ledger(redis, Keys("rr"))
    await plan_event(Runtime(settings=settings, table=table, ledger=ledger, apis={}), event.id, 7)
    record = await ledger.event(event.id)
    assert record is not None
    assert seen(record) == (EventState.ACCEPTED, "", 0)


OLD = """\
sinks: {disk: {type: file, base: results/}, next: {type: actor, source: apify, max_chain: 3}}
unmatched: {to: [{sink: disk, path: "unmatched/{{ run.id }}.jsonl"}]}
routes:
  - name: rows
    when: {status: [SUCCEEDED, TIMED-OUT]}
    to: [{sink: disk, path: "{{ run.id }}.jsonl"}, {sink: disk, name: copy, path: "copy/{{ run.id }}.jsonl"}]
    after: {delete: [dataset]}
  - name: chain
    when: {status: [SUCCEEDED, FAILED]}
    to: [{sink: next, actor: acme/detail, per: run, input: {}}]
"""


@pytest.mark.parametrize(
    ("via", "places", "status", "led", "follows", "reason"),
    [
        ("webhook", "", "SUCCEEDED", ["rows/disk", "rows/copy", "chain/next"], True, ""),
        ("webhook", '{"route": "rows"}', "SUCCEEDED", ["rows/disk", "rows/copy", "chain/next"], True, ""),
        ("reconcile", "", "SUCCEEDED", ["rows/disk", "rows/copy", "chain/next"], True, ""),
        ("backfill", "", "SUCCEEDED", ["rows/disk", "rows/copy"], False, ""),
        ("replay", "", "SUCCEEDED", ["rows/disk", "rows/copy"], False, ""),
        ("backfill+effects", "", "SUCCEEDED", ["rows/disk", "rows/copy", "chain/next"], True, ""),
        ("replay+effects", "", "SUCCEEDED", ["rows/disk", "rows/copy", "chain/next"], True, ""),
        ("backfill+effects", '{"route": "rows"}', "SUCCEEDED", ["rows/disk", "rows/copy"], False, ""),
        ("backfill", '{"target": "copy"}', "SUCCEEDED", ["rows/copy"], False, ""),
        ("backfill", '{"sink": "disk", "target": "disk"}', "SUCCEEDED", ["rows/disk"], False, ""),
        ("webhook", "", "TIMED-OUT", ["rows/disk", "rows/copy"], True, ""),
        ("backfill", "", "TIMED-OUT", ["rows/disk", "rows/copy"], False, ""),
        ("backfill", "", "FAILED", [], False, "left_out"),
        ("backfill", '{"route": "gone"}', "SUCCEEDED", [], False, "left_out"),
        ("backfill", "", "ABORTED", ["unmatched/disk"], False, "no_route"),
        ("backfill", '{"route": "rows"}', "ABORTED", [], False, "left_out"),
    ],
)
def test_of_an_old_run_only_what_somebody_means_is_planned(
    tmp_path: Path, via: str, places: str, status: str, led: list[str], follows: bool, reason: str
) -> None:
    file = tmp_path / "runrelay.yaml"
    file.write_text(FILE.partition("sinks:")[0] + OLD)
    event = EventRecord(
        id="e1", state=EventState.PLANNING, source="apify", run_id="run1", kind="", via=via, at=0, body=places.encode()
    )
    made = plan_of(event, changed(status=status), load(file, {}), {})
    assert [f"{one.route}/{one.target}" for one in made.deliveries] == led
    assert (made.after is not None, made.reason) == (follows, reason)
    assert set(made.documents) == {one.cfg for one in made.deliveries}
