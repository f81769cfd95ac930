"""One of our sinks takes a file of JSON Lines, batch by batch: `python -m … FILE MODULE CONFIG OPTIONS SPOOL [BATCH]`.

CONFIG and OPTIONS are JSON. Each batch is handed over when the far side has the one before, as the pipeline does; the
ledger is left out, as its peers have none.
"""

import asyncio
import importlib
import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from benchmarks.measure import Failed
from benchmarks.turn import my_turn
from config.contracts.sink import Batch
from workers.testing.shipments import around, shipment


async def main(file: str, name: str, config: str, options: str, spool: str, batch: str = "1000") -> None:
    module = importlib.import_module(name)
    shipped = shipment(module.Target.model_validate(json.loads(options)))
    sent = confirmed = 0
    async with (
        my_turn(),
        module.connect(module.Config.model_validate(json.loads(config)), around(Path(spool))) as sink,
        sink.open(shipped, None) as writer,
    ):
        for one in batches(Path(file), int(batch)):
            confirmed += (await writer.items(one)).rows
            sent += one.count
        confirmed += (await writer.publish()).rows
    if confirmed != sent:
        raise Failed(f"{sent} rows were sent, {confirmed} confirmed")


def batches(path: Path, size: int) -> Iterator[Batch]:
    with path.open("rb") as file:
        offset = index = 0
        while lines := list(islice(file, size)):
            yield Batch(index=index, offset=offset, lines=b"".join(lines), count=len(lines))
            offset, index = offset + len(lines), index + 1


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
