"""A schema of a Postgres database, looked at without asking the sink; and short ways to use one."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path
from typing import Any, Self

import asyncpg

from config.contracts.sink import Shipment, Sink, Taken
from workers.rows import STAMPS
from workers.sinks import postgres
from workers.testing.contract import Connect, send
from workers.testing.shipments import around, batches

#: The members of the contract's items, in the order it writes them: `jsonb` forgets it.
_ORDER = ("of", "n", "text", "html")
_schemas = count()


class Database:
    """What any client finds in one schema, which nobody else uses."""

    def __init__(self, url: str) -> None:
        self.url, self.schema = url, f"s{next(_schemas)}"

    def made(self, *statements: str) -> Self:
        """With the schema, and what these statements make in it."""
        self.change("; ".join([f"CREATE SCHEMA {self.schema}", *statements]))
        return self

    def items(self, run: str) -> list[bytes]:
        """The items of a run in a table `results` with `columns: json`."""
        found = self.rows("SELECT item::text FROM results WHERE _run_id = $1 ORDER BY _item", run)
        return [in_order(item) for (item,) in found]

    def documents(self, run: str) -> list[bytes]:
        raise TypeError("a table holds no documents")

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        async def fetch() -> list[tuple[Any, ...]]:
            db = await self.client()
            try:
                return [tuple(row) for row in await db.fetch(statement, *values)]
            finally:
                await db.close()

        found: list[tuple[Any, ...]] = in_a_thread(fetch)
        return found

    def change(self, script: str) -> None:
        async def execute() -> None:
            db = await self.client()
            try:
                await db.execute(script)
            finally:
                await db.close()

        in_a_thread(execute)

    async def client(self) -> Any:
        return await asyncpg.connect(self.url, server_settings={"search_path": self.schema})

    def columns(self, table: str = "results") -> dict[str, str]:
        """Column → type, without the stamp."""
        found = self.rows(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            f"{self.schema}.{table}",
        )
        return {name: kind for name, kind in found if name not in STAMPS}


def in_order(item: str) -> bytes:
    value = json.loads(item)
    if isinstance(value, dict) and set(value) <= set(_ORDER):
        value = {name: value[name] for name in _ORDER if name in value}
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def in_a_thread(work: Any) -> Any:
    """A test's loop is running already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


def opened(far_side: Database, **options: Any) -> AbstractAsyncContextManager[Sink]:
    config = {"url": far_side.url, "schema": far_side.schema, **options}
    return postgres.connect(postgres.Config.model_validate(config), around(Path("/nonexistent")))


def into(table: str = "results", **options: Any) -> postgres.Target:
    return postgres.Target.model_validate({"table": table, **options})


async def fill(connect: Connect, shipped: Shipment, *items: bytes) -> list[Taken]:
    """Deliver these items whole."""
    async with connect() as sink:
        taken, _ = await send(sink, shipped, batches(list(items)))
    return taken
