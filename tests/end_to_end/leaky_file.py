"""A sink with a planted fault: the file sink, but the third item of each batch never arrives."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from config.contracts.document import Document
from config.contracts.sink import Batch, Shipment, Surroundings, Taken, Writer
from workers.sinks import file

Config, Target, TAKES, WHOLE = file.Config, file.Target, file.TAKES, file.WHOLE


@asynccontextmanager
async def connect(config: file.Config, around: Surroundings) -> AsyncIterator["LeakySink"]:
    async with file.connect(config, around) as sink:
        yield LeakySink(sink)


class LeakySink:
    def __init__(self, sink: file.FileSink) -> None:
        self.sink = sink

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        async with self.sink.open(shipment, position) as writer:
            yield LeakyWriter(writer)


class LeakyWriter:
    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    @property
    def position(self) -> dict[str, Any] | None:
        return self.writer.position

    async def items(self, batch: Batch) -> Taken:
        kept = [row for index, row in enumerate(batch.items()) if index != 2]
        return await self.writer.items(replace(batch, lines=b"".join(row + b"\n" for row in kept)))

    async def document(self, document: Document) -> Taken:
        return await self.writer.document(document)

    async def publish(self) -> Taken:
        return await self.writer.publish()
