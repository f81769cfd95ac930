import asyncio
import json
import socket
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from asyncpg.pool import PoolConnectionProxy
from pydantic import BaseModel
from structlog.testing import capture_logs

from config.contracts.errors import Transient
from console.servers.postgres import PostgresServer
from tests.workers.sinks.postgres_database import Database, fill, into, opened
from workers.sinks import postgres
from workers.testing.contract import ALL, ODD, THREE, Connect, SinkContract, flat, send, stored, tagged
from workers.testing.killed import KilledContract
from workers.testing.servers import SECRET, ServerContract, silent_server
from workers.testing.shipments import batches, document, shipment

LATER = "2026-03-02T10:00:00.000Z"
WHOLE = into(columns="json")


@pytest.fixture
def far_side(postgres_server: PostgresServer) -> Database:
    return Database(postgres_server.url)


@pytest.fixture
def connect(far_side: Database) -> Connect:
    return lambda: opened(far_side)


class _Postgres(SinkContract):
    module = postgres
    options: BaseModel = WHOLE

    @pytest.fixture
    def settings(self, far_side: Database) -> dict[str, Any]:
        return {"url": far_side.url, "schema": far_side.schema}

    async def test_takes_documents_as_they_are(self, connect: Connect, far_side: Database) -> None:  # type: ignore[override]  # a narrower far side
        """It takes none."""
        async with connect() as sink, sink.open(self.ship(), None) as writer:
            with pytest.raises(TypeError, match="holds no documents"):
                await writer.document(document("A", "text/plain", b"a"))

    async def test_documents_sent_again_are_there_once(self, connect: Connect, far_side: Database) -> None:  # type: ignore[override]  # a narrower far side
        assert "records" not in self.module.TAKES


class TestPostgres(_Postgres, KilledContract, ServerContract):
    @pytest.fixture
    def down(self, far_side: Database, unused_port: int) -> Connect:
        return lambda: opened(far_side, url=f"postgresql://u:p@127.0.0.1:{unused_port}/x")

    @pytest.fixture
    def refused(self, far_side: Database) -> Connect:
        return lambda: opened(far_side, url=far_side.url.replace("for-one-demo-only", SECRET))

    @pytest.fixture
    async def silent(self, far_side: Database) -> AsyncIterator[Connect]:
        async with silent_server() as port:
            yield lambda: opened(far_side, url=f"postgresql://u:p@127.0.0.1:{port}/x", timeout="1s")

    async def test_odd_values_arrive_byte_for_byte(self, connect: Connect, far_side: Database) -> None:  # type: ignore[override]  # a narrower far side
        """What `jsonb` keeps: neither blanks nor the order of members nor a member's first value, and numbers exactly;
        of what it cannot hold the escape stays, as text."""
        with capture_logs() as logs:
            taken = await fill(connect, self.ship(), *ODD)
        found = far_side.rows("SELECT item::text FROM results ORDER BY _item")
        assert [item for (item,) in found] == [
            r'{"nul": "\\u0000", "lone": "\\ud800"}',
            '{"ß": "grüße 🎈", "sep": "a\u2028b\u0085c"}',
            '{"big": ' + "9" * 5000 + ', "one": 1.0, "small": 0.' + "0" * 399 + "1}",
            '{"a": 2, "b": {"a": [[], {}, [{"x": null}]]}}',
            '"=cmd"',
            "null",
        ]
        assert taken[0].rows == len(ODD)
        assert logs == [
            {"event": "postgres.odd", "log_level": "warning", "table": f"{far_side.schema}.results", "mended": 1}
            | {"dropped": 0}
        ]


class TestPostgresKeepsBytes(_Postgres):
    """In a table whose column `item` is `json`."""

    @pytest.fixture
    def far_side(self, postgres_server: PostgresServer) -> Database:
        kept = Bytes(postgres_server.url)
        return kept.made(f"CREATE TABLE {kept.schema}.results (item json)")


class Bytes(Database):
    def items(self, run: str) -> list[bytes]:
        found = self.rows("SELECT item::text FROM results WHERE _run_id = $1 ORDER BY _item", run)
        return [item.encode() for (item,) in found]


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class TestTwice:
    async def test_what_was_read_differently_after_a_restart_replaces_what_was_written(
        self, connect: Connect, far_side: Database
    ) -> None:
        """A request queue may have changed between two reads."""
        async with connect() as sink:
            await send(sink, shipment(WHOLE), batches(*THREE), publish=False)
            await send(sink, shipment(WHOLE), batches([b"7"], [b"8"]))
        assert far_side.items("r1") == [b"7", b"8"]

    @pytest.mark.parametrize("harm", ["DROP TABLE results", "DELETE FROM _runrelay_checkpoints"])
    async def test_a_database_that_does_not_have_what_the_ledger_knows_is_begun_again(
        self, connect: Connect, far_side: Database, harm: str
    ) -> None:
        async with connect() as sink:
            _, position = await send(sink, shipment(WHOLE), batches(*THREE), publish=False)
        far_side.change(harm)
        with capture_logs() as logs:
            async with connect() as sink, sink.open(shipment(WHOLE), position) as writer:
                assert writer.position is None
                for batch in batches(*THREE):
                    await writer.items(batch)
        assert logs == [{"event": "postgres.lost", "log_level": "warning", "table": f"{far_side.schema}.results"}]
        assert far_side.items("r1") == ALL

    async def test_a_writer_whose_place_was_taken_stops(self, connect: Connect, far_side: Database) -> None:
        first, second, third = batches(*THREE)
        async with connect() as sink, sink.open(shipment(WHOLE), None) as old:
            taken = await old.items(first)
            async with sink.open(shipment(WHOLE), stored(taken)) as new:
                await new.items(second)
                for late in (old.items(second), old.publish()):
                    with pytest.raises(Transient) as caught:
                        await late
                    assert caught.value.detail == f"another worker is writing to {far_side.schema}.results"
                await new.items(third)
        assert far_side.items("r1") == ALL

    @pytest.mark.parametrize("stamp", [True, False])
    async def test_whoever_takes_over_waits_for_a_transaction_under_way(
        self, connect: Connect, far_side: Database, stamp: bool
    ) -> None:
        options = into(stamp=stamp)
        first, second, third = batches(*THREE)
        async with connect() as sink, sink.open(shipment(options), None) as old:
            taken = await old.items(first)
            async with held(far_side, "LOCK TABLE results IN SHARE MODE") as let_go:
                late = asyncio.create_task(old.items(second))
                await waiting(far_side, 1)
                going_on = asyncio.create_task(send(sink, shipment(options), [second, third], stored(taken)))
                await waiting(far_side, 2)
                await let_go()
                await asyncio.gather(late, going_on)
        assert far_side.rows("SELECT n FROM results ORDER BY n") == [(1,), (2,), (3,), (4,), (5,)]

    @pytest.mark.parametrize("arrived", [True, False])
    async def test_whether_a_chunk_arrived_whose_answer_was_lost_is_looked_up(
        self, connect: Connect, far_side: Database, monkeypatch: pytest.MonkeyPatch, arrived: bool
    ) -> None:
        execute, proxy = PoolConnectionProxy.execute, PoolConnectionProxy

        async def cut(db: Any, query: str) -> Any:
            if query == "COMMIT":
                monkeypatch.setattr(proxy, "execute", execute)
                if arrived:
                    await execute(db, query)
                db.terminate()
                raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
            return await execute(db, query)

        first, second, third = batches(*THREE)
        async with connect() as sink, sink.open(shipment(WHOLE), None) as writer:
            taken = await writer.items(first)
            monkeypatch.setattr(proxy, "execute", cut)
            if arrived:
                assert (await writer.items(second)).rows == 1
                await writer.items(third)
            else:
                with pytest.raises(Transient):
                    await writer.items(second)
                await send(sink, shipment(WHOLE), [second, third], stored(taken))
        assert far_side.items("r1") == ALL

    async def test_without_a_stamp_what_was_written_is_not_written_again(
        self, connect: Connect, far_side: Database
    ) -> None:
        plain = into(stamp=False)
        first, *rest = batches(*THREE)
        async with connect() as sink:
            _, position = await send(sink, shipment(plain), [first], publish=False)
            await send(sink, shipment(plain), rest[:1], position, publish=False)
            taken, _ = await send(sink, shipment(plain), rest, position)
        assert far_side.rows("SELECT * FROM results") == [(1,), (2,), (3,), (4,), (5,)]
        assert [(part.rows, part.out) for part in taken] == [(1, 0), (2, 2), (0, 0)]

    async def test_ten_workers_that_make_one_table_at_once_lose_nothing(self, far_side: Database) -> None:
        async def one(run: str) -> None:
            async with opened(far_side) as sink:
                await send(sink, shipment(into(), run=run), batches(*tagged(run)))

        await asyncio.gather(*(one(f"r{number}") for number in range(10)))
        found = far_side.rows('SELECT _run_id, "of", n FROM results ORDER BY _run_id, _item')
        wanted = [(f"r{run}", json.loads(item)) for run in range(10) for item in flat(tagged(f"r{run}"))]
        assert found == [(run, item["of"], item["n"]) for run, item in wanted]

    async def test_more_deliveries_than_connections_share_them(self, connect: Connect, far_side: Database) -> None:
        runs = [f"r{number:02}" for number in range(3 * postgres.MOST)]
        async with connect() as sink:
            await asyncio.gather(*(send(sink, shipment(WHOLE, run=run), batches(*THREE)) for run in runs))
        assert far_side.rows("SELECT _run_id, count(*) FROM results GROUP BY 1 ORDER BY 1") == [
            (run, len(ALL)) for run in runs
        ]

    @pytest.mark.parametrize("options", [WHOLE, into(), into(mode="upsert", key="n")], ids=["json", "evolve", "upsert"])
    async def test_its_memory_is_that_of_a_few_chunks(
        self, connect: Connect, far_side: Database, options: postgres.Target
    ) -> None:
        """60 MB in chunks of 2 MB."""
        items = [b'{"n":%d,"text":"%s"}' % (n, b"x" * 10_000) for n in range(200)]
        (batch,) = batches(items)
        tracemalloc.start()
        async with connect() as sink, sink.open(shipment(options), None) as writer:
            for index in range(30):
                await writer.items(replace(batch, index=index, offset=200 * index))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert far_side.rows("SELECT count(*) FROM results") == [(200 if options.key else 6000,)]
        assert peak < 32 * 1024**2


@asynccontextmanager
async def held(far_side: Database, statement: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A transaction of somebody else's in which this was done, until it is let go."""
    db = await far_side.client()
    try:
        await db.execute(f"BEGIN; {statement}")
        yield lambda: db.execute("COMMIT")
    finally:
        db.terminate()


async def waiting(far_side: Database, sessions: int) -> None:
    """Until so many sessions wait for a lock that has to do with this schema."""
    while True:
        found = far_side.rows(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND strpos(query, $1) > 0",
            far_side.schema,
        )
        if found == [(sessions,)]:
            return
        await asyncio.sleep(0.01)
