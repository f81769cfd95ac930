"""dlt, into a DuckDB file: each load is a process of its own, and takes its seconds."""

import asyncio
import gzip
import json
import os
import signal
from pathlib import Path
from typing import Any

import asyncpg
import duckdb
import pytest

from config.contracts.errors import Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Taken
from console.servers.postgres import PASSWORD, PostgresServer
from tests.workers.sinks.never import TakesNoDocuments
from workers.sinks import dlt
from workers.testing.contract import ALL, Connect, SinkContract, send
from workers.testing.servers import SECRET
from workers.testing.shipments import around, batches, shipment

LATER = "2026-03-02T10:00:00.000Z"


class Warehouse:
    """What any reader of the database finds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def items(self, run: str) -> list[bytes]:
        return [] if not self.path.exists() else [self._item(row) for row in self.rows(f"_run_id = '{run}'")]

    def _item(self, row: dict[str, Any]) -> bytes:
        said = {name: value for name, value in row.items() if not name.startswith("_") and value is not None}
        return json.dumps(said, separators=(",", ":")).encode()

    def rows(self, where: str = "true") -> list[dict[str, Any]]:
        with duckdb.connect(str(self.path), read_only=True) as db:
            if not db.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'results'").fetchall():
                return []
            found = db.execute(f"SELECT * FROM scrapes.results WHERE {where} ORDER BY _run_id, _item")
            names = [one[0] for one in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@pytest.fixture
def far_side(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb")


@pytest.fixture
def connect(far_side: Warehouse, tmp_path: Path) -> Connect:
    config = dlt.Config(destination="duckdb", dataset="scrapes", credentials=str(far_side.path))
    return lambda: dlt.connect(config, around(tmp_path / "spool"))


def into(**options: Any) -> dlt.Target:
    return dlt.Target.model_validate({"table": "results", **options})


class TestDlt(TakesNoDocuments, SinkContract):
    module = dlt
    options = into()

    async def test_odd_values_arrive_byte_for_byte(self, connect: Connect, far_side: Warehouse) -> None:  # type: ignore[override]  # a narrower far side
        """As columns have them: nothing is lost."""
        odd = [
            rb'{"nul":"a\u0000b","list":[1,{"a":null}]}',
            b'{"Big":' + b"9" * 40 + b',"small":1e400,"fine":"gr\xc3\xbc\xc3\x9fe"}',
            b'"=cmd"',
            b"null",
        ]
        async with connect() as sink:
            await send(sink, self.ship(), batches(odd))
        rows = [{name: value for name, value in row.items() if value is not None} for row in far_side.rows()]
        assert [{name: row[name] for name in row if not name.startswith("_")} for row in rows] == [
            {"nul": r"a\u0000b", "list": '[1,{"a":null}]'},
            {"big": "9" * 40, "small": "inf", "fine": "grüße"},
            {"value": "=cmd"},
            {},
        ]
        assert [row["_item"] for row in rows] == [0, 1, 2, 3]

    async def test_takes_an_item_of_nine_megabytes(self, connect: Connect, far_side: Warehouse) -> None:  # type: ignore[override]  # a narrower far side
        async with connect() as sink:
            await send(sink, self.ship(), batches([b'{"html":"' + b"x" * 9_000_000 + b'"}']))
        assert [len(row["html"]) for row in far_side.rows()] == [9_000_000]

    async def test_serves_several_deliveries_at_once(self, connect: Connect, far_side: Warehouse) -> None:  # type: ignore[override]  # a file takes one process at a time
        async with connect() as sink:
            for run in ("r1", "r2"):
                await send(sink, self.ship(run), batches(ALL))
        assert far_side.items("r1") == far_side.items("r2") == ALL


async def load(connect: Connect, target: dlt.Target, *items: bytes, **facts: Any) -> None:
    async with connect() as sink:
        await send(sink, shipment(target, **facts), batches(list(items)))


class TestModes:
    async def test_upsert_keeps_one_row_for_each_key(self, connect: Connect, far_side: Warehouse) -> None:
        target = into(mode="upsert", key=["url"])
        await load(connect, target, b'{"url":"a","price":1}', b'{"url":"b","price":2}')
        await load(connect, target, b'{"url":"b","price":3}', b'{"url":"c","price":4}', run="r2")
        assert {row["url"]: row["price"] for row in far_side.rows()} == {"a": 1, "b": 3, "c": 4}

    async def test_replace_run_writes_a_run_anew(self, connect: Connect, far_side: Warehouse) -> None:
        target = into(mode="replace_run")
        await load(connect, target, b'{"n":1}', b'{"n":2}', b'{"n":3}')
        await load(connect, target, b'{"n":7}', run="r2")
        await load(connect, target, b'{"n":4}', life=LATER)
        assert [(row["_run_id"], row["n"]) for row in far_side.rows()] == [("r1", 4), ("r2", 7)]
        assert target.whole

    async def test_a_load_that_is_killed_is_begun_again(self, connect: Connect, far_side: Warehouse) -> None:
        """The process that loads dies at some moment of its work."""
        items = [b'{"n":%d}' % n for n in range(2000)]
        async with connect() as sink, sink.open(shipment(into()), None) as writer:
            await writer.items(batches(items)[0])
            work = asyncio.create_task(writer.publish())
            await asyncio.sleep(2.5)
            for child in loading():
                os.kill(child, signal.SIGKILL)
            (ended,) = await asyncio.gather(work, return_exceptions=True)
            assert isinstance(ended, Transient | Taken), "it may have been faster"
            await writer.publish()
        assert far_side.items("r1") == items


def loading() -> list[int]:
    """Children of ours that load; servers of other tests are children, too."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(one) for one in children if b"_dlt_load" in Path(f"/proc/{one}/cmdline").read_bytes()]


class TestTroubles:
    @pytest.mark.parametrize(
        ("config", "verdict", "reason", "told"),
        [
            (
                {"destination": "bigqery"},
                Permanent,
                Reason.PLUGIN_MISSING,
                "dlt knows no destination `bigqery`: known are athena, bigquery, clickhouse, ",
            ),
            (
                {"destination": "bigquery"},
                Unauthorized,
                Reason.TARGET_REFUSED,
                "dlt lacks credentials: say `credentials` with `project_id`, `private_key`",
            ),
            (
                {"destination": "postgres", "credentials": "postgresql://me:a-secret-0123@127.0.0.1:9/x"},
                Transient,
                Reason.TARGET_UNAVAILABLE,
                "refused",
            ),
            ({"destination": "duckdb", "credentials": "/x/y.db"}, Unauthorized, Reason.TARGET_REFUSED, "No such file"),
        ],
    )
    async def test_what_is_wrong_is_one_line(
        self, tmp_path: Path, config: dict[str, Any], verdict: type[WorkError], reason: Reason, told: str
    ) -> None:
        made = dlt.Config.model_validate({"dataset": "scrapes", **config})
        async with dlt.connect(made, around(tmp_path)) as sink:
            with pytest.raises(verdict) as raised:
                await sink.check(into())
        assert raised.value.reason is reason
        assert told in raised.value.detail
        assert "a-secret" not in raised.value.detail
        assert "\n" not in raised.value.detail

    def test_a_password_inside_of_a_url_is_hidden_as_well(self, tmp_path: Path) -> None:
        config = dlt.Config(destination="postgres", dataset="x", credentials="postgresql://me:a%40secret@db/x")
        hidden = dlt.DltSink(config, tmp_path)._hidden("it says a%40secret,\nor a@secret")
        assert hidden == "it says ***, or ***"

    async def test_a_frozen_table_takes_no_other_columns(self, connect: Connect, far_side: Warehouse) -> None:
        await load(connect, into(), b'{"n":1}')
        with pytest.raises((Permanent, Unauthorized)) as raised:
            await load(connect, into(columns="freeze"), b'{"n":1,"more":2}', run="r2")
        assert "more" in raised.value.detail
        assert [row["_run_id"] for row in far_side.rows()] == ["r1"]


class TestOtherDestinations:
    async def test_postgres(self, postgres_server: PostgresServer, tmp_path: Path) -> None:
        config = dlt.Config(destination="postgres", dataset="by_dlt", credentials=postgres_server.url)
        target = into(mode="upsert", key=["url"])
        for _ in range(2):
            async with dlt.connect(config, around(tmp_path)) as sink:
                await sink.check(target)
                await send(sink, shipment(target), batches([b'{"url":"a","price":1.5}', b'{"url":"b","tags":["x"]}']))
        db = await asyncpg.connect(postgres_server.url)
        rows = await db.fetch("SELECT url, price, tags FROM by_dlt.results ORDER BY url")
        await db.close()
        assert [tuple(row) for row in rows] == [("a", 1.5, None), ("b", None, '["x"]')]

    async def test_a_wrong_password_pauses_the_target(self, postgres_server: PostgresServer, tmp_path: Path) -> None:
        url = postgres_server.url.replace(PASSWORD, SECRET)
        config = dlt.Config(destination="postgres", dataset="by_dlt", credentials=url)
        async with dlt.connect(config, around(tmp_path)) as sink:
            with pytest.raises(Unauthorized, match="password") as raised:
                await sink.check(into())
        assert raised.value.reason is Reason.TOKEN_REFUSED
        assert SECRET not in raised.value.detail

    async def test_files_which_cannot_be_merged(self, tmp_path: Path) -> None:
        config = dlt.Config(
            destination="filesystem", dataset="scrapes", options={"bucket_url": (tmp_path / "lake").as_uri()}
        )
        async with dlt.connect(config, around(tmp_path / "spool")) as sink:
            await send(sink, shipment(into()), batches(ALL))
        (written,) = (tmp_path / "lake" / "scrapes" / "results").iterdir()
        assert gzip.decompress(written.read_bytes()).count(b"\n") == len(ALL)
