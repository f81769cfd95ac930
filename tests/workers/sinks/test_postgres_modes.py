import asyncio
import itertools
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from config.contracts.sink import Rejected, writes_whole
from console.servers.postgres import PostgresServer
from tests.workers.sinks.postgres_database import Database, fill, into, opened
from workers.sinks import postgres
from workers.testing.contract import ALL, THREE, Connect, send
from workers.testing.shipments import batches, shipment

FIRST, LATER, LAST = (f"2026-03-0{day}T10:00:00.000Z" for day in (1, 2, 3))
WHOLE = into(columns="json")


@pytest.fixture
def far_side(postgres_server: PostgresServer) -> Database:
    return Database(postgres_server.url)


@pytest.fixture
def connect(far_side: Database) -> Connect:
    return lambda: opened(far_side)


class TestTwoRunsAtOnce:
    @pytest.mark.parametrize("columns", ["evolve", "drop_extra"])
    async def test_a_row_is_never_made_of_both(self, connect: Connect, far_side: Database, columns: str) -> None:
        """The older run makes a column that the newer one, under way already, knows nothing of."""
        far_side.made(f"CREATE TABLE {far_side.schema}.results (url text UNIQUE, v text)")
        older = shipment(into(mode="upsert", key="url"), run="older", life=FIRST)
        newer = shipment(into(mode="upsert", key="url", columns=columns), run="newer", life=LATER)
        await fill(connect, older, b'{"url":"first"}')
        first, second = batches([b'{"url":"first","v":"new"}'], [b'{"url":"k","v":"new"}', b'{"url":"l","v":"new"}'])
        async with connect() as sink, sink.open(newer, None) as writer:
            await writer.items(first)
            await fill(connect, older, b'{"url":"k","v":"old","discount":"50%","V":1}')
            await writer.items(second)
        found = far_side.rows("SELECT url, v, discount, _more::text, _run_id FROM results ORDER BY 1")
        assert found == [(url, "new", None, None, "newer") for url in ("first", "k", "l")]

    async def test_an_older_run_that_comes_late_takes_nothing_from_the_row(
        self, connect: Connect, far_side: Database
    ) -> None:
        options = into(mode="upsert", key="url")
        first, second = batches([b'{"url":"first","v":"old"}'], [b'{"url":"k","v":"old"}'])
        async with connect() as sink, sink.open(shipment(options, run="older", life=FIRST), None) as writer:
            await writer.items(first)
            newer = shipment(options, run="newer", life=LATER)
            await fill(connect, newer, b'{"url":"k","v":"new","discount":"50%"}')
            await writer.items(second)
        assert far_side.rows("SELECT v, discount, _run_id FROM results WHERE url = 'k'") == [("new", "50%", "newer")]


class TestReplay:
    async def test_a_truncated_table_comes_back_whole_and_twice_does_not_double(
        self, connect: Connect, far_side: Database
    ) -> None:
        for generation, before in enumerate(["SELECT 1", "DELETE FROM results", "SELECT 1", "DROP TABLE results"]):
            if generation:
                far_side.change(before)
            async with connect() as sink:
                await send(sink, shipment(WHOLE, generation=generation), batches(*THREE))
            assert far_side.items("r1") == ALL

    async def test_it_takes_back_rows_of_its_own_finish_and_target_only(
        self, connect: Connect, far_side: Database
    ) -> None:
        others = [
            shipment(WHOLE, run="r2"),
            shipment(WHOLE, route="other"),
            shipment(WHOLE, source="another"),
            shipment(WHOLE, stream="items:more"),
            shipment(WHOLE, life=LATER),
        ]
        for other in others:
            await fill(connect, other, b"1", b"2")
        await fill(connect, shipment(WHOLE), b"1", b"2", b"3")
        await fill(connect, shipment(WHOLE, generation=1), b"4")
        found = far_side.rows(
            "SELECT _run_id, _finished_at, _target, _stream, item::text FROM results ORDER BY 1, 2, 3, 4, 5"
        )
        first, later = datetime(2026, 3, 1, 10, tzinfo=UTC), datetime(2026, 3, 2, 10, tzinfo=UTC)
        assert found == [
            *(("r1", first, "another/all/out", "items:default", item) for item in "12"),
            *(("r1", first, "platform/all/out", "items:default", "4"),),
            *(("r1", first, "platform/all/out", "items:more", item) for item in "12"),
            *(("r1", first, "platform/other/out", "items:default", item) for item in "12"),
            *(("r1", later, "platform/all/out", "items:default", item) for item in "12"),
            *(("r2", first, "platform/all/out", "items:default", item) for item in "12"),
        ]

    async def test_a_replay_without_rows_leaves_none(self, connect: Connect, far_side: Database) -> None:
        await fill(connect, shipment(WHOLE), b"1")
        async with connect() as sink:
            await send(sink, shipment(WHOLE, generation=1), [])
        assert far_side.items("r1") == []

    async def test_the_rows_of_a_resurrected_run_are_added(self, connect: Connect, far_side: Database) -> None:
        await fill(connect, shipment(WHOLE), *ALL[:3])
        (added,) = batches(ALL[3:])
        async with connect() as sink:
            await send(sink, shipment(WHOLE, life=LATER), [type(added)(0, 3, added.lines, 2)])
        assert far_side.items("r1") == ALL
        assert far_side.rows("SELECT _item FROM results ORDER BY 1") == [(0,), (1,), (2,), (3,), (4,)]


class TestReplaceRun:
    REPLACED = into(mode="replace_run", columns="json")

    def test_a_delivery_is_all_of_its_run(self) -> None:
        module: Any = postgres
        assert writes_whole(module, self.REPLACED)
        assert not writes_whole(module, WHOLE)

    async def test_a_later_finish_replaces_the_rows_of_the_earlier_one_and_no_others(
        self, connect: Connect, far_side: Database
    ) -> None:
        others = [shipment(self.REPLACED, run="r2"), shipment(self.REPLACED, route="other")]
        for other in others:
            await fill(connect, other, b"0")
        await fill(connect, shipment(self.REPLACED), b"1", b"2", b"3")
        await fill(connect, shipment(self.REPLACED, life=LATER), b"1", b"2", b"4", b"5")
        assert far_side.rows("SELECT _run_id, _target, item::text FROM results ORDER BY 1, 2, _item") == [
            *(("r1", "platform/all/out", item) for item in "1245"),
            ("r1", "platform/other/out", "0"),
            ("r2", "platform/all/out", "0"),
        ]

    async def test_a_second_turn_goes_on_where_the_first_one_stopped(
        self, connect: Connect, far_side: Database
    ) -> None:
        await fill(connect, shipment(self.REPLACED), b"7", b"8", b"9")
        first, *rest = batches(*THREE)
        again = shipment(self.REPLACED, life=LATER)
        async with connect() as sink:
            _, position = await send(sink, again, [first], publish=False)
            await send(sink, again, rest[:1], position, publish=False)
        async with connect() as sink:
            await send(sink, again, rest, position)
        assert far_side.items("r1") == ALL

    async def test_a_later_finish_without_rows_leaves_none(self, connect: Connect, far_side: Database) -> None:
        await fill(connect, shipment(self.REPLACED), b"1")
        async with connect() as sink:
            await send(sink, shipment(self.REPLACED, life=LATER), [])
        assert far_side.items("r1") == []


class TestUpsert:
    KEYED = into(mode="upsert", key=["url"])

    async def test_one_row_for_each_key_the_last_one_wins(self, connect: Connect, far_side: Database) -> None:
        taken = await fill(
            connect,
            shipment(self.KEYED),
            *(b'{"url":"a","price":1,"old":1}', b'{"url":"b","price":2}', b'{"url":"a","price":3}'),
        )
        assert far_side.rows("SELECT url, price, old FROM results ORDER BY url") == [("a", 3, None), ("b", 2, None)]
        assert (taken[0].rows, taken[0].out, taken[0].rejected) == (3, 2, ())

    async def test_keys_that_postgres_takes_for_the_same_are_one(self, connect: Connect, far_side: Database) -> None:
        numbered = into(mode="upsert", key="id")
        await fill(connect, shipment(numbered), b'{"id":1,"n":1}', b'{"id":1.0,"n":2}', b'{"id":1e0,"n":3}')
        assert far_side.rows("SELECT n FROM results") == [(3,)]

    async def test_an_older_run_never_overwrites_a_newer_one(self, connect: Connect, far_side: Database) -> None:
        await fill(connect, shipment(self.KEYED, run="new", life=LATER), b'{"url":"a","price":2}')
        await fill(connect, shipment(self.KEYED, run="old"), b'{"url":"a","price":1}', b'{"url":"b","price":1}')
        assert far_side.rows("SELECT _run_id, url, price FROM results ORDER BY url") == [
            ("new", "a", 2),
            ("old", "b", 1),
        ]
        await fill(connect, shipment(self.KEYED, run="new", life=LATER, generation=1), b'{"url":"b","price":2}')
        assert far_side.rows("SELECT _run_id, url, price FROM results ORDER BY url") == [
            ("new", "a", 2),
            ("new", "b", 2),
        ]

    @pytest.mark.parametrize("order", itertools.permutations(["b", "c", "a"]))
    async def test_whatever_the_order_of_runs_and_replays_the_newest_rows_stay(
        self, connect: Connect, far_side: Database, order: tuple[str, ...]
    ) -> None:
        """Of two that finished at the same moment the run with the greater id is the newer one."""
        lives = {"a": FIRST, "b": LATER, "c": LATER}
        async with connect() as sink:
            for generation, number in itertools.product(range(2), range(3)):
                run = order[(number + generation) % 3]
                items = [b'{"url":"%d","by":"%s"}' % (url, run.encode()) for url in range(4) if url >= ord(run) - 97]
                shipped = shipment(self.KEYED, run=run, life=lives[run], generation=generation)
                await send(sink, shipped, batches(items[:2], items[2:]))
        assert far_side.rows('SELECT url, "by" FROM results ORDER BY url') == [
            ("0", "a"),
            ("1", "b"),
            ("2", "c"),
            ("3", "c"),
        ]

    async def test_with_order_none_what_was_written_last_stays(self, connect: Connect, far_side: Database) -> None:
        last = into(mode="upsert", key="url", order="none")
        await fill(connect, shipment(last, run="new", life=LATER), b'{"url":"a","price":2}')
        await fill(connect, shipment(last, run="old"), b'{"url":"a","price":1}')
        assert far_side.rows("SELECT _run_id, url, price FROM results") == [("old", "a", 1)]

    async def test_a_table_without_our_columns_is_written_with_order_none(
        self, connect: Connect, far_side: Database
    ) -> None:
        far_side.made(f"CREATE TABLE {far_side.schema}.results (url text PRIMARY KEY, price int)")
        plain = into(mode="upsert", key="url", order="none", stamp=False, columns="freeze")
        for price in (b"1", b"2"):
            await fill(connect, shipment(plain, generation=int(price)), b'{"url":"a","price":%s}' % price)
        assert far_side.rows("SELECT * FROM results") == [("a", 2)]

    async def test_rows_that_somebody_else_put_there_are_overwritten(
        self, connect: Connect, far_side: Database
    ) -> None:
        far_side.made(f"CREATE TABLE {far_side.schema}.results (url text, price numeric)")
        far_side.change("INSERT INTO results VALUES ('a', 1)")
        await fill(connect, shipment(self.KEYED), b'{"url":"a","price":2}')
        assert far_side.rows("SELECT url, price FROM results") == [("a", 2)]

    async def test_an_item_without_its_key_is_rejected(self, connect: Connect, far_side: Database) -> None:
        items = (b'{"n":1}', b'{"url":null}', b'{"url":"a"}', b"[1]", b'{"url":7}', b'{"url":"%s"}' % random_text())
        taken = await fill(
            connect, shipment(into(mode="upsert", key=["url", "n"])), b'{"url":"a"}', b'{"url":"a","n":1}'
        )
        assert taken[0].rejected == (Rejected(0, "its key `n` is missing"),)
        taken = await fill(connect, shipment(into("other", mode="upsert", key="url")), *items)
        assert taken[0].rejected[:3] == (
            Rejected(0, "its key `url` is missing"),
            Rejected(1, "its key `url` is missing"),
            Rejected(3, "it is no object"),
        )
        assert (taken[0].rejected[3].offset, taken[0].rejected[3].why[:9]) == (5, "index row")
        assert (taken[0].rows, far_side.rows("SELECT url FROM other ORDER BY 1")) == (2, [("7",), ("a",)])

    async def test_whole_items_have_their_keys_beside_them(self, connect: Connect, far_side: Database) -> None:
        whole = into(mode="upsert", key="url", columns="json")
        await fill(connect, shipment(whole), b'{"url": "a", "n": 1.0}', b'{"url": "a", "n": 1.00}')
        assert far_side.rows("SELECT url, item::text FROM results") == [("a", '{"n": 1.00, "url": "a"}')]

    async def test_what_the_table_fills_by_itself_is_left_alone(self, connect: Connect, far_side: Database) -> None:
        far_side.made(
            f"CREATE TABLE {far_side.schema}.results (id bigint GENERATED ALWAYS AS IDENTITY, url text UNIQUE,"
            " seen text DEFAULT 'now', size int GENERATED ALWAYS AS (length(url)) STORED, note text)"
        )
        await fill(connect, shipment(self.KEYED), b'{"url":"a","note":"x"}')
        await fill(connect, shipment(self.KEYED, generation=1), b'{"url":"a","size":7}')
        found = far_side.rows("SELECT id, url, seen, size, note, _more::text FROM results")
        assert found == [(1, "a", "now", 1, None, '{"size": 7}')]

    async def test_many_workers_that_write_the_same_keys_do_not_hinder_each_other(
        self, connect: Connect, far_side: Database
    ) -> None:
        keys = [b'{"url":"%d"}' % number for number in range(300)]
        async with connect() as sink:
            await asyncio.gather(
                *(
                    send(sink, shipment(self.KEYED, run=f"r{number}"), batches(keys[:: 1 if number % 2 else -1]))
                    for number in range(8)
                )
            )
        assert far_side.rows("SELECT DISTINCT _run_id, count(*) FROM results GROUP BY 1") == [("r7", 300)]


class TestOptions:
    @pytest.mark.parametrize("url", ["", "mysql://u@h/d", "postgresql://h:port/d", "h:5432/d"])
    def test_a_url_is_one_of_postgres(self, url: str) -> None:
        with pytest.raises(ValidationError):
            postgres.Config(url=url)

    @pytest.mark.parametrize(
        "options",
        [
            {"mode": "upsert"},
            {"key": ["a"]},
            {"mode": "upsert", "key": ["a"], "stamp": False},
            {"order": "none"},
            {"mode": "replace_run", "stamp": False},
            {"mode": "replace_run", "key": ["a"]},
        ],
    )
    def test_options_that_contradict_each_other_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            into(**options)


def random_text() -> bytes:
    """A text that does not become small when it is packed, as an index does."""
    return "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=9000)).encode()
