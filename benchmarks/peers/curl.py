"""`curl -o file`, everything in one answer: `python -m … URL FILE`. For people who need nothing but the file."""

import asyncio
import resource
import sys

from benchmarks.pages import DATASET_ID
from benchmarks.turn import my_turn


async def main() -> None:
    url, path = sys.argv[1:]
    async with my_turn(_used):
        curl = await asyncio.create_subprocess_exec(
            "curl", "--silent", "--fail", "--output", path, f"{url}/v2/datasets/{DATASET_ID}/items?format=jsonl"
        )
        if await curl.wait():
            raise SystemExit(f"curl ended with {curl.returncode}")


def _used() -> str:
    """CPU seconds and peak MB of curl itself (getrusage(2))."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return f"{used.ru_utime + used.ru_stime} {used.ru_maxrss / 1024}"


if __name__ == "__main__":
    asyncio.run(main())
