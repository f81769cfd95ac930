"""Runs that are delivered to somebody who is told of changes: real Redis and real turns, a platform that is played."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from config.contracts.api import Api
from config.contracts.delivery import Delivery, DeliveryState
from config.contracts.event import Event, EventState, event_id
from config.contracts.run import Run
from config.contracts.source import Count, Page, Requests, Settle, Source
from config.keys import Keys
from config.queue import RunQueue
from config.routes import load
from config.settings import Settings
from tests.workers.consumer import CONSUMERS, Consumer
from workers.delivering import deliver
from workers.ledger.ledger import Ledger
from workers.ledger.letters import Outcome, next_generation, replay, retry
from workers.ledger.records import DeliveryRecord
from workers.planner import delivery_of, sha_of
from workers.runtime import Runtime

FILE = """\
version: 1
sources: {{apify: {{token: tok-0123456789, webhook: {{secrets: [secret-0123456789]}}}}}}
sinks: {{{sink}: {{type: tests.workers.consumer, name: {name}}}}}
routes:
  - name: shop
    read: {{{read}}}
    to: [{{sink: {sink}, {only}batch: {{items: 3}}{more}}}]
"""
FINISHED = 1769758712.0
_names = itertools.count()


class Killed(BaseException):
    """The process is no more."""


@dataclass
class Moments:
    """Counts down to the moment at which a process dies; 0: it lives."""

    left: int = 0

    def pass_one(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


class MortalLedger(Ledger):
    """Dies right before or right after a step, if its moment has come."""

    moments = Moments()

    async def run(self, name: str, *args: str | int | bytes) -> Any:
        deadly = name in {"turn", "doubt", "checkpoint", "finish"}
        if deadly:
            self.moments.pass_one()
        answer = await super().run(name, *args)
        if deadly:
            self.moments.pass_one()
        return answer


@dataclass
class Platform:
    """A source whose datasets are lists; the API is not asked."""

    rows: dict[str, list[Any]] = field(default_factory=dict)
    name: str = "apify"
    grows: bool = True
    settle: Settle = field(default_factory=lambda: Settle(0.0, 90.0))
    accounts: tuple[str, ...] = ()

    def describe(self, run: Run) -> dict[str, Any]:
        return {"run": {"id": run.id}}

    async def page(self, api: Api, run: Run | None, dataset: str, offset: int, limit: int, *, most: int) -> Page:
        rows = self.rows[dataset][offset : offset + limit]
        lines = b"".join(row if isinstance(row, bytes) else msgspec.json.encode(row) + b"\n" for row in rows)
        return Page(lines, len(rows), len(rows), len(self.rows[dataset]), FINISHED * 2)

    async def count(self, api: Api, run: Run | None, dataset: str) -> Count:
        return Count(len(self.rows[dataset]), FINISHED * 2)

    async def requests(self, api: Api, queue: str, *, after: str | None) -> Requests:
        """Pages of two."""
        begin = int(after or 0)
        page = await self.page(api, None, queue, begin, 2, most=0)
        return Requests(page.lines, page.count, str(begin + 2) if begin + 2 < page.total else None, page.at)

    async def request_count(self, api: Api, queue: str) -> Count:
        return await self.count(api, None, queue)


class Feed:
    """One route to one consumer."""

    def __init__(
        self,
        redis: Redis,
        settings: Settings,
        folder: Path,
        only: str,
        more: str = "",
        read: str = "",
        sink: str = "crm",
    ) -> None:
        self.redis, self.settings = redis, settings
        name = f"crm{next(_names)}"
        self.consumer = CONSUMERS[name] = Consumer()
        self.path, self.only = folder / "runrelay.yaml", f"only: {{{only}}}, "
        self.platform = Platform()
        self.load(FILE.format(name=name, only=self.only, more=more, read=read, sink=sink))
        self.ledger = MortalLedger(redis, Keys("rr"))
        self.moments = self.ledger.moments = Moments()
        self.consumer.before = self.consumer.after = self.moments.pass_one
        self.started = 0

    def load(self, text: str) -> None:
        self.path.write_text(text)
        self.table = load(self.path, {})
        self.table.sources["apify"] = cast(Source, self.platform)
        self.route = self.table.routes[0]

    async def run_whole(self, rows: Sequence[Any]) -> DeliveryRecord:
        """One that is delivered while the file does not ask for changes."""
        text = self.path.read_text()
        self.load(text.replace(self.only, ""))
        record = await self.run(rows)
        self.load(text)
        return record

    def runtime(self) -> Runtime:
        return Runtime(settings=self.settings, table=self.table, ledger=self.ledger, apis={"apify": cast(Api, None)})

    async def plan(
        self, rows: Sequence[Any], *, finished: float = 0.0, status: str = "SUCCEEDED", id: str = ""
    ) -> Delivery:
        """A delivery of a run that left these rows; later than those before unless somebody says when it finished."""
        self.started += 1
        number = id or f"run{self.started}"
        at = finished or FINISHED + self.started
        self.platform.rows[number] = list(rows)
        run = Run(
            id=number,
            source="apify",
            status=status,
            succeeded=status == "SUCCEEDED",
            terminal=True,
            life=str(at),
            finished=at,
            account="me",
            datasets={"default": number},
            queues={"default": number},
        )
        event = Event(id=event_id("apify", None, number.encode()), source="apify", run_id=number, body=b"{}")
        await RunQueue(self.redis, Keys("rr")).accept([event])
        taken = await self.ledger.take_event(event.id, 1)
        assert taken
        document = self.table.document(self.route)
        one = delivery_of(event.id, run, self.route, self.route.to[0], cfg=sha_of(document))
        documents = {sha_of(document): document}
        await self.ledger.plan(taken[0], EventState.PLANNED, run=run, deliveries=[one], documents=documents)
        return one

    async def turn(self, one: Delivery) -> DeliveryRecord:
        """A turn of a delivery, in a process of its own; whoever had a turn before is dead."""
        await self.redis.delete(self.ledger.keys.lease(one.id))
        record = self.ledger.keys.record("dl", one.id)
        seq = int((await cast(Any, self.redis.hget(record, "seq"))) or 0)
        runtime = self.runtime()
        try:
            await deliver(runtime, one.id, seq, alone=True)
        except Killed:
            pass
        finally:
            await runtime.connections.close()
        return await self.record(one)

    async def record(self, one: Delivery) -> DeliveryRecord:
        found = await self.ledger.delivery(one.id)
        assert found
        return found

    async def through(self, one: Delivery) -> DeliveryRecord:
        """Turns until it has come to its end."""
        for _ in range(200):
            if (record := await self.turn(one)).state.final:
                return record
            assert record.reason != "internal_error", record.detail
        raise AssertionError(f"{record.state}: {record.reason} {record.detail}")

    async def run(self, rows: Sequence[Any], **more: Any) -> DeliveryRecord:
        return await self.through(await self.plan(rows, **more))

    async def retried(self, one: Delivery) -> DeliveryRecord:
        """A dead letter that somebody brings back."""
        assert await retry(self.ledger, await self.record(one)) is Outcome.DONE
        return await self.through(one)

    async def replayed(self, one: Delivery) -> DeliveryRecord:
        again = next_generation(one)
        assert await replay(self.ledger, "apify", one.run_id, [again]) == [Outcome.MADE]
        return await self.through(again)

    def heard(self) -> list[tuple[str, Any]]:
        """What the consumer was told since somebody last asked, as (change, id)."""
        told, self.consumer.told = self.consumer.told, []
        return [(item["_change"], item["id"]) for item in told]

    async def count(self, one: Delivery) -> Mapping[str, int]:
        row = (await self.record(one)).checkpoint.receipts[0]
        names = ("read", "filtered", "added", "rejected", "delivered")
        return {name: getattr(row, name) for name in names if getattr(row, name)}


DELIVERED, PARTIAL, DEAD = DeliveryState.DELIVERED, DeliveryState.PARTIAL, DeliveryState.DEAD


def items(**values: Any) -> list[dict[str, Any]]:
    return [{"id": key, "price": value} for key, value in values.items()]
