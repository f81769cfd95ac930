"""Apify's own client as its documentation shows it, each item written as a line: `python -m … URL FILE`."""

import asyncio
import json
import sys
from pathlib import Path

from apify_client import ApifyClientAsync

from benchmarks.pages import DATASET_ID
from benchmarks.turn import my_turn


async def copy(client: ApifyClientAsync, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        async for item in client.dataset(DATASET_ID).iterate_items():
            file.write(json.dumps(item, ensure_ascii=False) + "\n")


async def main() -> None:
    client = ApifyClientAsync("a-token", api_url=sys.argv[1])
    async with my_turn():
        await copy(client, Path(sys.argv[2]))


if __name__ == "__main__":
    asyncio.run(main())
