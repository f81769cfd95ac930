"""A sink that is somebody who is told of changes: it keeps what it was told, and what it makes of that.

`type: tests.workers.consumer`; whoever holds a `Consumer` under the name in the file sees what arrived, and says what
goes wrong.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from config.contracts.document import Document
from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Rejected, Shipment, Taken

TAKES = frozenset({"items", "requests"})


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str


class Target(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    staged: bool = False


Item = dict[str, Any]


@dataclass
class Consumer:
    """What arrived, and how.

    Attributes:
        has: key → item, by the field `id`, as somebody has it who does what each `_change` says.
        told: each item of each batch, in order; batches by number of delivery and index in `batches`.
        refused: keys of items that it does not take; with `staged`, it says so only when all is published.
        deadly: keys of items that end the delivery, after those before them in the batch were taken.
        lose: whether what was staged is gone the next time.
        before, after: called around each batch, and may raise.
    """

    has: dict[Any, Item] = field(default_factory=dict)
    told: list[Item] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    batches: list[list[Any]] = field(default_factory=list)
    staged: dict[str, list[tuple[int, Item]]] = field(default_factory=dict)
    refused: set[Any] = field(default_factory=set)
    deadly: set[Any] = field(default_factory=set)
    lose: bool = False
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None

    def take(self, item: Item) -> None:
        self.told.append(item)
        if item.get("_change") == "removed":
            self.has.pop(item["id"], None)
        else:
            self.has[item["id"]] = {name: value for name, value in item.items() if name != "_change"}


CONSUMERS: dict[str, Consumer] = {}


@asynccontextmanager
async def connect(config: Config, around: Any) -> AsyncIterator["Sink"]:
    yield Sink(CONSUMERS[config.name])


@dataclass
class Sink:
    consumer: Consumer

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator["_Writer"]:
        if self.consumer.lose and position is not None:
            self.consumer.lose, position = False, None
        yield _Writer(self.consumer, shipment, position)


class _Writer:
    def __init__(self, consumer: Consumer, shipment: Shipment, position: dict[str, Any] | None) -> None:
        self.consumer, self.id, self.position = consumer, shipment.delivery.id, position
        self.is_staged = shipment.options.staged  # type: ignore[attr-defined]  # our own options
        staged = consumer.staged.setdefault(self.id, [])
        del staged[position["rows"] if position else 0 :]

    async def items(self, batch: Batch) -> Taken:
        self.consumer.before()
        rows = list(zip(batch.numbers, map(json.loads, batch.items()), strict=True))
        refused = [] if self.is_staged else [row for row, item in rows if item["id"] in self.consumer.refused]
        if self.is_staged:
            self.consumer.staged[self.id] += rows
        self.consumer.batches.append([item["id"] for _, item in rows])
        for row, item in rows:
            if item["id"] in self.consumer.deadly:
                raise Permanent(Reason.TARGET_REFUSED, "no more of that")
            if row not in refused and not self.is_staged:
                self.consumer.rows.append(row)
                self.consumer.take(item)
        self.consumer.after()
        self.position = {"rows": len(self.consumer.staged[self.id])}
        count = batch.count - len(refused)
        rejected = tuple(Rejected(row, "not that one") for row in refused)
        return Taken(count, count, len(batch.lines), self.position, rejected)

    async def document(self, document: Document) -> Taken:
        raise NotImplementedError

    async def publish(self) -> Taken:
        refused = []
        for row, item in self.consumer.staged[self.id]:
            if item["id"] in self.consumer.refused:
                refused.append(Rejected(row, "not that one"))
            else:
                self.consumer.take(item)
        return Taken(-len(refused), 0, 0, rejected=tuple(refused))
