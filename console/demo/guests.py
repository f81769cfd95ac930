"""Sinks that a demo delivers to besides its own, each on the real server, and looked at without the sink."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config import plugins
from console.failures import CommandFailed

Environment = Mapping[str, str]
Row = dict[str, Any]
#: Items that people are shown of each.
SHOWN = 3
_TABLE = "table: modules"


@dataclass(frozen=True, slots=True)
class Found:
    """What lies there.

    Attributes:
        count: items.
        rows: the first of them, by column.
        where: for people.
    """

    count: int
    rows: list[Row]
    where: str


@dataclass(frozen=True, slots=True)
class Guest:
    """One sink.

    Attributes:
        sink: its options in runrelay.yaml.
        target: the options of the target.
        serve: starts what it needs, and says what `${…}` stands for; None if it needs nothing.
        look: what lies there, asked of the far side itself.
    """

    sink: str
    target: str
    look: Callable[[Environment, Path], Awaitable[Found]]
    serve: "Callable[[ExitStack], dict[str, str]] | None" = None


def chosen(names: str) -> dict[str, Guest]:
    """The guests of a list with commas, by name. Raises CommandFailed if one is unknown or lacks its package."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in GUESTS:
            raise CommandFailed("sink_unknown", f"the demo has no sink {name}: it has {', '.join(GUESTS)}")
        try:
            plugins.load("workers.sinks", _type(name), plugins.SINKS)
        except plugins.PluginMissing as missing:
            raise CommandFailed("plugin_missing", missing.message) from None
    return {name: GUESTS[name] for name in wanted}


@contextmanager
def served(guests: Mapping[str, Guest]) -> Iterator[dict[str, str]]:
    """The servers of all of them, and what their `${…}` stand for. Raises ConfigInvalid if one is not installed."""
    with ExitStack() as stack:
        environment: dict[str, str] = {}
        for guest in guests.values():
            environment |= guest.serve(stack) if guest.serve else {}
        yield environment


def written_into(routes: str, guests: Mapping[str, Guest]) -> str:
    """The routes file of the demo with a sink and a target more for each."""
    if not guests:
        return routes
    sinks = "".join(f"  {name}: {{{guest.sink}}}\n" for name, guest in guests.items())
    targets = "".join(f"      - {{sink: {name}, send: items, {guest.target}}}\n" for name, guest in guests.items())
    head, route = routes.split("\nroutes:\n")
    return f"{head}{sinks}\nroutes:\n{route}{targets}"


def _type(name: str) -> str:
    return GUESTS[name].sink.partition("type: ")[2].partition(",")[0]


# what serves


def _postgres(stack: ExitStack) -> dict[str, str]:
    from console.servers.postgres import embedded_postgres

    return {"DEMO_POSTGRES_URL": stack.enter_context(embedded_postgres()).url}


def _s3(stack: ExitStack) -> dict[str, str]:
    from console.servers.seaweedfs import ACCESS_KEY, SECRET_KEY, embedded_seaweedfs

    url = stack.enter_context(embedded_seaweedfs()).url
    asyncio.run(_make_bucket(url))
    return {"DEMO_S3_ENDPOINT": url, "DEMO_S3_KEY": ACCESS_KEY, "DEMO_S3_SECRET": SECRET_KEY}


async def _make_bucket(url: str) -> None:
    """Whoever has `Admin` makes a bucket by writing to it; writing works a little later than answering."""
    from obstore.exceptions import BaseError

    store = _store({"DEMO_S3_ENDPOINT": url}, "demo/")
    for left in reversed(range(50)):
        try:
            await store.put_async("ready", b"")
            await store.delete_async("ready")
            return
        except BaseError:
            if not left:
                raise
            await asyncio.sleep(0.2)


def _store(environment: Environment, prefix: str) -> Any:
    from obstore.store import S3Store

    from console.servers.seaweedfs import ACCESS_KEY, SECRET_KEY

    return S3Store(
        "runrelay-demo",
        prefix=prefix,
        endpoint=environment["DEMO_S3_ENDPOINT"],
        region="us-east-1",
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        client_options={"allow_http": True},
        virtual_hosted_style_request=False,
    )


# what looks


async def _in_postgres(environment: Environment, folder: Path) -> Found:
    import asyncpg

    db = await asyncpg.connect(environment["DEMO_POSTGRES_URL"])
    try:
        count = await db.fetchval("SELECT count(*) FROM modules")
        rows = await db.fetch("SELECT * FROM modules ORDER BY _item LIMIT $1", SHOWN)
    finally:
        await db.close()
    return Found(count, [dict(row) for row in rows], "the table modules")


async def _in_sqlite(environment: Environment, folder: Path) -> Found:
    return await asyncio.to_thread(_of_sqlite, folder / "modules.db")


def _of_sqlite(path: Path) -> Found:
    db = sqlite3.connect(path)
    db.row_factory = sqlite3.Row
    try:
        (count,) = db.execute("SELECT count(*) FROM modules").fetchone()
        rows = db.execute("SELECT * FROM modules ORDER BY _item LIMIT ?", (SHOWN,)).fetchall()
    finally:
        db.close()
    return Found(count, [dict(row) for row in rows], path.name)


async def _in_duckdb(environment: Environment, folder: Path) -> Found:
    return await asyncio.to_thread(_of_duckdb, folder / "modules.duckdb")


def _of_duckdb(path: Path) -> Found:
    import duckdb

    with duckdb.connect(str(path), read_only=True) as db:
        (count,) = db.execute("SELECT count(*) FROM modules").fetchone() or (0,)
        found = db.execute("SELECT * FROM modules ORDER BY _item LIMIT ?", [SHOWN])
        names = [one[0] for one in found.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return Found(count, rows, path.name)


async def _in_parquet(environment: Environment, folder: Path) -> Found:
    import pyarrow.parquet

    table = await asyncio.to_thread(pyarrow.parquet.read_table, folder / "modules.parquet")
    return Found(table.num_rows, table.slice(0, SHOWN).to_pylist(), "modules.parquet")


async def _in_s3(environment: Environment, folder: Path) -> Found:
    store = _store(environment, "apify/")
    answer = await store.get_async("modules.jsonl")
    lines = bytes(await answer.bytes_async()).splitlines()
    return Found(len(lines), [json.loads(line) for line in lines[:SHOWN]], "s3://runrelay-demo/apify/modules.jsonl")


GUESTS: dict[str, Guest] = {
    "postgres": Guest('type: postgres, url: "${DEMO_POSTGRES_URL}"', _TABLE, _in_postgres, _postgres),
    "object_store": Guest(
        'type: object_store, url: "s3://runrelay-demo/apify/", endpoint: "${DEMO_S3_ENDPOINT}", region: us-east-1, '
        'access_key: "${DEMO_S3_KEY}", secret_key: "${DEMO_S3_SECRET}"',
        "path: modules.jsonl",
        _in_s3,
        _s3,
    ),
    "duckdb": Guest("type: duckdb, path: modules.duckdb", _TABLE, _in_duckdb),
    "sqlite": Guest("type: sqlite, path: modules.db", _TABLE, _in_sqlite),
    "parquet": Guest("type: file, base: .", "path: modules.parquet", _in_parquet),
}


def compared(found: Mapping[str, Found], delivered: Mapping[str, int]) -> list[str]:
    """What the far sides hold, against what the receipts say; empty if all is well."""
    return [
        f"modules/{name}: the receipt says {delivered[name]}, but {one.count} items are in {one.where}"
        for name, one in found.items()
        if name in delivered and one.count != delivered[name]
    ]
