import json
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.contracts.sink import Rejected, Taken
from console.servers.postgres import PostgresServer
from tests.workers.sinks.postgres_database import Database, fill, into, opened
from workers.sinks import _postgres_stream
from workers.testing.contract import Connect, send
from workers.testing.shipments import batches, shipment


@pytest.fixture
def far_side(postgres_server: PostgresServer) -> Database:
    return Database(postgres_server.url)


@pytest.fixture
def connect(far_side: Database) -> Connect:
    return lambda: opened(far_side)


class TestColumnsOfOurs:
    @pytest.mark.parametrize(
        ("written", "kind", "value"),
        [
            ("true", "boolean", "true"),
            ("false", "boolean", "false"),
            ("9223372036854775808", "numeric", "9223372036854775808"),
            ("9" * 5000, "numeric", "9" * 5000),
            ("-0", "numeric", "0"),
            ("1.0", "numeric", "1.0"),
            ("19.90", "numeric", "19.90"),
            ("1e3", "numeric", "1000"),
            ("1E-400", "numeric", "0." + "0" * 399 + "1"),
            ('""', "text", ""),
            ('"\\\\N"', "text", "\\N"),
            ('"gr\\u00fc\\u00dfe 🎈 \\ud83d\\ude00"', "text", "grüße 🎈 😀"),
            ('"a\\tb\\nc\\\\d\\r\\"e"', "text", 'a\tb\nc\\d\r"e'),
            ('"a\\u0000b"', "text", "a\\u0000b"),
            ('"a\\\\u0000b"', "text", "a\\u0000b"),
            ('"\\ud800x\\udc00"', "text", "\\ud800x\\udc00"),
            ('"=cmd"', "text", "=cmd"),
            ("[ 1,2 ]", "jsonb", "[1, 2]"),
            ('{"x" : {}, "y":"\\n\\u0000\\ud83d"}', "jsonb", '{"x": {}, "y": "\\n\\\\u0000\\\\ud83d"}'),
        ],
    )
    async def test_have_the_type_of_their_first_value(
        self, connect: Connect, far_side: Database, written: str, kind: str, value: str
    ) -> None:
        taken = await fill(connect, shipment(into()), f'{{ "v" : {written} }}'.encode())
        assert (taken[0].rows, taken[0].rejected) == (1, ())
        assert far_side.columns() == {"v": kind}
        assert far_side.rows("SELECT v::text FROM results") == [(value,)]

    async def test_appear_with_the_first_value_that_is_not_null(self, connect: Connect, far_side: Database) -> None:
        async with connect() as sink:
            await send(sink, shipment(into()), batches([b'{"a":1,"b":null,"c":null}'], [b'{"b":2}', b"{}"]))
        assert far_side.columns() == {"a": "numeric", "b": "numeric"}
        assert far_side.rows("SELECT a, b FROM results ORDER BY _item") == [(1, None), (None, 2), (None, None)]

    async def test_keep_what_does_not_fit_them_under_its_name(self, connect: Connect, far_side: Database) -> None:
        first = b'{"n":1,"b":true,"t":"a","j":[]}'
        async with connect() as sink:
            await send(sink, shipment(into()), batches([first], [b'{"n":"x","b":0,"t":{"u":1},"j":"s","N":2}', first]))
        found = far_side.rows("SELECT n, b, t, j::text, _more::text FROM results ORDER BY _item")
        assert found == [
            (1, True, "a", "[]", None),
            (None, None, '{"u":1}', '"s"', '{"N": 2, "b": 0, "n": "x"}'),
            (1, True, "a", "[]", None),
        ]

    async def test_numbers_are_exact_and_of_any_size(self, connect: Connect, far_side: Database) -> None:
        items = [b'{"n":%s}' % written for written in (b"10", b"9.99", b"0.1", b"12345678901234567890.12345")]
        await fill(connect, shipment(into()), *items)
        found = [value for (value,) in far_side.rows("SELECT n FROM results ORDER BY _item")]
        assert found == [Decimal("10"), Decimal("9.99"), Decimal("0.1"), Decimal("12345678901234567890.12345")]

    async def test_members_that_cannot_be_columns_stand_together(self, connect: Connect, far_side: Database) -> None:
        long = "x" * 64
        item = {"Url": 1, "url": 2, "_run_id": 3, "_RUN_ID": 4, long: 5, "": 6, "a\0b": 7, "\ud800": 8, "_more": 9}
        await fill(connect, shipment(into()), b'{"n":1}', json.dumps(item).encode())
        assert far_side.columns() == {"n": "numeric", "Url": "numeric", "_more": "jsonb"}
        ((url, more),) = far_side.rows('SELECT "Url", _more::text FROM results WHERE _item = 1')
        escaped = {"a\0b": "a\\u0000b", "\ud800": "\\ud800"}
        assert (url, json.loads(more)) == (1, {escaped.get(name, name): item[name] for name in item if name != "Url"})

    async def test_are_at_most_two_hundred_and_fifty(self, connect: Connect, far_side: Database) -> None:
        item = {f"c{number}": number for number in range(700)}
        await fill(connect, shipment(into()), json.dumps(item).encode())
        ((more,),) = far_side.rows("SELECT _more::text FROM results")
        assert len(far_side.columns()) + 6 == 251
        assert json.loads(more) == {f"c{number}": number for number in range(244, 700)}

    @pytest.mark.parametrize("options", [{}, {"mode": "upsert", "key": "c0"}], ids=["append", "upsert"])
    async def test_however_wide_an_item_is_its_row_fits(
        self, connect: Connect, far_side: Database, options: dict[str, Any]
    ) -> None:
        """Texts of 22 letters are too short to be moved out of the row."""
        item = {f"c{number}": f"{number:022}" for number in range(380)}
        taken = await fill(connect, shipment(into(**options)), json.dumps(item).encode())
        assert (taken[0].rows, taken[0].rejected) == (1, ())
        assert far_side.rows("SELECT c0, c243, _more ->> 'c379' FROM results") == [
            (item["c0"], item["c243"], item["c379"])
        ]

    @pytest.mark.parametrize("options", [{}, {"mode": "upsert", "key": "c0"}], ids=["append", "upsert"])
    async def test_an_item_too_wide_for_a_table_that_is_there_stands_together(
        self, connect: Connect, far_side: Database, options: dict[str, Any]
    ) -> None:
        told = ", ".join(f"c{number} text" for number in range(380))
        far_side.made(f"CREATE TABLE {far_side.schema}.results ({told})")
        wide = {f"c{number}": f"{number:022}" for number in range(380)} | {"c7": None}
        taken = await fill(connect, shipment(into(**options)), b'{"c0":"a","c1":"b"}', json.dumps(wide).encode())
        assert (taken[0].rows, taken[0].rejected) == (2, ())
        small, large = far_side.rows("SELECT c0, c1, _more::text FROM results ORDER BY _item")
        assert small == ("a", "b", None)
        more = {name: value for name, value in wide.items() if value and name != options.get("key")}
        assert (large[:2], json.loads(large[2])) == ((wide["c0"] if options else None, None), more)

    @pytest.mark.parametrize(
        ("written", "held"),
        [
            ("1e131071", True),
            ("1e131072", False),
            ("1e200000", False),
            ("-1E+200000", False),
            ("0.001e131074", True),
            ("0e200000", True),
            ("1e9999999999", False),
            ("1e-16383", True),
            ("1.0e-16383", False),
            ("9" * 131_072, True),
            ("9" * 131_073, False),
            ("0." + "1" * 16_383, True),
            ("0." + "1" * 16_384, False),
        ],
    )
    async def test_keep_a_number_that_postgres_cannot_hold_as_text_under_its_name(
        self, connect: Connect, far_side: Database, written: str, held: bool
    ) -> None:
        taken = await fill(connect, shipment(into()), b'{"n":1}', b'{"n":%s,"t":"a"}' % written.encode())
        assert (taken[0].rows, taken[0].rejected) == (2, ())
        more = "NULL" if held else "_more ->> 'n'"
        found = far_side.rows(f"SELECT n IS NULL, t, {more} FROM results ORDER BY _item")
        assert found == [(False, None, None), (not held, "a", None if held else written)]

    async def test_keep_such_a_number_also_where_there_is_no_column_for_it(
        self, connect: Connect, far_side: Database
    ) -> None:
        far_side.made(f"CREATE TABLE {far_side.schema}.results (i integer)")
        taken = await fill(connect, shipment(into()), b'{"Url":1,"url":1e200000,"_more":1e-20000,"i":1e200000,"x":1e3}')
        assert taken[0].rejected == ()
        assert [(x, json.loads(more)) for x, more in far_side.rows("SELECT x, _more::text FROM results")] == [
            (1000, {"url": "1e200000", "_more": "1e-20000", "i": "1e200000"})
        ]

    @pytest.mark.parametrize(
        "name",
        ['a"b', 'x") VALUES (1); DROP TABLE results; --', "a'b", "a;b", "select", "a b", "ä", "$1", "%s"],
    )
    async def test_a_name_of_a_member_is_never_sql(self, connect: Connect, far_side: Database, name: str) -> None:
        options = into(mode="upsert", key="n")
        await fill(connect, shipment(options), json.dumps({name: 1, "n": name}).encode())
        ((*_, found, told),) = far_side.rows("SELECT * FROM results")
        assert (list(far_side.columns()), found, told) == ([name, "n"], 1, name)

    async def test_names_of_postgres_itself_stand_with_the_others(self, connect: Connect, far_side: Database) -> None:
        await fill(connect, shipment(into()), b'{"ctid":1,"xmin":2,"tableoid":"a","n":1}')
        assert far_side.rows("SELECT n, _more::text FROM results") == [(1, '{"ctid": 1, "xmin": 2, "tableoid": "a"}')]

    async def test_what_nobody_could_read_is_rejected(self, connect: Connect, far_side: Database) -> None:
        deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        items = (deep, b'{"a":1}', b'{"a":"\xff"}', b'{"a":NaN}', b'{"b":[NaN]}', b'{"a":1e200000}', b"7")
        taken = await fill(connect, shipment(into()), *items)
        assert taken[0].rejected == (
            Rejected(0, "it is nested too deeply"),
            Rejected(2, "it is not UTF-8"),
            Rejected(3, "NaN and Infinity are no JSON"),
            Rejected(4, "invalid input syntax for type json"),
            Rejected(6, "it is no object"),
        )
        assert far_side.rows("SELECT _item, a, _more::text FROM results ORDER BY 1") == [
            *((1, 1, None), (5, None, '{"a": "1e200000"}'))
        ]

    async def test_whole_items_that_nobody_could_read_are_rejected(self, connect: Connect, far_side: Database) -> None:
        deep = b"[" * 100_000 + b"]" * 100_000
        items = (b"1", deep, b'"\xff"', b"NaN", b'{"a":', b"2", b"1e200000", b"\t3 ")
        taken = await fill(connect, shipment(into(columns="json")), *items)
        assert [one.offset for one in taken[0].rejected] == [1, 2, 3, 4, 6]
        assert taken[0].rejected[2].why == "invalid input syntax for type json"
        assert (taken[0].rows, far_side.items("r1")) == (3, [b"1", b"2", b"3"])


class TestColumnsOfTheirs:
    MADE = (
        "CREATE TABLE {}.results (day date, n integer, code varchar(3), tags text[], price numeric CHECK (price > 0))"
    )

    @pytest.fixture
    def far_side(self, postgres_server: PostgresServer) -> Database:
        far_side = Database(postgres_server.url)
        return far_side.made(self.MADE.format(far_side.schema))

    async def test_take_what_postgres_reads_as_theirs(self, connect: Connect, far_side: Database) -> None:
        items = (
            b'{"day":"2026-03-01","n":1,"code":"abc","tags":"{a,b}"}',
            b'{"day":"someday","n":2.5,"code":"abcd","tags":["a"],"more":1}',
            b'{"day":20260302,"n":"3"}',
        )
        taken = await fill(connect, shipment(into()), *items)
        assert (taken[0].rows, taken[0].rejected) == (3, ())
        found = far_side.rows("SELECT day::text, n, code, tags, more, _more::text FROM results ORDER BY _item")
        assert found == [
            ("2026-03-01", 1, "abc", ["a", "b"], None, None),
            (None, None, None, None, 1, '{"n": 2.5, "day": "someday", "code": "abcd", "tags": ["a"]}'),
            ("2026-03-02", 3, None, None, None, None),
        ]

    async def test_an_item_the_tables_own_rules_refuse_is_rejected_alone(
        self, connect: Connect, far_side: Database
    ) -> None:
        taken = await fill(connect, shipment(into()), b'{"price":1}', b'{"price":-1}', b'{"price":2}')
        why = 'new row for relation "results" violates check constraint "results_price_check"'
        assert taken[0].rejected == (Rejected(1, why),)
        assert (taken[0].rows, far_side.rows("SELECT price FROM results")) == (2, [(1,), (2,)])

    async def test_a_rule_that_is_looked_at_in_the_end_is_looked_at_soon_enough(
        self, connect: Connect, far_side: Database
    ) -> None:
        far_side.change("ALTER TABLE results ADD UNIQUE (n) DEFERRABLE INITIALLY DEFERRED")
        taken = await fill(connect, shipment(into()), b'{"n":1}', b'{"n":1}', b'{"n":2}')
        why = 'duplicate key value violates unique constraint "results_n_key"'
        assert taken[0].rejected == (Rejected(1, why),)
        assert far_side.rows("SELECT n FROM results ORDER BY 1") == [(1,), (2,)]

    async def test_a_trigger_that_says_no_rejects_the_item(self, connect: Connect, far_side: Database) -> None:
        far_side.change(
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.n = 13 THEN"
            " RAISE EXCEPTION 'not thirteen'; END IF; RETURN NEW; END $$;"
            "CREATE TRIGGER no BEFORE INSERT ON results FOR EACH ROW EXECUTE FUNCTION no()"
        )
        taken = await fill(connect, shipment(into()), b'{"n":12}', b'{"n":13}', b'{"n":14}')
        assert taken[0].rejected == (Rejected(1, "not thirteen"),)
        assert far_side.rows("SELECT n FROM results ORDER BY 1") == [(12,), (14,)]

    async def test_a_frozen_table_rejects_what_does_not_fit(self, connect: Connect, far_side: Database) -> None:
        frozen = into(columns="freeze", stamp=False)
        before = far_side.columns()
        items = (b'{"n":1}', b'{"n":2,"m":3}', b'{"n":"x"}', b'{"price":"1"}', b'{"price":null}')
        taken = await fill(connect, shipment(frozen), *items)
        assert taken[0].rejected == (
            Rejected(1, "the table has no column for 1 of its members, such as 'm'"),
            Rejected(2, "`n` does not fit its column, which is integer"),
            Rejected(3, "`price` does not fit its column, which is numeric"),
        )
        assert (far_side.columns(), far_side.rows("SELECT n FROM results ORDER BY 1")) == (before, [(1,), (None,)])

    async def test_what_is_dropped_is_counted(self, connect: Connect, far_side: Database) -> None:
        dropping = into(columns="drop_extra", stamp=False)
        with capture_logs() as logs:
            taken = await fill(
                connect, shipment(dropping), b'{"n":1,"m":3}', b'{"n":"x","price":"2","code":"a"}', b'{"n":2}'
            )
        assert (taken[0].rows, taken[0].rejected) == (3, ())
        assert far_side.rows("SELECT n, price FROM results ORDER BY 1") == [(1, None), (2, None), (None, None)]
        assert logs == [
            {"event": "postgres.odd", "log_level": "warning", "table": f"{far_side.schema}.results", "mended": 0}
            | {"dropped": 3}
        ]

    async def test_a_value_that_was_null_so_far_fits_no_column_of_nobody(
        self, connect: Connect, far_side: Database
    ) -> None:
        far_side.change("ALTER TABLE results ADD COLUMN twice integer GENERATED ALWAYS AS (n * 2) STORED")
        await fill(connect, shipment(into()), b'{"n":2,"twice":null}')
        assert far_side.rows("SELECT n, twice, _more::text FROM results") == [(2, 4, '{"twice": null}')]


async def test_half_a_batch_of_bad_items_costs_nothing_but_themselves(connect: Connect, far_side: Database) -> None:
    far_side.made(f"CREATE TABLE {far_side.schema}.results (n integer)")
    items = [b'{"n":"%s"}' % (b"x" if number % 2 else b"%d" % number) for number in range(200)]
    taken = await fill(connect, shipment(into(columns="freeze", stamp=False)), *items)
    assert [one.offset for one in taken[0].rejected] == list(range(1, 200, 2))
    assert far_side.rows("SELECT count(*), max(n) FROM results") == [(100, 198)]


async def test_items_there_was_no_time_for_come_again(
    connect: Connect, far_side: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_postgres_stream, "SEARCHING", 0)
    far_side.made(f"CREATE TABLE {far_side.schema}.results (n integer)")
    (batch,) = batches([b'{"n":"%s"}' % (b"x" if number in {3, 6} else b"%d" % number) for number in range(8)])
    rest, taken = batch, list[Taken]()
    async with connect() as sink, sink.open(shipment(into(columns="freeze", stamp=False)), None) as writer:
        while rest.count:
            taken.append(await writer.items(rest))
            rest = rest.after(rest.count - taken[-1].left)
            known = far_side.rows("SELECT next_item FROM _runrelay_checkpoints")
            assert taken[-1].position == {"item": known[0][0]}
    assert [one.offset for part in taken for one in part.rejected] == [3, 6]
    assert sum(part.rows for part in taken) == 6
    assert len(taken) > 1
    assert taken[-1].position == {"item": 8}
    assert far_side.rows("SELECT n FROM results ORDER BY 1") == [(0,), (1,), (2,), (4,), (5,), (7,)]
