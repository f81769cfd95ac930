"""A dlt pipeline as its documentation shows it: `python -m … FILE DESTINATION WHERE WORK [FORMAT]`."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.turn import my_turn

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}


def items(path: str) -> Iterator[Any]:
    with Path(path).open("rb") as file:
        yield from map(json.loads, file)


def load(path: str, destination: str, where: str, work: str, format: str | None = None) -> None:
    import dlt

    made: Any = getattr(dlt.destinations, destination)(where)
    pipeline = dlt.pipeline(pipeline_name="peer", pipelines_dir=work, destination=made, dataset_name="peer")
    more: Any = {"loader_file_format": format} if format else {}
    pipeline.run(items(path), table_name="items", **more)


async def main() -> None:
    import dlt  # noqa: F401  # not what is measured

    async with my_turn():
        await asyncio.to_thread(load, *sys.argv[1:])


if __name__ == "__main__":
    asyncio.run(main())
