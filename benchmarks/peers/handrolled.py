"""What people write: an arq job that fetches the run and its items with Apify's own client and writes them to a file.

`python -m … URL FOLDER NUMBER [--tuned]`. The receiver before it is not measured: the jobs are in the queue when the
worker starts. Nothing is counted, fsynced, or taken up again; `--tuned` are the settings that make arq fastest.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from apify_client import ApifyClientAsync
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

from benchmarks.turn import my_turn

TUNED: dict[str, Any] = {"max_jobs": 100, "poll_delay": 0.01, "keep_result": 0}


async def deliver(ctx: dict[str, Any], run_id: str) -> None:
    client: ApifyClientAsync = ctx["client"]
    run = await client.run(run_id).get()
    assert run
    with (ctx["folder"] / f"{run_id}.jsonl").open("w", encoding="utf-8") as file:
        async for item in client.dataset(run.default_dataset_id).iterate_items():
            file.write(json.dumps(item, ensure_ascii=False) + "\n")


async def main(url: str, folder: Path, number: int, tuning: dict[str, Any]) -> None:
    redis = await create_pool(RedisSettings.from_dsn(os.environ["REDIS_URL"]))
    for n in range(number):
        await redis.enqueue_job("deliver", f"run{n:014d}")
    ctx = {"client": ApifyClientAsync("a-token", api_url=url), "folder": folder}
    worker = Worker([func(deliver, name="deliver")], redis_pool=redis, burst=True, ctx=ctx, **tuning)
    async with my_turn():
        await worker.async_run()


if __name__ == "__main__":
    tuned = TUNED if "--tuned" in sys.argv else {}
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), tuned))
