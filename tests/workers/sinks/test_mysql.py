import asyncio
import json
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pymysql.err import OperationalError
from structlog.testing import capture_logs

from config.contracts.errors import Forbidden, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Rejected, Shipment, Sink, Taken
from tests.services import free_port
from tests.services.mariadb import PASSWORD, Database, mariadb
from workers.rows import STAMPS
from workers.sinks import _mysql_session, _mysql_table, mysql
from workers.sinks._mysql_refusals import why
from workers.testing.contract import ALL, THREE, Connect, SinkContract, flat, send, stored, tagged
from workers.testing.killed import KilledContract
from workers.testing.servers import SECRET, ServerContract, silent_server
from workers.testing.shipments import around, batches, document, shipment

pytestmark = pytest.mark.services

BOOKS = "books"
NO_ANSWER = "no answer of the database at db:3306 ({}): is it up? If so, mend `host` or `port`"
LATER = "2026-03-02T10:00:00.000Z"


@pytest.fixture(scope="module")
def server() -> Iterator[Database]:
    with mariadb() as one:
        yield one


class Tables:
    """What root finds in a database of its own."""

    def __init__(self, server: Database) -> None:
        self.server = server
        server.run(f"DROP DATABASE IF EXISTS {BOOKS}", f"CREATE DATABASE {BOOKS}")

    def items(self, run: str) -> list[bytes]:
        found = self.rows(f"SELECT item FROM results WHERE _run_id = '{run}' ORDER BY _item")
        return [item.encode() for (item,) in found]

    def documents(self, run: str) -> list[bytes]:
        raise TypeError("a table holds no documents")

    def rows(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.server.run(*statements, database=BOOKS)


@pytest.fixture
def far_side(server: Database) -> Tables:
    return Tables(server)


def opened(settings: dict[str, Any], **options: Any) -> AbstractAsyncContextManager[Sink]:
    return mysql.connect(mysql.Config.model_validate({**settings, **options}), around(Path()))


@pytest.fixture
def settings(server: Database) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": server.port, "user": "root", "password": PASSWORD, "database": BOOKS}


@pytest.fixture
def connect(settings: dict[str, Any], far_side: Tables) -> Connect:
    return lambda: opened(settings)


def into(table: str = "results", **options: Any) -> mysql.Target:
    return mysql.Target.model_validate({"table": table, **options})


WHOLE = into(columns="json")


async def fill(connect: Connect, shipped: Shipment, *items: bytes) -> list[Taken]:
    """Deliver these items whole."""
    async with connect() as sink:
        taken, _ = await send(sink, shipped, batches(list(items)))
    return taken


class TestMysql(SinkContract, ServerContract, KilledContract):
    module = mysql
    options = WHOLE

    @pytest.fixture
    def down(self, settings: dict[str, Any]) -> Connect:
        return lambda: opened(settings, port=free_port(), password=SECRET)

    @pytest.fixture
    def refused(self, settings: dict[str, Any]) -> Connect:
        return lambda: opened(settings, password=SECRET)

    @pytest.fixture
    async def silent(self, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(_mysql_session, "CONNECTING", 0.3)
        async with silent_server() as port:
            yield lambda: opened(settings, port=port)

    async def test_takes_documents_as_they_are(self, connect: Connect, far_side: Tables) -> None:  # type: ignore[override]  # a narrower far side
        """It takes none."""
        async with connect() as sink, sink.open(self.ship(), None) as writer:
            with pytest.raises(TypeError, match="holds no documents"):
                await writer.document(document("A", "text/plain", b"a"))

    async def test_documents_sent_again_are_there_once(self, connect: Connect, far_side: Tables) -> None:  # type: ignore[override]  # a narrower far side
        assert "records" not in self.module.TAKES


class TestTwice:
    async def test_a_writer_whose_place_was_taken_stops(self, connect: Connect, far_side: Tables) -> None:
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

    @pytest.mark.parametrize("harm", ["DROP TABLE results", "DELETE FROM _runrelay_checkpoints"])
    async def test_a_database_that_does_not_have_what_the_ledger_knows_is_begun_again(
        self, connect: Connect, far_side: Tables, harm: str
    ) -> None:
        async with connect() as sink:
            _, position = await send(sink, shipment(WHOLE), batches(*THREE), publish=False)
        far_side.rows(harm)
        with capture_logs() as logs:
            async with connect() as sink, sink.open(shipment(WHOLE), position) as writer:
                assert writer.position is None
                for batch in batches(*THREE):
                    await writer.items(batch)
        assert logs == [{"event": "mysql.lost", "log_level": "warning", "table": "results"}]
        assert far_side.items("r1") == ALL

    async def test_without_a_stamp_a_row_that_was_written_is_not_written_again(
        self, connect: Connect, far_side: Tables
    ) -> None:
        plain = into(stamp=False)
        first, *rest = batches(*THREE)
        async with connect() as sink:
            _, position = await send(sink, shipment(plain), [first], publish=False)
            await send(sink, shipment(plain), rest[:1], position, publish=False)
            taken, _ = await send(sink, shipment(plain), rest, position)
        assert far_side.rows("SELECT n FROM results ORDER BY n") == [(1,), (2,), (3,), (4,), (5,)]
        assert [(part.rows, part.out) for part in taken] == [(1, 0), (2, 2), (0, 0)]

    async def test_a_batch_and_the_place_behind_it_are_one_transaction(
        self, connect: Connect, far_side: Tables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = into(stamp=False)
        first, *rest = batches(*THREE)

        async def lost(*_: object) -> None:
            raise ConnectionResetError

        async with connect() as sink:
            _, position = await send(sink, shipment(plain), [first], publish=False)
            with monkeypatch.context() as patch:
                patch.setattr(_mysql_table.Table, "_reach", lost)
                with pytest.raises(Transient):
                    await send(sink, shipment(plain), rest, position)
            await send(sink, shipment(plain), rest, position)
        assert far_side.rows("SELECT n FROM results ORDER BY n") == [(1,), (2,), (3,), (4,), (5,)]

    async def test_a_batch_that_a_deadlock_undid_is_begun_again(
        self, connect: Connect, far_side: Tables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reach, undone = _mysql_table.Table._reach, [True, True]

        async def once(table: _mysql_table.Table, item: int) -> None:
            if undone and undone.pop():
                raise OperationalError(1213, "Deadlock found when trying to get lock")
            await reach(table, item)

        monkeypatch.setattr(_mysql_table.Table, "_reach", once)
        async with connect() as sink:
            taken, _ = await send(sink, shipment(into(stamp=False, columns="json")), batches(*THREE))
        assert far_side.rows("SELECT item FROM results ORDER BY 1") == [(item.decode(),) for item in ALL]
        assert [part.rows for part in taken] == [2, 1, 2, 0]

    async def test_cancelled_in_a_batch_nothing_of_it_is_there(self, connect: Connect, far_side: Tables) -> None:
        """Somebody else's lock holds it in the middle of its transaction."""
        first, second, third = batches(*THREE)
        async with connect() as sink:
            async with sink.open(shipment(WHOLE), None) as writer:
                taken = await writer.items(first)
            far_side.rows("CREATE TABLE tempting (n INT)")
            far_side.rows(
                "CREATE TRIGGER slow BEFORE INSERT ON results FOR EACH ROW INSERT INTO tempting SELECT SLEEP(0.2)"
            )
            task = asyncio.create_task(send(sink, shipment(WHOLE), [second, third], stored(taken)))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            far_side.rows("DROP TRIGGER slow")
            await send(sink, shipment(WHOLE), [second, third], stored(taken))
        assert far_side.items("r1") == ALL

    async def test_ten_deliveries_to_one_table_at_once_lose_nothing(
        self, settings: dict[str, Any], far_side: Tables
    ) -> None:
        """Each has a connection of its own, like the workers of several machines, and makes table and columns."""

        async def one(run: str) -> None:
            items = [[item.replace(b'"n"', b'"n%s"' % run.encode()) for item in part] for part in tagged(run)]
            async with opened(settings) as sink:
                await send(sink, shipment(into(), run=run), batches(*items))

        await asyncio.gather(*(one(f"r{number}") for number in range(10)))
        n = f"COALESCE({', '.join(f'nr{run}' for run in range(10))})"
        found = far_side.rows(f"SELECT _run_id, of, {n} FROM results ORDER BY _run_id, _item")
        wanted = [(f"r{run}", json.loads(item)) for run in range(10) for item in flat(tagged(f"r{run}"))]
        assert found == [(run, item["of"], item["n"]) for run, item in wanted]

    async def test_a_server_that_was_restarted_is_found_again(
        self, server: Database, connect: Connect, far_side: Tables
    ) -> None:
        first, second, third = batches(*THREE)
        async with connect() as sink:
            async with sink.open(shipment(WHOLE), None) as writer:
                position = stored(await writer.items(first))
            server.service.stop()
            with pytest.raises(Transient) as raised:
                await send(sink, shipment(WHOLE), [second], position)
            assert raised.value.detail == (
                f"no answer of the database at 127.0.0.1:{server.port} (no connection): "
                "is it up? If so, mend `host` or `port`"
            )
            server.service.start()
            await send(sink, shipment(WHOLE), [second, third], position)
        assert far_side.items("r1") == ALL


class TestReplay:
    async def test_it_takes_back_rows_of_its_own_finish_and_target_only(
        self, connect: Connect, far_side: Tables
    ) -> None:
        others = [shipment(WHOLE, run="r2"), shipment(WHOLE, route="other"), shipment(WHOLE, life=LATER)]
        for other in others:
            await fill(connect, other, b"1")
        await fill(connect, shipment(WHOLE), b"2", b"3")
        await fill(connect, shipment(WHOLE, generation=1), b"4")
        found = far_side.rows("SELECT _run_id, DAY(_finished_at), _target, item FROM results ORDER BY 1, 2, 3")
        assert found == [
            ("r1", 1, "platform/all/out", "4"),
            ("r1", 1, "platform/other/out", "1"),
            ("r1", 2, "platform/all/out", "1"),
            ("r2", 1, "platform/all/out", "1"),
        ]

    async def test_a_replay_without_rows_leaves_none(self, connect: Connect, far_side: Tables) -> None:
        await fill(connect, shipment(WHOLE), b"1")
        async with connect() as sink:
            await send(sink, shipment(WHOLE, generation=1), [])
        assert far_side.items("r1") == []

    async def test_replace_run_writes_all_rows_of_a_run_anew(self, connect: Connect, far_side: Tables) -> None:
        whole = into(columns="json", mode="replace_run")
        await fill(connect, shipment(whole), *ALL)
        await fill(connect, shipment(whole, run="r2"), *ALL[:2])
        await fill(connect, shipment(whole, life=LATER), *ALL[:3])
        assert far_side.items("r1") == ALL[:3]
        assert far_side.items("r2") == ALL[:2]


class TestUpsert:
    KEYED = into(mode="upsert", key=["url"])

    async def test_one_row_for_each_key_the_last_one_wins(self, connect: Connect, far_side: Tables) -> None:
        taken = await fill(
            connect,
            shipment(self.KEYED),
            *(b'{"url":"a","price":1,"old":1}', b'{"url":"b","price":2}', b'{"url":"a","price":3}'),
        )
        assert far_side.rows("SELECT url, price, old FROM results ORDER BY url") == [("a", 3, None), ("b", 2, None)]
        assert (taken[0].rows, taken[0].rejected) == (3, ())

    async def test_an_older_run_never_overwrites_a_newer_one(self, connect: Connect, far_side: Tables) -> None:
        newest = "SELECT _run_id, url, price, DAY(_finished_at) FROM results ORDER BY url"
        await fill(connect, shipment(self.KEYED, run="new", life=LATER), b'{"url":"a","price":2}')
        await fill(connect, shipment(self.KEYED, run="old"), b'{"url":"a","price":1}', b'{"url":"b","price":1}')
        assert far_side.rows(newest) == [("new", "a", 2, 2), ("old", "b", 1, 1)]
        await fill(connect, shipment(self.KEYED, run="new", life=LATER, generation=1), b'{"url":"b","price":2}')
        assert far_side.rows(newest) == [("new", "a", 2, 2), ("new", "b", 2, 2)]

    async def test_a_row_is_of_one_run_though_another_adds_a_column_meanwhile(
        self, connect: Connect, far_side: Tables
    ) -> None:
        first, second = batches([b'{"url":"b","price":2}'], [b'{"url":"a","price":2}'])
        async with connect() as sink, sink.open(shipment(self.KEYED, run="new", life=LATER), None) as writer:
            await writer.items(first)
            await fill(connect, shipment(self.KEYED, run="old"), b'{"url":"a","price":1,"discount":9}')
            await writer.items(second)
        assert far_side.rows("SELECT _run_id, url, price, discount FROM results ORDER BY url") == [
            ("new", "a", 2, None),
            ("new", "b", 2, None),
        ]

    async def test_nobody_adds_a_column_while_a_batch_is_written(
        self, connect: Connect, far_side: Tables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else the columns we have looked at are not those of the rows we write."""
        reach, said = _mysql_table.Table._reach, list[str]()

        async def amid(table: _mysql_table.Table, item: int) -> None:
            with pytest.raises(OperationalError) as raised:
                await asyncio.to_thread(
                    far_side.rows, "SET lock_wait_timeout = 0", "ALTER TABLE results ADD COLUMN discount INT"
                )
            said.append(raised.value.args[1])
            await reach(table, item)

        await fill(connect, shipment(self.KEYED), b'{"url":"a"}')
        monkeypatch.setattr(_mysql_table.Table, "_reach", amid)
        async with connect() as sink:
            await send(sink, shipment(self.KEYED, run="r2"), batches([b"[]"]))
        assert said == ["Lock wait timeout exceeded; try restarting transaction"]

    @pytest.mark.parametrize("runs", [("r1", "r2"), ("r2", "r1"), ("r2", "R3")])
    async def test_of_runs_that_finished_at_once_the_larger_id_stays(
        self, connect: Connect, far_side: Tables, runs: tuple[str, str]
    ) -> None:
        for run in runs:
            await fill(connect, shipment(self.KEYED, run=run), b'{"a":"%s","url":"a","z":"%s"}' % (2 * (run.encode(),)))
        assert far_side.rows("SELECT _run_id, a, z FROM results") == [("r2", "r2", "r2")]

    async def test_without_an_order_the_last_one_written_stays(self, connect: Connect, far_side: Tables) -> None:
        keyed = into(mode="upsert", key=["url"], order="none", stamp=False)
        await fill(connect, shipment(keyed, run="new", life=LATER), b'{"url":"a","price":2}')
        await fill(connect, shipment(keyed, run="old"), b'{"url":"a","price":1}')
        assert far_side.rows("SELECT url, price FROM results") == [("a", 1)]

    async def test_keys_that_look_alike_are_not_the_same(self, connect: Connect, far_side: Tables) -> None:
        keys = ["a", "A", "a ", "á", "a\u0301", "ß", "ss", "\U0001f388"]
        items = [json.dumps({"url": key}).encode() for key in keys]
        await fill(connect, shipment(self.KEYED), *items)
        assert far_side.rows("SELECT url FROM results ORDER BY _item") == [(key,) for key in keys]

    async def test_a_key_is_there_and_not_too_long(self, connect: Connect, far_side: Tables) -> None:
        long = b'{"url":"%s"}' % (b"x" * 769)
        taken = await fill(connect, shipment(self.KEYED), b'{"n":1}', long, b'{"url":"a"}', b"[1]")
        assert taken[0].rejected == (
            Rejected(0, "its key `url` is missing"),
            Rejected(1, "it is too long for the column url"),
            Rejected(3, "it is no object"),
        )
        assert (taken[0].rows, far_side.rows("SELECT url FROM results")) == (1, [("a",)])

    async def test_what_the_table_fills_by_itself_is_left_alone(self, connect: Connect, far_side: Tables) -> None:
        far_side.rows(
            "CREATE TABLE results (id INT AUTO_INCREMENT PRIMARY KEY, url VARCHAR(200) UNIQUE, seen VARCHAR(9) "
            "DEFAULT 'now', note TEXT, twice TEXT GENERATED ALWAYS AS (CONCAT(note, note)))"
        )
        await fill(connect, shipment(self.KEYED), b'{"url":"a","note":"x"}')
        await fill(connect, shipment(self.KEYED, generation=1), b'{"url":"a"}')
        assert far_side.rows("SELECT id, url, seen, note, twice FROM results") == [(1, "a", "now", None, None)]

    @pytest.mark.parametrize(
        ("made", "told"),
        [
            (
                "CREATE TABLE results (url VARCHAR(200)); INSERT INTO results VALUES ('a'), ('a')",
                "results has rows with the same url: remove all but one of each",
            ),
            (
                "CREATE TABLE results (url VARCHAR(200) UNIQUE, sku VARCHAR(20) UNIQUE)",
                "results has another unique index, sku: an upsert by url would follow it, too; drop it",
            ),
            (
                "CREATE TABLE results (url VARCHAR(200)) ENGINE = MyISAM",
                "results has no transactions: ALTER TABLE results ENGINE = InnoDB",
            ),
        ],
    )
    async def test_a_table_that_cannot_be_upserted_into_says_why(
        self, connect: Connect, far_side: Tables, made: str, told: str
    ) -> None:
        far_side.rows(*made.split("; "))
        with pytest.raises(Forbidden) as caught:
            await fill(connect, shipment(self.KEYED), b'{"url":"a"}')
        assert caught.value.detail == told


class TestColumns:
    @pytest.mark.parametrize(
        ("written", "value"),
        [
            ("true", 1),
            ("false", 0),
            ("9223372036854775808", Decimal("9223372036854775808")),
            ("19.90", Decimal("19.9")),
            ("-0", Decimal(0)),
            ("1E-30", Decimal("1E-30")),
            ("9" * 35, Decimal("9" * 35)),
            ('""', ""),
            ('"gr\\u00fc\\u00dfe 🎈"', "grüße 🎈"),
            ('"a\\u0000b\\\\\'"', "a\0b\\'"),
            ('"\\ud800"', '"\\ud800"'),
            ("[ 1,2 ]", "[ 1,2 ]"),
            ('{"x" : {}}', '{"x" : {}}'),
        ],
    )
    async def test_values_stay_what_they_are(
        self, connect: Connect, far_side: Tables, written: str, value: object
    ) -> None:
        await fill(connect, shipment(into()), f'{{ "v" : {written} }}'.encode())
        ((found,),) = far_side.rows("SELECT v FROM results")
        assert (found, type(found)) == (value, type(value))

    @pytest.mark.parametrize("written", ["9" * 36, "9" * 5000, "1e400", "1E-31", "1e999999999", "true", '"text"'])
    async def test_a_value_that_does_not_fit_its_column_stands_beside_it(
        self, connect: Connect, far_side: Tables, written: str
    ) -> None:
        taken = await fill(connect, shipment(into()), b'{"v":1}', b'{"v":%s,"w":2}' % written.encode())
        assert (taken[0].rows, taken[0].rejected) == (2, ())
        assert far_side.rows("SELECT v, w, _more FROM results ORDER BY _item") == [
            (1, None, None),
            (None, 2, f'{{"v":{written}}}'),
        ]

    async def test_a_column_appears_with_the_first_value_that_is_not_null(
        self, connect: Connect, far_side: Tables
    ) -> None:
        async with connect() as sink:
            await send(sink, shipment(into()), batches([b'{"a":1,"c":null}'], [b'{"b":2}', b"{}"]))
        assert columns(far_side) == ["a", "b"]
        assert far_side.rows("SELECT a, b FROM results ORDER BY _item") == [(1, None), (None, 2), (None, None)]

    async def test_ids_of_runs_may_be_as_long_as_any_platform_has_them(
        self, connect: Connect, far_side: Tables
    ) -> None:
        async with connect() as sink:
            await send(sink, shipment(into(), run="r" * 128), batches([b'{"a":1}']))
        assert far_side.rows("SELECT _run_id, a FROM results") == [("r" * 128, 1)]

    async def test_members_that_cannot_be_columns_stand_together(self, connect: Connect, far_side: Tables) -> None:
        item = {
            "Url": 1,
            "url": 2,
            "_run_id": 3,
            "x" * 64: 5,
            "": 6,
            "a\0b": 7,
            "\ud800": 8,
            "_more": 9,
            "ä": 1,
            "b ": 2,
        }
        await fill(connect, shipment(into()), b'{"n":1}', json.dumps(item).encode())
        assert columns(far_side) == ["n", "Url", "_more"]
        ((url, more),) = far_side.rows("SELECT Url, _more FROM results WHERE _item = 1")
        assert (url, json.loads(more)) == (1, {name: item[name] for name in item if name != "Url"})

    async def test_many_long_texts_fit_a_row(self, connect: Connect, far_side: Tables) -> None:
        item = {f"c{number}": "x" * 1000 for number in range(300)}
        taken = await fill(connect, shipment(into()), json.dumps(item).encode())
        assert (taken[0].rows, taken[0].rejected) == (1, ())
        ((more,),) = far_side.rows("SELECT _more FROM results")
        assert len(columns(far_side)) + len(json.loads(more)) == 301

    @pytest.mark.parametrize(
        "name", ["a`b", "x`) VALUES (1); DROP TABLE results; -- ", "a'b", "select", "a b", "%s", "?1"]
    )
    async def test_a_name_of_a_member_is_never_sql(self, connect: Connect, far_side: Tables, name: str) -> None:
        name = name.strip()
        await fill(connect, shipment(into()), json.dumps({name: 1, "n": name}).encode())
        ((*_, found, told),) = far_side.rows("SELECT * FROM results")
        assert (columns(far_side), found, told) == ([name, "n"], 1, name)

    async def test_an_item_the_tables_own_rules_refuse_is_rejected_alone(
        self, connect: Connect, far_side: Tables
    ) -> None:
        far_side.rows(
            "CREATE TABLE results (price DECIMAL(6,2) CHECK (price > 0), name VARCHAR(3), stock INT NOT NULL, "
            "seen DATETIME, kind ENUM('a', 'b'))"
        )
        rows: list[dict[str, Any]] = [
            {"stock": 1, "price": 1.5, "name": "abc", "seen": "2026-03-01T10:00:00+02:00", "kind": "a"},
            {"stock": 1, "price": -1},
            {"stock": 1, "price": 1.555},
            {"stock": 1, "name": "abcd"},
            {"stock": 1.5},
            {"stock": None},
            {"stock": 1, "kind": "c"},
            {"stock": 1, "seen": "yesterday"},
            {"stock": 99999999999},
            {"stock": 2},
        ]
        frozen = into(columns="freeze", stamp=False)
        taken = await fill(connect, shipment(frozen), *(json.dumps(row).encode() for row in rows))
        assert [(one.offset, one.why) for one in taken[0].rejected] == [
            (1, "it breaks the check constraint results.price"),
            (2, "`price` does not fit its column, which is decimal(6,2)"),
            (3, "it is too long for the column name"),
            (4, "`stock` does not fit its column, which is int(11)"),
            (5, "it has no value for the column stock, which takes no null"),
            (6, "the column kind does not take its value"),
            (7, "the column seen does not take its value"),
            (8, "its number is out of range for the column stock"),
        ]
        assert (taken[0].rows, taken[0].out) == (2, 2)
        assert far_side.rows("SELECT price, name, stock, kind, CAST(seen AS CHAR) FROM results") == [
            (Decimal("1.50"), "abc", 1, "a", "2026-03-01 08:00:00"),
            (None, None, 2, None, None),
        ]

    async def test_why_an_item_was_refused_tells_nothing_of_it(self, connect: Connect, far_side: Tables) -> None:
        far_side.rows("CREATE TABLE results (email VARCHAR(40) UNIQUE, n INT, seen DATETIME)")
        frozen = into(columns="freeze", stamp=False)
        email = b'{"email":"jane@private.example"}'
        odd = b'{"seen":"my column \'jane\'"}'
        taken = await fill(connect, shipment(frozen), email, email, odd)
        assert taken[0].rejected == (
            Rejected(1, "it is a duplicate for the index email"),
            Rejected(2, "the column seen does not take its value"),
        )

    @pytest.mark.parametrize(
        ("code", "told", "said"),
        [
            (1062, "Duplicate entry 'a' for key 'b' for key 'results.email'", "it is a duplicate for the index email"),
            (
                1364,
                "Field 'sku' doesn't have a default value",
                "it has no value for the column sku, which has no default",
            ),
            (1292, "Truncated incorrect DOUBLE value: 'a column 'jane'", "the column … does not take its value"),
            (3819, "Check constraint 'positive' is violated.", "it breaks the check constraint positive"),
            (
                1452,
                "Cannot add or update a child row: a foreign key constraint fails (`b`.`r`, CONSTRAINT `of_shop` "
                "FOREIGN KEY (`shop`) REFERENCES `shops` (`id`))",
                "it refers to a row that is not there, by the foreign key of_shop",
            ),
            (1644, "no jane here", "a trigger of the table refuses it"),
            (1525, "Incorrect INET6 value: 'jane'", "the table does not take one of its values: error 1525"),
        ],
    )
    def test_each_refusal_of_a_row_is_told_in_our_words(self, code: int, told: str, said: str) -> None:
        assert why(OperationalError(code, told), {"sku"}) == said

    async def test_an_item_that_is_too_large_for_the_server_is_rejected_alone(
        self, connect: Connect, far_side: Tables
    ) -> None:
        taken = await fill(connect, shipment(WHOLE), b"1", b'"%s"' % (b"x" * 17_000_000), b"2")
        why = "it is larger than max_allowed_packet of the server (16777216 bytes)"
        assert taken[0].rejected == (Rejected(1, why),)
        assert far_side.items("r1") == [b"1", b"2"]


@pytest.mark.parametrize("mode", [{}, {"mode": "upsert", "key": "url", "order": "none"}])
async def test_the_rows_of_a_preview_are_those_that_are_there_then(
    mode: dict[str, str], connect: Connect, far_side: Tables, settings: dict[str, Any]
) -> None:
    items = [b'{"url":"u1","price":9.90,"tags":["a\'"]}', b'{"url":"u2","price":"x","in":{"a":null}}', b"[1]"]
    shipped = shipment(into(stamp=False, **mode))
    said = list(mysql.preview(mysql.Config.model_validate(settings), shipped, batches(items)[0]))
    (taken, *_) = await fill(connect, shipped, *items)
    rows = [far_side.rows(f"SELECT {line[1:-1]}")[0] for line in said if line.startswith("(")]
    assert rows == far_side.rows("SELECT url, price, tags, `in`, _more FROM results ORDER BY url")
    assert [f"item {one.offset} is rejected: {one.why}" for one in taken.rejected] == said[-1:]


class TestTrouble:
    @pytest.mark.parametrize(
        ("changed", "before", "kind", "reason", "line"),
        [
            (
                {"password": "wrong"},
                (),
                Unauthorized,
                Reason.TOKEN_REFUSED,
                'the database refused the user "root" or its password: mend `user` and `password`',
            ),
            (
                {"database": "nowhere"},
                (),
                Unauthorized,
                Reason.TARGET_REFUSED,
                'there is no database "nowhere": CREATE DATABASE nowhere CHARACTER SET utf8mb4',
            ),
            (
                {"user": "poor", "password": "poor"},
                (),
                Unauthorized,
                Reason.TARGET_REFUSED,
                'the user "poor" may not use "books": GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON '
                "books.* TO 'poor'",
            ),
            (
                {"user": "poor", "password": "poor"},
                ("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON books._runrelay_checkpoints TO poor",),
                Forbidden,
                Reason.TARGET_REFUSED,
                "CREATE command denied to user 'poor'@'127.0.0.1' for table `books`.`results`: GRANT it on "
                "books.results",
            ),
            (
                {"user": "poor", "password": "poor"},
                ("GRANT ALL ON books.* TO poor", "SET GLOBAL read_only = 1"),
                Unauthorized,
                Reason.TARGET_REFUSED,
                "the server is read-only: let `host` be the primary, or SET GLOBAL read_only = 0",
            ),
            (
                {"user": "poor", "password": "poor"},
                ("GRANT ALL ON books.* TO poor", "ALTER USER poor WITH MAX_QUERIES_PER_HOUR 5"),
                Transient,
                Reason.TARGET_UNAVAILABLE,
                "the database cannot take it now: the user has used up its share: see its resource limits",
            ),
            (
                {},
                ("CREATE VIEW books.results AS SELECT 1 AS n",),
                Forbidden,
                Reason.TARGET_REFUSED,
                "results is no table of InnoDB: drop it, or name another one",
            ),
        ],
    )
    async def test_each_mistake_has_its_verdict_and_its_cure(
        self,
        settings: dict[str, Any],
        far_side: Tables,
        server: Database,
        changed: dict[str, Any],
        before: tuple[str, ...],
        kind: type[WorkError],
        reason: Reason,
        line: str,
    ) -> None:
        server.run("CREATE OR REPLACE USER poor IDENTIFIED BY 'poor'", *before)
        try:
            with pytest.raises(WorkError) as raised:
                await fill(lambda: opened(settings, **changed), shipment(into()), b'{"n":1}')
        finally:
            server.run("SET GLOBAL read_only = 0", "DROP USER poor")
        assert (type(raised.value), raised.value.reason, raised.value.detail) == (kind, reason, line)

    @pytest.mark.parametrize(
        ("code", "kind", "said"),
        [
            (1021, Transient, "the database cannot take it now: its disk is full"),
            (1114, Transient, "the database cannot take it now: the table or its disk is full"),
            (
                1040,
                Transient,
                "the database cannot take it now: it has too many connections: raise max_connections, or let fewer in",
            ),
            (1213, Transient, "the database cannot take it now: other writers were in the way (deadlock)"),
            (
                1205,
                Transient,
                "the database cannot take it now: somebody else has held a lock on the table for too long",
            ),
            (
                1153,
                Transient,
                "the database cannot take it now: a statement was larger than max_allowed_packet: raise it",
            ),
            (2006, Transient, NO_ANSWER.format("it went away")),
            (2013, Transient, NO_ANSWER.format("the connection was lost")),
            (1064, Permanent, "the database did not take it into books.results: error 1064 (PARSE_ERROR)"),
        ],
    )
    def test_each_error_of_the_server_has_its_verdict(self, code: int, kind: type[WorkError], said: str) -> None:
        place = _mysql_session.Place("db", 3306, "etl", "books")
        error = _mysql_session.verdict(OperationalError(code, "something"), place, "results")
        assert (type(error), error.detail) == (kind, said)

    async def test_a_server_that_says_nothing_more_holds_nobody(
        self, connect: Connect, far_side: Tables, server: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, *rest = batches(*THREE)
        async with connect() as sink:
            async with sink.open(shipment(WHOLE), None) as writer:
                position = stored(await writer.items(first))
                with monkeypatch.context() as patch, server.service.asleep():
                    patch.setattr(mysql, "LONGEST", 0.2)
                    with pytest.raises(Transient) as raised:
                        await writer.items(rest[0])
            assert "(not in time)" in raised.value.detail
            await send(sink, shipment(WHOLE), rest, position)
        assert far_side.items("r1") == ALL

    async def test_a_locked_table_is_worth_another_try(
        self, connect: Connect, far_side: Tables, server: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_mysql_session, "_SETTINGS", _mysql_session._SETTINGS.replace("= 10", "= 1"))
        await fill(connect, shipment(WHOLE), *ALL)
        with server.locked("books.results"), pytest.raises(Transient, match="held a lock on the table for too long"):
            await fill(connect, shipment(WHOLE, run="r2"), *ALL)
        await fill(connect, shipment(WHOLE, run="r2"), *ALL)
        assert far_side.items("r2") == ALL


class TestCheck:
    @pytest.mark.parametrize(
        ("made", "options", "told"),
        [
            ("", {}, None),
            ("", {"columns": "freeze"}, "there is no table results: create it, or let `columns: evolve` do so"),
            (
                "CREATE TABLE results (n INT)",
                {"columns": "freeze"},
                "the table results lacks columns: ALTER TABLE results ADD COLUMN _run_id VARCHAR(128), ADD COLUMN "
                "_finished_at DATETIME(6), ADD COLUMN _target VARCHAR(255), ADD COLUMN _stream VARCHAR(255), ADD "
                "COLUMN _item BIGINT, ADD COLUMN _delivered_at DATETIME(6)",
            ),
            ("CREATE TABLE results (n INT)", {"columns": "freeze", "stamp": False}, None),
            ("CREATE TABLE results (n INT)", {}, None),
        ],
    )
    async def test_it_says_what_a_delivery_would_and_changes_nothing(
        self, connect: Connect, far_side: Tables, made: str, options: dict[str, Any], told: str | None
    ) -> None:
        if made:
            far_side.rows(made)
        before = far_side.rows("SHOW TABLES"), columns(far_side)
        async with connect() as sink:
            assert isinstance(sink, mysql.MysqlSink)
            if told is None:
                await sink.check(into(**options))
            else:
                with pytest.raises(Forbidden) as raised:
                    await sink.check(into(**options))
                assert raised.value.detail == told
        assert (far_side.rows("SHOW TABLES"), columns(far_side)) == before


def columns(far_side: Tables) -> list[str]:
    """The table's columns, without the stamp."""
    found = far_side.rows(
        f"SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{BOOKS}' AND TABLE_NAME = 'results' "
        "ORDER BY ORDINAL_POSITION"
    )
    return [name for (name,) in found if name not in STAMPS]
