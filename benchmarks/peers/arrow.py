"""pyarrow alone, all of it in memory: `python -m … FILE PARQUET`."""

import asyncio
import sys

import pyarrow.json
import pyarrow.parquet

from benchmarks.turn import my_turn


async def main() -> None:
    file, to = sys.argv[1:]
    async with my_turn():
        options = pyarrow.json.ReadOptions(use_threads=False, block_size=16 << 20)
        pyarrow.parquet.write_table(pyarrow.json.read_json(file, options), to)


if __name__ == "__main__":
    asyncio.run(main())
