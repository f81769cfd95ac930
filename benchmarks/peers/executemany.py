"""`executemany` of asyncpg, a thousand rows at a time, as people write it: `python -m … FILE URL`."""

import asyncio
import sys
from itertools import islice

import asyncpg

from benchmarks.turn import my_turn


async def main() -> None:
    path, url = sys.argv[1:]
    async with my_turn():
        db = await asyncpg.connect(url)
        await db.execute("CREATE TABLE inserted (item jsonb)")
        with open(path, encoding="utf-8") as file:  # noqa: ASYNC230, PTH123  # as people write it
            while lines := list(islice(file, 1000)):
                await db.executemany("INSERT INTO inserted (item) VALUES ($1)", [(line,) for line in lines])
        await db.close()


if __name__ == "__main__":
    asyncio.run(main())
