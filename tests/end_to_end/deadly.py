"""A sink with a planted fault: the process dies while it writes."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from config.contracts.sink import Batch, Shipment, Surroundings, Taken, Writer
from tests.end_to_end import leaky_file
from workers.sinks import file

Config, Target, TAKES, WHOLE = file.Config, file.Target, file.TAKES, file.WHOLE
#: What the process says with its exit code.
DIED = 99


@asynccontextmanager
async def connect(config: file.Config, around: Surroundings) -> AsyncIterator["DeadlySink"]:
    async with file.connect(config, around) as sink:
        yield DeadlySink(sink)


class DeadlySink(leaky_file.LeakySink):
    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        async with self.sink.open(shipment, position) as writer:
            yield DeadlyWriter(writer)


class DeadlyWriter(leaky_file.LeakyWriter):
    async def items(self, batch: Batch) -> Taken:
        os._exit(DIED)
