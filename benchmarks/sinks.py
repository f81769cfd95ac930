"""Our sinks beside what people use instead, on real servers: Postgres, Parquet files, and S3."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.comparison import Comparison, Sample, in_turns
from benchmarks.measure import Failed, cpu_seconds, peak_mb, running
from benchmarks.pages import DIFFERENT_PAGES, ITEM_BYTES, PAGE, item
from console.servers.postgres import embedded_postgres
from console.servers.seaweedfs import ACCESS_KEY, SECRET_KEY, embedded_seaweedfs

QUANTITIES = {"rate": "items/s", "cpu": "CPU s per 100 k", "rss": "peak MB"}
#: seconds one contender may take
MOST_SECONDS = 600.0
BUCKET = "runrelay-bench"

Count = Callable[[], Awaitable[int]]


@dataclass(frozen=True)
class Filler:
    """A contender: a module with its arguments behind the file, and how many rows are there afterwards."""

    module: str
    args: Sequence[str]
    count: Count


def ours(sink: str, config: Mapping[str, Any], options: Mapping[str, Any], spool: Path, count: Count) -> Filler:
    told = [f"workers.sinks.{sink}", json.dumps(config), json.dumps(options), str(spool)]
    return Filler("benchmarks.filling", told, count)


async def fill(filler: Filler, file: Path, rows: int, prepare: Count | None = None) -> Sample:
    """Raises Failed unless exactly the rows of the file arrive."""
    if prepare:
        await prepare()
    async with running(filler.module, str(file), *filler.args) as child:
        await child.line(60.0)
        before, began = cpu_seconds(child.pid), time.perf_counter()
        await child.go()
        _, *figures = (await child.line(MOST_SECONDS)).split()
        took, used = time.perf_counter() - began, cpu_seconds(child.pid) - before
        more, peak = (float(figures[0]), float(figures[1])) if figures else (0.0, 0.0)
        sample = {"rate": rows / took, "cpu": (used + more) / rows * 1e5, "rss": peak or peak_mb(child.pid)}
    if (found := await filler.count()) != rows:
        raise Failed(f"{filler.module} {filler.args[:1]}: {found} rows arrived, not {rows}")
    return sample


@contextmanager
def dataset(rows: int) -> Iterator[tuple[Path, Path]]:
    """A folder, and a file of so many items in it, in pages that repeat."""
    with TemporaryDirectory(prefix="rr-bench-") as folder:
        path = Path(folder) / "items.jsonl"
        pages = ["".join(item(PAGE * page + n) + "\n" for n in range(PAGE)) for page in range(DIFFERENT_PAGES)]
        with path.open("w", encoding="utf-8") as file:
            for page in range(rows // PAGE):
                file.write(pages[page % DIFFERENT_PAGES])
        yield Path(folder), path


async def compare_postgres(repetitions: int, rows: int) -> Comparison:
    """Each contender begins with an empty database."""
    import asyncpg

    with embedded_postgres() as server, dataset(rows) as (folder, file):

        async def run(statement: str) -> int:
            db = await asyncpg.connect(server.url)
            try:
                return int(await db.fetchval(statement) or 0)
            finally:
                await db.close()

        async def empty() -> int:
            for schema in ("public", "peer"):
                await run(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            return await run("CREATE SCHEMA public")

        into = partial(ours, "postgres", {"url": server.url}, spool=folder / "spool")

        def rows_of(table: str) -> Count:
            return partial(run, f"SELECT count(*) FROM {table}")

        fillers = {
            "psql \\copy": Filler("benchmarks.peers.psql_copy", [server.url], rows_of("copied")),
            "executemany": Filler("benchmarks.peers.executemany", [server.url], rows_of("inserted")),
            "dlt": Filler(
                "benchmarks.peers.dlt_load",
                ["postgres", server.url, str(folder / "dlt")],
                rows_of("peer.items"),
            ),
            "Runrelay, columns: json": into({"table": "ours", "columns": "json"}, count=rows_of("ours")),
            "Runrelay, columns: evolve": into({"table": "ours"}, count=rows_of("ours")),
        }
        contenders = {name: partial(fill, filler, file, rows, empty) for name, filler in fillers.items()}
        samples = await in_turns(contenders, repetitions)
    peers = ("psql \\copy", "executemany", "dlt")
    return Comparison(f"{rows:,} items of {ITEM_BYTES} bytes into Postgres", QUANTITIES, peers, samples)


async def compare_parquet(repetitions: int, rows: int) -> Comparison:
    """dlt's `filesystem` destination, and pyarrow with all of it in memory."""
    import pyarrow.parquet

    with dataset(rows) as (folder, file):

        async def count() -> int:
            found = [*out.rglob("*.parquet")]
            # dlt makes tables of their own for lists
            main = [path for path in found if path.parent.name in {out.name, "items"}]
            counted = sum(int(pyarrow.parquet.read_metadata(path).num_rows) for path in main)
            for path in found:
                path.unlink()
            return counted

        out = folder / "out"
        out.mkdir()
        fillers = {
            "pyarrow alone": Filler("benchmarks.peers.arrow", [str(out / "peer.parquet")], count),
            "dlt filesystem": Filler(
                "benchmarks.peers.dlt_load",
                ["filesystem", f"file://{out}", str(folder / "dlt"), "parquet"],
                count,
            ),
            "Runrelay": ours("file", {"base": str(out)}, {"path": "ours.parquet"}, folder / "spool", count),
        }
        contenders = {name: partial(fill, filler, file, rows) for name, filler in fillers.items()}
        samples = await in_turns(contenders, repetitions)
    return Comparison(
        f"{rows:,} items of {ITEM_BYTES} bytes into one Parquet file",
        QUANTITIES,
        ("pyarrow alone", "dlt filesystem"),
        samples,
    )


async def compare_s3(repetitions: int, rows: int) -> Comparison:
    """The same bytes into the same bucket; ours are staged and counted on the way."""
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    with embedded_seaweedfs() as server, dataset(rows) as (folder, file):
        reach: Any = {
            "bucket": BUCKET,
            "endpoint": server.url,
            "region": "us-east-1",
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "client_options": {"allow_http": True},
            "virtual_hosted_style_request": False,
        }
        store = S3Store(**reach)

        async def empty() -> int:
            for key in ("ours.jsonl", "peer.jsonl"):
                for _ in range(50):
                    try:
                        await store.put_async(key, b"")
                        await store.delete_async(key)
                        break
                    except BaseError:  # it answers before it can write
                        await asyncio.sleep(0.2)
            return 0

        async def count(key: str) -> int:
            lines = 0
            async for chunk in (await store.get_async(key)).stream(min_chunk_size=1 << 20):
                lines += bytes(chunk).count(b"\n")
            return lines

        config = {
            "url": f"s3://{BUCKET}/",
            "endpoint": server.url,
            "region": "us-east-1",
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
        }
        spool = folder / "spool"
        fillers = {
            "obstore upload": Filler("benchmarks.peers.upload", [json.dumps(reach)], partial(count, "peer.jsonl")),
            "Runrelay": ours("object_store", config, {"path": "ours.jsonl"}, spool, partial(count, "ours.jsonl")),
        }
        contenders = {name: partial(fill, filler, file, rows, empty) for name, filler in fillers.items()}
        samples = await in_turns(contenders, repetitions)
    return Comparison(
        f"{rows:,} items of {ITEM_BYTES} bytes into one S3 object", QUANTITIES, ("obstore upload",), samples
    )


async def compare_memory(sizes: Sequence[int]) -> Comparison:
    """What a sink's process holds at most, by the size of the dataset. What talks to a server has one."""
    samples: dict[str, list[Sample]] = {}
    for size in sizes:
        with dataset(size) as (folder, file), embedded_postgres() as postgres:
            for name, filler in _flat(folder, postgres.url, size).items():
                samples[f"{name}, {size:,}"] = [await fill(filler, file, size)]
    return Comparison("Memory of sinks", QUANTITIES, (), samples)


def _flat(folder: Path, postgres: str, size: int) -> dict[str, Filler]:
    spool = folder / "spool"

    async def told() -> int:
        return size  # `filling` has compared the counts

    async def in_sqlite() -> int:
        with sqlite3.connect(folder / "ours.db") as db:
            return int(db.execute("SELECT count(*) FROM ours").fetchone()[0])

    table = {"table": "ours"}
    fillers = {
        f"file {suffix}": ours("file", {"base": str(folder)}, {"path": f"ours{suffix}"}, spool, told)
        for suffix in (".jsonl", ".jsonl.gz", ".jsonl.zst", ".csv", ".parquet")
    }
    return {
        **fillers,
        "sqlite": ours("sqlite", {"path": str(folder / "ours.db")}, table, spool, in_sqlite),
        "duckdb": ours("duckdb", {"path": str(folder / "ours.duckdb")}, table, spool, told),
        "postgres": ours("postgres", {"url": postgres}, table, spool, told),
    }
