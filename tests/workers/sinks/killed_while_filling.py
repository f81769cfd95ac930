"""A process that dies without a word: run by test_sqlite.py with a database and a moment as its arguments.

It prints the position after the first batch and is killed in the second one: `within` its transaction, or `behind` it.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from tests.workers.sinks.database import into, opened
from workers.sinks._table import Table
from workers.testing.contract import THREE
from workers.testing.shipments import batches, shipment


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def fill(path: Path, moment: str) -> None:
    first, second, _ = batches(*THREE)
    async with opened(path) as sink, sink.open(shipment(into(columns="json")), None) as writer:
        taken = await writer.items(first)
        print(json.dumps(taken.position), flush=True)
        if moment == "within":
            Table._reach = die  # type: ignore[assignment, method-assign]  # all rows are in
        await writer.items(second)
        die()


if __name__ == "__main__":
    asyncio.run(fill(Path(sys.argv[1]), sys.argv[2]))
