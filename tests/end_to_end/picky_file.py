"""A sink that is hard to please: the file sink, but it takes no more than three items at a time, and refuses some."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from config.contracts.document import Document
from config.contracts.sink import Batch, Rejected, Shipment, Surroundings, Taken, Writer
from workers.sinks import file

TAKES, WHOLE = frozenset({"items", "requests"}), True


class Config(file.Config, frozen=True):
    """`refuses`: rows that are refused, by number. `pause`: seconds that publishing takes. `takes`: items of
    a batch that it takes."""

    refuses: frozenset[int] = frozenset()
    pause: float = 0.0
    takes: int = 3


class Target(file.Target, frozen=True):
    """As that of the file sink."""


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["PickySink"]:
    plain = file.Config(base=config.base)
    async with file.connect(plain, around) as sink:
        yield PickySink(sink, config)


class PickySink:
    def __init__(self, sink: Any, config: Config) -> None:
        self.sink, self.config = sink, config

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        async with self.sink.open(shipment, position) as writer:
            yield PickyWriter(writer, self.config)


class PickyWriter:
    def __init__(self, writer: Writer, config: Config) -> None:
        self.writer, self.refuses, self.pause, self.takes = writer, config.refuses, config.pause, config.takes

    @property
    def position(self) -> dict[str, Any] | None:
        return self.writer.position

    async def items(self, batch: Batch) -> Taken:
        rows = list(zip(batch.numbers, batch.items(), strict=True))[: self.takes]
        good = b"".join(item + b"\n" for number, item in rows if number not in self.refuses)
        bad = tuple(Rejected(number, "it is not to my taste") for number, _ in rows if number in self.refuses)
        taken = await self.writer.items(Batch(batch.index, batch.offset, good, good.count(b"\n")))
        return replace(taken, rejected=bad, left=batch.count - len(rows))

    async def document(self, document: Document) -> Taken:
        raise TypeError("it takes items only")

    async def publish(self) -> Taken:
        await asyncio.sleep(self.pause)
        return await self.writer.publish()
