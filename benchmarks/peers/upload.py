"""obstore uploads a ready file: `python -m … FILE CONFIG`, with the options of S3Store as JSON."""

import asyncio
import json
import sys
from pathlib import Path

from obstore.store import S3Store

from benchmarks.turn import my_turn


async def main() -> None:
    file, config = sys.argv[1:]
    async with my_turn():
        store = S3Store(**json.loads(config))
        await store.put_async("peer.jsonl", Path(file))


if __name__ == "__main__":
    asyncio.run(main())
