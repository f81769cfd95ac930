"""What lies at the far sides of a demo: each is asked with its own client, and never through the sink."""

import asyncio
import csv
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

Environment = Mapping[str, str]
Row = dict[str, Any]
#: Items that people are shown of each.
SHOWN = 3
#: Bucket, and what everything else is called: tables, streams, files.
BUCKET, NAME = "runrelay-demo", "modules"
#: Seconds for one message.
_PATIENCE = 10.0
#: No item is empty.
_END = b""


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


# tables


async def in_postgres(environment: Environment, folder: Path) -> Found:
    import asyncpg

    db = await asyncpg.connect(environment["DEMO_POSTGRES_URL"])
    try:
        count = await db.fetchval("SELECT count(*) FROM modules")
        rows = await db.fetch("SELECT * FROM modules ORDER BY _item LIMIT $1", SHOWN)
    finally:
        await db.close()
    return Found(count, [dict(row) for row in rows], "the table modules")


async def in_sqlite(environment: Environment, folder: Path) -> Found:
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


async def in_duckdb(environment: Environment, folder: Path) -> Found:
    return await asyncio.to_thread(_of_duckdb, folder / "modules.duckdb", "main")


async def in_warehouse(environment: Environment, folder: Path) -> Found:
    return await asyncio.to_thread(_of_duckdb, folder / "warehouse.duckdb", "demo")


def _of_duckdb(path: Path, schema: str) -> Found:
    import duckdb

    with duckdb.connect(str(path), read_only=True) as db:
        db.execute(f"USE {schema}")
        (count,) = db.execute("SELECT count(*) FROM modules").fetchone() or (0,)
        found = db.execute("SELECT * FROM modules ORDER BY _item LIMIT ?", [SHOWN])
        names = [one[0] for one in found.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return Found(count, rows, path.name)


# files and objects


async def in_parquet(environment: Environment, folder: Path) -> Found:
    import pyarrow.parquet

    table = await asyncio.to_thread(pyarrow.parquet.read_table, folder / "modules.parquet")
    return Found(table.num_rows, table.slice(0, SHOWN).to_pylist(), "modules.parquet")


async def in_csv(environment: Environment, folder: Path) -> Found:
    with (folder / "modules.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return Found(len(rows), [dict(row) for row in rows[:SHOWN]], "modules.csv")


async def in_xlsx(environment: Environment, folder: Path) -> Found:
    return await asyncio.to_thread(_of_xlsx, folder / "modules.xlsx")


def _of_xlsx(path: Path) -> Found:
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True)
    try:
        names, *rows = book.worksheets[0].iter_rows(values_only=True)
    finally:
        book.close()
    shown = [dict(zip(map(str, names), row, strict=False)) for row in rows[:SHOWN]]  # a row ends with its last value
    return Found(len(rows), shown, path.name)


async def in_s3(environment: Environment, folder: Path) -> Found:
    answer = await bucket(environment, "apify/").get_async("modules.jsonl")
    lines = bytes(await answer.bytes_async()).splitlines()
    return Found(len(lines), _read(lines), f"s3://{BUCKET}/apify/modules.jsonl")


def bucket(environment: Environment, prefix: str) -> Any:
    """The store of the demo's S3 server, below a prefix."""
    from obstore.store import S3Store

    return S3Store(
        BUCKET,
        prefix=prefix,
        endpoint=environment["DEMO_S3_ENDPOINT"],
        region="us-east-1",
        access_key_id=environment["DEMO_S3_KEY"],
        secret_access_key=environment["DEMO_S3_SECRET"],
        client_options={"allow_http": True},
        virtual_hosted_style_request=False,
    )


# queues and streams


async def in_redis_stream(environment: Environment, folder: Path) -> Found:
    from redis.asyncio import Redis

    async with Redis.from_url(environment["DEMO_REDIS_URL"]) as redis:
        count = await redis.xlen(NAME)
        entries = await redis.xrange(NAME, count=SHOWN)
    return Found(count, _read(entry[b"data"] for _, entry in entries), "the stream modules")


async def in_nats(environment: Environment, folder: Path) -> Found:
    import nats

    connection = await nats.connect(environment["DEMO_NATS_URL"])
    try:
        stream = connection.jetstream()
        count = (await stream.stream_info(NAME)).state.messages
        reader = await stream.subscribe(NAME, ordered_consumer=True)
        messages = [await reader.next_msg(_PATIENCE) for _ in range(min(count, SHOWN))]
    finally:
        await connection.close()
    return Found(count, _read(one.data for one in messages), "the JetStream stream modules")


async def in_kafka(environment: Environment, folder: Path) -> Found:
    """Read up to an end that is put there: this broker's own word for where that is may be too low."""
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

    servers, place = environment["DEMO_KAFKA_SERVERS"], TopicPartition(NAME, 0)
    async with AIOKafkaProducer(bootstrap_servers=servers) as writer, AIOKafkaConsumer(bootstrap_servers=servers) as it:
        await writer.send_and_wait(NAME, _END, partition=place.partition)
        it.assign([place])
        await it.seek_to_beginning(place)
        items = []
        while (item := (await asyncio.wait_for(it.getone(place), _PATIENCE)).value) != _END:
            items.append(item)
    return Found(len(items), _read(items), "the topic modules")


def _read(items: Iterable[bytes]) -> list[Row]:
    """The first items, from JSON."""
    return [json.loads(item) for item in islice(items, SHOWN)]
