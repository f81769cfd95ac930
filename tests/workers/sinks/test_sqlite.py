import asyncio
import json
import signal
import sqlite3
import sys
import tracemalloc
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from config.contracts.errors import Forbidden, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Rejected, Shipment, Taken
from tests.workers.sinks.database import Database, into, opened
from workers.routing.clean import clean
from workers.rows import STAMPS
from workers.sinks import _sqlite_table, _table, sqlite
from workers.sinks.sqlite import verdict
from workers.testing.contract import ALL, THREE, Connect, SinkContract, flat, send, stored, tagged
from workers.testing.killed import KilledContract
from workers.testing.shipments import batches, document, shipment

ROOT = Path(__file__).parents[3]
LATER = "2026-03-02T10:00:00.000Z"
WHOLE = into(columns="json")


@pytest.fixture
def far_side(tmp_path: Path) -> Database:
    return Database(tmp_path / "books" / "runs.db")


@pytest.fixture
def connect(far_side: Database) -> Connect:
    return lambda: opened(far_side.path)


async def fill(connect: Connect, shipped: Shipment, *items: bytes) -> list[Taken]:
    """Deliver these items whole."""
    async with connect() as sink:
        taken, _ = await send(sink, shipped, batches(list(items)))
    return taken


class TestSqlite(SinkContract, KilledContract):
    module = sqlite
    options = WHOLE

    @pytest.fixture
    def settings(self, far_side: Database) -> dict[str, Any]:
        return {"path": str(far_side.path)}

    async def test_takes_documents_as_they_are(self, connect: Connect, far_side: Database) -> None:  # type: ignore[override]  # a narrower far side
        """It takes none."""
        async with connect() as sink, sink.open(self.ship(), None) as writer:
            with pytest.raises(TypeError, match="holds no documents"):
                await writer.document(document("A", "text/plain", b"a"))

    async def test_documents_sent_again_are_there_once(self, connect: Connect, far_side: Database) -> None:  # type: ignore[override]  # a narrower far side
        assert "records" not in self.module.TAKES


class TestTwice:
    @pytest.mark.parametrize("moment", ["within", "behind"])
    async def test_a_killed_process_loses_and_doubles_nothing(
        self, connect: Connect, far_side: Database, moment: str
    ) -> None:
        """The process is killed (SIGKILL) within a transaction, and between the commit and the ledger's checkpoint."""
        program = [sys.executable, "-m", "tests.workers.sinks.killed_while_filling", str(far_side.path), moment]
        child = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
        printed, _ = await child.communicate()
        assert child.returncode == -signal.SIGKILL
        assert far_side.items("r1") == {"within": ALL[:2], "behind": ALL[:3]}[moment]
        async with connect() as sink:
            await send(sink, shipment(WHOLE), batches(*THREE)[1:], json.loads(printed))
        assert far_side.items("r1") == ALL

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
        assert logs == [{"event": "table.lost", "log_level": "warning", "file": "runs.db", "table": "results"}]
        assert far_side.items("r1") == ALL

    async def test_a_writer_whose_place_was_taken_stops(self, connect: Connect, far_side: Database) -> None:
        first, second, third = batches(*THREE)
        async with connect() as sink, sink.open(shipment(WHOLE), None) as old:
            taken = await old.items(first)
            async with sink.open(shipment(WHOLE), stored(taken)) as new:
                await new.items(second)
                with pytest.raises(Transient) as caught:
                    await old.items(second)
                await new.items(third)
        assert str(caught.value) == "target_unavailable: another worker is writing to results"
        assert far_side.items("r1") == ALL

    async def test_cancelled_in_a_transaction_it_ends_it_before_anybody_goes_on(
        self, connect: Connect, far_side: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writing, go_on, reach = Event(), Event(), _table.Table._reach

        def slow(*given: Any) -> None:
            writing.set()
            go_on.wait(10)
            reach(*given)

        async with connect() as sink:
            with monkeypatch.context() as patch:
                patch.setattr(_table.Table, "_reach", slow)
                task = asyncio.create_task(send(sink, shipment(WHOLE), batches(*THREE)))
                await asyncio.to_thread(writing.wait, 10)
                task.cancel()
                assert await asyncio.wait({task}, timeout=0.1) == (set(), {task})
                go_on.set()
                await asyncio.wait({task})
            assert task.cancelled()
            await send(sink, shipment(WHOLE), batches(*THREE))
        assert far_side.items("r1") == ALL

    async def test_cancelled_twice_it_still_lets_go_of_the_file(
        self, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writing, go_on, closed = Event(), Event(), Event()
        write, close = _table.Table.write, _sqlite_table.SqliteTable.close

        def slow(*given: Any) -> Taken:
            writing.set()
            go_on.wait(10)
            return write(*given)

        def seen(table: _sqlite_table.SqliteTable) -> None:
            close(table)
            closed.set()

        monkeypatch.setattr(_table.Table, "write", slow)
        monkeypatch.setattr(_sqlite_table.SqliteTable, "close", seen)
        async with connect() as sink:
            task = asyncio.create_task(send(sink, shipment(WHOLE), batches(*THREE)))
            await asyncio.to_thread(writing.wait, 10)
            for _ in range(2):
                task.cancel()
                await asyncio.wait({task}, timeout=0.1)
            go_on.set()
            assert await asyncio.to_thread(closed.wait, 10)

    async def test_its_memory_is_that_of_one_batch(self, connect: Connect, far_side: Database) -> None:
        items = [b'{"n":%d,"text":"%s"}' % (n, b"x" * 1000) for n in range(1000)]
        (batch,) = batches(items)
        async with connect() as sink, sink.open(shipment(into()), None) as writer:
            await writer.items(batch)
            tracemalloc.start()
            for index in range(1, 20):
                await writer.items(replace(batch, index=index, offset=1000 * index))
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert far_side.rows("SELECT count(*), min(n), max(n) FROM results") == [(20_000, 0, 999)]
        assert peak < 8 * len(batch.lines)

    async def test_ten_deliveries_to_one_table_at_once_lose_nothing(self, far_side: Database) -> None:
        """Each has a connection of its own, like the workers of several machines."""

        async def one(run: str) -> None:
            async with opened(far_side.path) as sink:
                await send(sink, shipment(into(), run=run), batches(*tagged(run)))

        await asyncio.gather(*(one(f"r{number}") for number in range(10)))
        found = far_side.rows('SELECT _run_id, "of", n FROM results ORDER BY _run_id, _item')
        wanted = [(f"r{run}", json.loads(item)) for run in range(10) for item in flat(tagged(f"r{run}"))]
        assert found == [(run, item["of"], item["n"]) for run, item in wanted]


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
            "SELECT _run_id, _finished_at, _target, _stream, item FROM results ORDER BY 1, 2, 3, 4, 5"
        )
        life = "2026-03-01T10:00:00.000Z"
        assert found == [
            *(("r1", life, "another/all/out", "items:default", item) for item in "12"),
            *(("r1", life, "platform/all/out", "items:default", "4"),),
            *(("r1", life, "platform/all/out", "items:more", item) for item in "12"),
            *(("r1", life, "platform/other/out", "items:default", item) for item in "12"),
            *(("r1", LATER, "platform/all/out", "items:default", item) for item in "12"),
            *(("r2", life, "platform/all/out", "items:default", item) for item in "12"),
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
        assert far_side.rows("SELECT _item FROM results") == [(0,), (1,), (2,), (3,), (4,)]


class TestNumbers:
    async def test_rows_keep_their_numbers_where_others_were_left_out(
        self, connect: Connect, far_side: Database
    ) -> None:
        left, _ = clean(batches([b'{"n":0}', b"{}", b'{"n":2}', b"null"])[0])
        async with connect() as sink, sink.open(shipment(WHOLE), None) as writer:
            taken = await writer.items(left)
        assert taken.position == {"item": 3}
        assert far_side.rows("SELECT _item, item FROM results") == [(0, '{"n":0}'), (2, '{"n":2}')]


class TestUpsert:
    KEYED = into(mode="upsert", key=["url"])

    async def test_one_row_for_each_key_the_last_one_wins(self, connect: Connect, far_side: Database) -> None:
        taken = await fill(
            connect,
            shipment(self.KEYED),
            *(b'{"url":"a","price":1,"old":1}', b'{"url":"b","price":2}', b'{"url":"a","price":3}'),
        )
        assert far_side.rows("SELECT url, price, old FROM results ORDER BY url") == [("a", 3, None), ("b", 2, None)]
        assert (taken[0].rows, taken[0].rejected) == (3, ())

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

    async def test_an_item_without_its_key_is_rejected(self, connect: Connect, far_side: Database) -> None:
        taken = await fill(connect, shipment(self.KEYED), b'{"n":1}', b'{"url":null}', b'{"url":"a"}', b"[1]")
        assert taken[0].rejected == (
            Rejected(0, "its key `url` is missing"),
            Rejected(1, "its key `url` is missing"),
            Rejected(3, "it is no object"),
        )
        assert (taken[0].rows, far_side.rows("SELECT url FROM results")) == (1, [("a",)])

    async def test_whole_items_have_their_keys_beside_them(self, connect: Connect, far_side: Database) -> None:
        whole = into(mode="upsert", key="url", columns="json")
        await fill(connect, shipment(whole), b'{"url": "a", "n": 1.0}', b'{"url": "a", "n": 1.00}')
        assert far_side.rows("SELECT url, item FROM results") == [("a", '{"url": "a", "n": 1.00}')]

    async def test_what_the_table_fills_by_itself_is_left_alone(self, connect: Connect, far_side: Database) -> None:
        far_side.path.parent.mkdir()
        far_side.change("CREATE TABLE results (id INTEGER PRIMARY KEY, url TEXT, seen TEXT DEFAULT 'now', note TEXT)")
        await fill(connect, shipment(self.KEYED), b'{"url":"a","note":"x"}')
        await fill(connect, shipment(self.KEYED, generation=1), b'{"url":"a"}')
        assert far_side.rows("SELECT id, url, seen, note FROM results") == [(1, "a", "now", None)]


class TestColumns:
    @pytest.mark.parametrize(
        ("written", "value"),
        [
            ("null", None),
            ("true", 1),
            ("false", 0),
            ("9223372036854775807", 2**63 - 1),
            ("-9223372036854775808", -(2**63)),
            ("9223372036854775808", "9223372036854775808"),
            ("9" * 5000, "9" * 5000),
            ("-0", 0),
            ("1.0", 1.0),
            ("19.9", 19.9),
            ("1e400", "1e400"),
            ('""', ""),
            ('"gr\\u00fc\\u00dfe 🎈"', "grüße 🎈"),
            ('"a\\u0000b"', '"a\\u0000b"'),
            ('"\\ud800"', '"\\ud800"'),
            ("[ 1,2 ]", "[ 1,2 ]"),
            ('{"x" : {}}', '{"x" : {}}'),
            ('"=cmd"', "=cmd"),
        ],
    )
    async def test_values_stay_what_they_are(
        self, connect: Connect, far_side: Database, written: str, value: object
    ) -> None:
        await fill(connect, shipment(into()), f'{{ "v" : {written} }}'.encode())
        ((found,),) = far_side.rows("SELECT v FROM results")
        assert (found, type(found)) == (value, type(value))

    async def test_a_column_appears_with_the_first_item_that_has_it(self, connect: Connect, far_side: Database) -> None:
        async with connect() as sink:
            await send(sink, shipment(into()), batches([b'{"a":1}'], [b'{"b":2}', b"{}"]))
        assert far_side.rows("SELECT a, b FROM results ORDER BY _item") == [(1, None), (None, 2), (None, None)]

    async def test_members_that_cannot_be_columns_stand_together(self, connect: Connect, far_side: Database) -> None:
        long = "x" * 64
        item = {"Url": 1, "url": 2, "_run_id": 3, "_RUN_ID": 4, long: 5, "": 6, "a\0b": 7, "\ud800": 8, "_more": 9}
        await fill(connect, shipment(into()), b'{"n":1}', json.dumps(item).encode())
        assert columns(far_side) == ["n", "Url", "_more"]
        ((url, more),) = far_side.rows("SELECT Url, _more FROM results WHERE _item = 1")
        assert (url, json.loads(more)) == (1, {name: item[name] for name in item if name != "Url"})

    async def test_a_table_has_at_most_five_hundred_columns(self, connect: Connect, far_side: Database) -> None:
        item = {f"c{number}": number for number in range(700)}
        await fill(connect, shipment(into()), json.dumps(item).encode())
        ((more,),) = far_side.rows("SELECT _more FROM results")
        assert len(columns(far_side)) + 6 == 501
        assert json.loads(more) == {f"c{number}": number for number in range(494, 700)}

    @pytest.mark.parametrize(
        "name",
        [
            'a"b',
            'x") VALUES (1); DROP TABLE results; --',
            "a'b",
            "a;b",
            "select",
            "rowid",
            "a b",
            "ä",
            "[x]",
            "?1",
            ":n",
        ],
    )
    async def test_a_name_of_a_member_is_never_sql(self, connect: Connect, far_side: Database, name: str) -> None:
        await fill(connect, shipment(into()), json.dumps({name: 1, "n": name}).encode())
        ((*_, found, told),) = far_side.rows("SELECT * FROM results")
        assert (columns(far_side), found, told) == ([name, "n"], 1, name)

    async def test_an_item_that_is_nested_too_deeply_is_rejected(self, connect: Connect, far_side: Database) -> None:
        deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        taken = await fill(connect, shipment(into()), deep, b'{"a":1}', b'{"a":"\xff"}')
        assert taken[0].rejected == (
            Rejected(0, "it is nested too deeply"),
            Rejected(2, "it is not UTF-8"),
        )
        assert far_side.rows("SELECT _item, a FROM results") == [(1, 1)]

    async def test_an_item_the_tables_own_rules_refuse_is_rejected_alone(
        self, connect: Connect, far_side: Database
    ) -> None:
        far_side.path.parent.mkdir()
        far_side.change("CREATE TABLE results (price REAL CHECK (price > 0))")
        taken = await fill(connect, shipment(into()), b'{"price":1}', b'{"price":-1}', b'{"price":2}')
        assert taken[0].rejected == (Rejected(1, "CHECK constraint failed: price > 0"),)
        assert (taken[0].rows, far_side.rows("SELECT price FROM results")) == (2, [(1.0,), (2.0,)])

    async def test_a_rule_that_undoes_the_batch_ends_it(self, connect: Connect, far_side: Database) -> None:
        far_side.path.parent.mkdir()
        far_side.change("CREATE TABLE results (n UNIQUE ON CONFLICT ROLLBACK)")
        with pytest.raises(Forbidden, match="UNIQUE constraint failed"):
            await fill(connect, shipment(into()), b'{"n":1}', b'{"n":1}', b'{"n":2}')
        assert far_side.rows("SELECT * FROM results") == []

    async def test_a_frozen_table_is_never_changed(self, connect: Connect, far_side: Database) -> None:
        far_side.path.parent.mkdir()
        far_side.change("CREATE TABLE results (n)")
        frozen = into(columns="freeze", stamp=False)
        taken = await fill(connect, shipment(frozen), b'{"n":1}', b'{"n":2,"m":3}')
        assert taken[0].rejected == (Rejected(1, "the table has no column for 1 of its members, such as 'm'"),)
        await fill(connect, shipment(into(columns="drop_extra", stamp=False), run="r2"), b'{"n":2,"m":3}', b'{"m":3}')
        assert (columns(far_side), far_side.rows("SELECT n FROM results")) == (["n"], [(1,), (2,)])

    @pytest.mark.parametrize(
        ("made", "told"),
        [
            ("", "there is no table results: create it, or let `columns: evolve` do so"),
            (
                "CREATE TABLE results (_run_id, _finished_at, _target, _stream, n)",
                "the table results lacks columns: ALTER TABLE results ADD COLUMN _item; ALTER TABLE results ADD COLUMN "
                "_delivered_at (or leave out those that begin with `_`: `stamp: false`)",
            ),
        ],
    )
    async def test_a_frozen_table_that_does_not_fit_says_what_to_run(
        self, connect: Connect, far_side: Database, made: str, told: str
    ) -> None:
        far_side.path.parent.mkdir()
        far_side.change(made)
        with pytest.raises(Forbidden) as caught:
            await fill(connect, shipment(into(columns="freeze")), b'{"n":1}')
        assert caught.value.detail == told


class TestOptions:
    @pytest.mark.parametrize(
        "name",
        ["x; DROP TABLE y", 'a"b', "Products", "1a", "", "a" * 64, "ä", "_runrelay_checkpoints", "sqlite_x"],
    )
    def test_a_table_has_a_plain_name(self, name: str) -> None:
        with pytest.raises(ValidationError):
            into(name)

    @pytest.mark.parametrize("key", ["x; DROP", 'a"b', "", "_run_id", "_more", "a b"])
    def test_a_key_has_a_plain_name(self, key: str) -> None:
        with pytest.raises(ValidationError):
            into(mode="upsert", key=[key])

    @pytest.mark.parametrize(
        "options",
        [{"mode": "upsert"}, {"key": ["a"]}, {"mode": "upsert", "key": ["a"], "stamp": False}, {"order": "none"}],
    )
    def test_options_that_contradict_each_other_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            into(**options)


class TestTrouble:
    async def test_a_locked_file_is_worth_another_try(
        self, connect: Connect, far_side: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_sqlite_table, "PATIENCE", 0.1)
        await fill(connect, shipment(WHOLE), *ALL)
        with closing(sqlite3.connect(far_side.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Transient, match=r"runs\.db: database is locked: another program"):
                await fill(connect, shipment(WHOLE, run="r2"), *ALL)
        await fill(connect, shipment(WHOLE, run="r2"), *ALL)
        assert far_side.items("r2") == ALL

    async def test_a_full_disk_is_worth_another_try_and_leaves_no_half_batch(
        self, connect: Connect, far_side: Database
    ) -> None:
        async with connect() as sink, sink.open(shipment(WHOLE), None) as writer:
            first, second = batches([b"1"], [b'"%s"' % (b"x" * 100_000), b"2"])
            await writer.items(first)
            pages = await asked(writer, "PRAGMA page_count")
            await asked(writer, f"PRAGMA max_page_count = {pages + 2}")
            with pytest.raises(Transient, match="full"):
                await writer.items(second)
            assert far_side.items("r1") == [b"1"]
            await asked(writer, "PRAGMA max_page_count = 1000000")
            await writer.items(second)
        assert len(far_side.items("r1")) == 3

    async def test_something_else_than_a_database_is_left_alone(self, connect: Connect, far_side: Database) -> None:
        far_side.path.parent.mkdir()
        far_side.path.write_text("dear diary, " * 1000)
        with pytest.raises(Unauthorized) as caught:
            await fill(connect, shipment(WHOLE), *ALL)
        cure = "move it away, or put a sound database there"
        assert caught.value.detail == f"runs.db: file is not a database: {cure}"
        assert far_side.path.read_text().startswith("dear diary")

    async def test_a_place_that_cannot_be_opened_waits_for_a_person(self, connect: Connect, far_side: Database) -> None:
        far_side.path.mkdir(parents=True)
        with pytest.raises(Unauthorized) as caught:
            await fill(connect, shipment(WHOLE), *ALL)
        assert (caught.value.reason, caught.value.detail) == (
            Reason.TARGET_REFUSED,
            "runs.db: unable to open database file: let the worker write the file and its folder",
        )

    @pytest.mark.parametrize(
        ("code", "kind", "cure"),
        [
            (sqlite3.SQLITE_BUSY, Transient, ": another program has been writing to it for 20 s"),
            (sqlite3.SQLITE_BUSY_SNAPSHOT, Transient, ": another program has been writing to it for 20 s"),
            (sqlite3.SQLITE_LOCKED, Transient, ": another program has been writing to it for 20 s"),
            (sqlite3.SQLITE_FULL, Transient, ": make room on its disk"),
            (sqlite3.SQLITE_IOERR_WRITE, Transient, ""),
            (sqlite3.SQLITE_SCHEMA, Transient, ""),
            (sqlite3.SQLITE_READONLY_DBMOVED, Unauthorized, ": let the worker write the file and its folder"),
            (sqlite3.SQLITE_CANTOPEN, Unauthorized, ": let the worker write the file and its folder"),
            (sqlite3.SQLITE_CORRUPT, Unauthorized, ": move it away, or put a sound database there"),
            (sqlite3.SQLITE_ERROR, Forbidden, ""),
            (sqlite3.SQLITE_TOOBIG, Permanent, ""),
        ],
    )
    def test_each_trouble_has_its_verdict(self, code: int, kind: type[WorkError], cure: str) -> None:
        error = sqlite3.OperationalError("said")
        error.sqlite_errorcode = code
        found = verdict(error, "runs.db")
        assert (type(found), found.detail) == (kind, f"runs.db: said{cure}")
        assert (found.reason is Reason.TARGET_UNAVAILABLE) == (kind is Transient)

    def test_what_it_says_stays_one_short_line(self) -> None:
        error = sqlite3.OperationalError("x" * 1000)
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        assert len(verdict(error, "runs.db").detail) <= 300


def columns(far_side: Database) -> list[str]:
    """The table's columns, without the stamp."""
    found = [name for (_, name, *_) in far_side.rows("PRAGMA table_info(results)")]
    return [name for name in found if name not in STAMPS]


async def asked(writer: Any, pragma: str) -> int:
    """On the writer's own connection."""
    return int(await writer.run(lambda: writer.table._db.execute(pragma).fetchone()[0]))
