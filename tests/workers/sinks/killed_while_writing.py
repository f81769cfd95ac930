"""A process that dies without a word: run by test_file.py with the sink's folder as its argument.

It prints the position after the first batch, writes the second one, and is killed before any checkpoint could know.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from workers.sinks import file
from workers.testing.contract import THREE
from workers.testing.shipments import around, batches, shipment


async def die(base: Path) -> None:
    first, second, _ = batches(*THREE)
    async with (
        file.connect(file.Config(base=base), around(base)) as sink,
        sink.open(shipment(file.Target()), None) as writer,
    ):
        taken = await writer.items(first)
        print(json.dumps(taken.position), flush=True)
        await writer.items(second)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(die(Path(sys.argv[1])))
