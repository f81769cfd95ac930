import asyncio
import errno
import json
import resource
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb as client
import pytest
from structlog.testing import capture_logs

from config.contracts.errors import Forbidden, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Checked, Rejected, Shipment, Taken
from tests.workers.sinks.database import Lake, into_lake, lake
from workers.rows import STAMPS
from workers.sinks import _duckdb_table, duckdb
from workers.sinks.duckdb import verdict
from workers.testing.contract import ALL, THREE, Connect, SinkContract, flat, send, stored, tagged
from workers.testing.killed import KilledContract
from workers.testing.shipments import batches, document, shipment

WHOLE = into_lake(columns="json")
#: A process that opens the file, says how that went, and keeps it open until its input ends.
OPENS = """\
import duckdb, sys
try:
    db = duckdb.connect(sys.argv[1], read_only=len(sys.argv) > 2)
    print("open", flush=True)
except duckdb.IOException:
    print("refused", flush=True)
sys.stdin.read()
"""

#: What an item says, the type of its column, and the value there; None: it stands in `_more`.
VALUES: list[tuple[str, str, object]] = [
    ("true", "BOOLEAN", True),
    ("10", "DOUBLE", 10.0),
    ("-0", "DOUBLE", 0.0),
    ("19.9", "DOUBLE", 19.9),
    ("9007199254740993", "DOUBLE", None),
    ("9007199254740992", "DOUBLE", 9007199254740992.0),
    ("0.1234567890123456789", "DOUBLE", None),
    ("1e22", "DOUBLE", 1e22),
    ("1E-400", "DOUBLE", None),
    ("1E400", "DOUBLE", None),
    ("1E" + "9" * 5000, "DOUBLE", None),
    ("9" * 5000, "DOUBLE", None),
    ('""', "VARCHAR", ""),
    ('"gr\\u00fc\\u00dfe 🎈"', "VARCHAR", "grüße 🎈"),
    ('"a\\u0000b"', "VARCHAR", "a\0b"),
    ('"\\ud83c\\udf88"', "VARCHAR", "🎈"),
    ('"\\ud800"', "VARCHAR", None),
    ('"=cmd"', "VARCHAR", "=cmd"),
    ("[ 1,2 ]", "JSON", "[ 1,2 ]"),
    ('{"x" : {}}', "JSON", '{"x" : {}}'),
    ('{"x":"\\u0000","y":1E400}', "JSON", '{"x":"\\u0000","y":1E400}'),
    ('{"x":"\\ud800"}', "JSON", None),
]


@pytest.fixture
def far_side(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake" / "runs.duckdb")


@pytest.fixture
def connect(far_side: Lake) -> Connect:
    return lambda: lake(far_side.path)


async def fill(connect: Connect, shipped: Shipment, *items: bytes) -> list[Taken]:
    """Deliver these items whole."""
    async with connect() as sink:
        taken, _ = await send(sink, shipped, batches(list(items)))
    return taken


async def check(connect: Connect) -> None:
    async with connect() as sink:
        assert isinstance(sink, Checked)
        await sink.check(WHOLE)


@contextmanager
def opened_elsewhere(path: Path, *how: str) -> Iterator[str]:
    """Another process that has the file open. Yields how that went."""
    child = subprocess.Popen(
        [sys.executable, "-c", OPENS, str(path), *how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        yield child.stdout.readline().strip()
    finally:
        child.communicate()


class TestDuckdb(SinkContract, KilledContract):
    module = duckdb
    options = WHOLE

    @pytest.fixture
    def settings(self, far_side: Lake) -> dict[str, Any]:
        return {"path": str(far_side.path)}

    async def test_takes_documents_as_they_are(self, connect: Connect, far_side: Lake) -> None:  # type: ignore[override]  # a narrower far side
        """It takes none."""
        async with connect() as sink, sink.open(self.ship(), None) as writer:
            with pytest.raises(TypeError, match="holds no documents"):
                await writer.document(document("A", "text/plain", b"a"))

    async def test_documents_sent_again_are_there_once(self, connect: Connect, far_side: Lake) -> None:  # type: ignore[override]  # a narrower far side
        assert "records" not in self.module.TAKES


class TestTwice:
    @pytest.mark.parametrize("harm", ["DROP TABLE results", "DELETE FROM _runrelay_checkpoints"])
    async def test_a_database_that_does_not_have_what_the_ledger_knows_is_begun_again(
        self, connect: Connect, far_side: Lake, harm: str
    ) -> None:
        async with connect() as sink:
            _, position = await send(sink, shipment(WHOLE), batches(*THREE), publish=False)
        far_side.change(harm)
        with capture_logs() as logs:
            async with connect() as sink, sink.open(shipment(WHOLE), position) as writer:
                assert writer.position is None
                for batch in batches(*THREE):
                    await writer.items(batch)
        assert logs == [{"event": "table.lost", "log_level": "warning", "file": "runs.duckdb", "table": "results"}]
        assert far_side.items("r1") == ALL

    async def test_a_writer_whose_place_was_taken_stops(self, connect: Connect, far_side: Lake) -> None:
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

    async def test_a_replay_takes_back_rows_of_its_own_finish_and_target_only(
        self, connect: Connect, far_side: Lake
    ) -> None:
        later = "2026-03-02T10:00:00.000Z"
        for other in (shipment(WHOLE, run="r2"), shipment(WHOLE, route="other"), shipment(WHOLE, life=later)):
            await fill(connect, other, b"0")
        await fill(connect, shipment(WHOLE), b"1", b"2", b"3")
        await fill(connect, shipment(WHOLE, generation=1), b"4")
        found = far_side.rows("SELECT _run_id, _finished_at, _target, item FROM results ORDER BY ALL")
        life = "2026-03-01T10:00:00.000Z"
        assert found == [
            ("r1", life, "platform/all/out", "4"),
            ("r1", life, "platform/other/out", "0"),
            ("r1", later, "platform/all/out", "0"),
            ("r2", life, "platform/all/out", "0"),
        ]


class TestTheFile:
    async def test_killed_while_it_is_made_it_leaves_no_half_of_a_database(
        self, connect: Connect, far_side: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(*names: Path) -> None:
            raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr("os.link", killed)
            with pytest.raises(SystemExit):
                await fill(connect, shipment(WHOLE), *ALL)
        assert not far_side.path.exists()
        await fill(connect, shipment(WHOLE), *ALL)
        assert far_side.items("r1") == ALL

    async def test_where_there_are_no_links_it_is_made_in_place(
        self, connect: Connect, far_side: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def none(*names: Path) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr("os.link", none)
        await fill(connect, shipment(WHOLE), *ALL)
        assert far_side.items("r1") == ALL
        assert list(far_side.path.parent.iterdir()) == [far_side.path]


class TestColumns:
    async def test_a_value_is_of_its_type_or_stands_among_the_others_as_it_was_written(
        self, connect: Connect, far_side: Lake
    ) -> None:
        members = {f"v{number}": written for number, (written, _, _) in enumerate(VALUES)}
        item = ", ".join(f'"{name}" : {written}' for name, written in members.items())
        taken = await fill(connect, shipment(into_lake()), f"{{ {item} }}".encode())
        assert taken[0].rejected == ()
        assert columns(far_side) == {
            "_more": "VARCHAR",
            **{name: kind for name, (_, kind, _) in zip(members, VALUES, strict=True)},
        }
        ((*found, more),) = far_side.rows(f"SELECT {', '.join(members)}, _more FROM results")
        assert found == [value for _, _, value in VALUES]
        others = [f'"{name}":{members[name]}' for name, value in zip(members, found, strict=True) if value is None]
        assert more == f"{{{','.join(others)}}}"

    async def test_the_first_value_that_is_not_null_tells_the_type(self, connect: Connect, far_side: Lake) -> None:
        items = [b'{"v":null,"n":1}', b'{"v":9.99}', b'{"v":10}', b'{"v":"N/A","a b\\u0000":1}', b'{"v":{"eur":1}}']
        async with connect() as sink:
            await send(sink, shipment(into_lake()), batches(items[:2], items[2:]))
        assert columns(far_side) == {"n": "DOUBLE", "v": "DOUBLE", "_more": "VARCHAR"}
        assert far_side.rows("SELECT v, _more FROM results ORDER BY _item") == [
            (None, None),
            (9.99, None),
            (10.0, None),
            (None, '{"a b\\u0000":1,"v":"N/A"}'),
            (None, '{"v":{"eur":1}}'),
        ]

    async def test_a_column_that_is_null_everywhere_is_not_made(self, connect: Connect, far_side: Lake) -> None:
        await fill(connect, shipment(into_lake()), b'{"v":null,"n":1}', b"{}")
        assert columns(far_side) == {"n": "DOUBLE"}

    async def test_a_table_of_ones_own_has_the_types_one_likes(self, connect: Connect, far_side: Lake) -> None:
        own = {
            "day": "DATE",
            "nr": "BIGINT",
            "small": "UTINYINT",
            "price": "DECIMAL(6,2)",
            "tags": "VARCHAR[]",
            "at": "TIMESTAMP",
            "any": "JSON",
        }
        far_side.path.parent.mkdir()
        made = ", ".join(f'"{name}" {kind}' for name, kind in own.items())
        far_side.change(f"CREATE TABLE results ({made})")
        good = (
            b'{"day":"2026-03-01","nr":1234567890123456789,"small":1e2,"price":10.5,"tags":["a","b"],'
            b'"at":"2026-03-01T10:00:00.000Z","any":"x"}'
        )
        bad = (
            b'{"day":"yesterday","nr":9.99,"small":256,"price":9.999,"tags":{"a":1},"at":1,"any":"\\ud800"}',
            b'{"day":0,"nr":1E400,"small":"2","price":123456,"tags":"none","at":{},"any":[ "\\ud800" ]}',
        )
        taken = await fill(connect, shipment(into_lake(stamp=False)), good, *bad)
        first, *others = far_side.rows("SELECT * FROM results")
        told = (date(2026, 3, 1), 1234567890123456789, 100, Decimal("10.50"), ["a", "b"], datetime(2026, 3, 1, 10))  # noqa: DTZ001  # a TIMESTAMP has no zone
        assert (first, taken[0].rejected) == ((*told, '"x"', None), ())
        assert [other[:-1] for other in others] == [(None,) * 7] * 2
        assert [sorted(other[-1][1:-1].split(",")) for other in others] == [
            sorted(item.decode()[1:-1].split(",")) for item in bad
        ]

    async def test_a_name_of_a_member_is_never_sql(self, connect: Connect, far_side: Lake) -> None:
        names = ['a"b', 'x") VALUES (1); DROP TABLE results; --', "a'b", "a;b", "select", "rowid", "[x]", "?1", "$1"]
        await fill(connect, shipment(into_lake()), json.dumps({name: name for name in names}).encode())
        (found,) = far_side.rows("SELECT * FROM results")
        assert (list(columns(far_side)), list(found)[len(STAMPS) :]) == (names, names)

    async def test_an_item_the_tables_own_rules_refuse_is_rejected_alone(
        self, connect: Connect, far_side: Lake
    ) -> None:
        far_side.path.parent.mkdir()
        far_side.change("CREATE TABLE results (n DOUBLE PRIMARY KEY CHECK (n <> 3), name VARCHAR NOT NULL)")
        items = [b'{"n":%d,"name":"a"}' % n for n in (1, 2, 3, 2, 4)]
        taken = await fill(connect, shipment(into_lake()), *items, b'{"n":5}', b'{"n":6,"name":"a"}')
        assert [one.offset for one in taken[0].rejected] == [2, 3, 5]
        assert [one.why for one in taken[0].rejected] == [
            'CHECK constraint failed on table "results" with expression CHECK((n != 3))',
            "PRIMARY KEY or UNIQUE constraint violation: duplicate key",
            'NOT NULL constraint failed: results."name"',
        ]
        assert (taken[0].rows, far_side.rows("SELECT n FROM results")) == (4, [(1,), (2,), (4,), (6,)])

    async def test_a_table_that_refuses_too_many_items_waits_for_a_person(
        self, connect: Connect, far_side: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_duckdb_table, "_SIFTING", 0.0)
        far_side.path.parent.mkdir()
        far_side.change("CREATE TABLE results (n DOUBLE CHECK (n > 100))")
        with pytest.raises(Forbidden) as caught:
            await fill(connect, shipment(into_lake()), *(b'{"n":%d}' % n for n in range(100)))
        assert caught.value.detail == (
            "the table results refuses too many items of a batch, for instance: "
            'CHECK constraint failed on table "results" with expression CHECK((n > 100))'
        )

    async def test_a_frozen_table_is_never_changed(self, connect: Connect, far_side: Lake) -> None:
        far_side.path.parent.mkdir()
        far_side.change("CREATE TABLE results (n DOUBLE)")
        frozen = into_lake(columns="freeze", stamp=False)
        taken = await fill(connect, shipment(frozen), b'{"n":1}', b'{"n":2,"m":3}', b'{"n":"two"}')
        assert taken[0].rejected == (
            Rejected(1, "the table has no column for 1 of its members, such as 'm'"),
            Rejected(2, "its `n` is no DOUBLE"),
        )
        dropping = into_lake(columns="drop_extra", stamp=False)
        taken = await fill(connect, shipment(dropping, run="r2"), b'{"n":2,"m":3}', b'{"m":3}', b'{"n":true}')
        assert [one.offset for one in taken[0].rejected] == [1, 2]
        assert (columns(far_side), far_side.rows("SELECT n FROM results")) == ({"n": "DOUBLE"}, [(1,), (2,)])

    async def test_a_key_that_does_not_fit_its_column_is_rejected(self, connect: Connect, far_side: Lake) -> None:
        keyed = into_lake("new", mode="upsert", key=["nr"])
        taken = await fill(connect, shipment(keyed), b'{"nr":1}', b'{"nr":"one"}', b'{"nr":1.0,"last":true}', b"{}")
        assert taken[0].rejected == (Rejected(1, "its `nr` is no DOUBLE"), Rejected(3, "its key `nr` is missing"))
        assert far_side.rows("SELECT nr, last FROM new") == [(1.0, True)]


class TestOneProcess:
    async def test_a_reader_opens_it_as_soon_as_no_delivery_uses_it(self, connect: Connect, far_side: Lake) -> None:
        async with connect() as sink:
            async with sink.open(shipment(WHOLE), None) as writer:
                await writer.items(batches(ALL)[0])
                with opened_elsewhere(far_side.path, "to read") as during:
                    assert during == "refused"
            with opened_elsewhere(far_side.path, "to read") as after:
                assert after == "open"
        assert not far_side.path.with_name("runs.duckdb.wal").exists()

    async def test_ten_deliveries_to_one_table_at_once_lose_nothing(self, far_side: Lake) -> None:
        async def one(run: str) -> None:
            async with lake(far_side.path) as sink:
                await send(sink, shipment(into_lake(), run=run), batches(*tagged(run)))

        await asyncio.gather(*(one(f"r{number}") for number in range(10)))
        found = far_side.rows('SELECT _run_id, "of", n FROM results ORDER BY _run_id, _item')
        wanted = [(f"r{run}", json.loads(item)) for run in range(10) for item in flat(tagged(f"r{run}"))]
        assert found == [(run, item["of"], item["n"]) for run, item in wanted]

    async def test_a_file_that_another_process_has_open_is_worth_another_try(
        self, connect: Connect, far_side: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_duckdb_table, "PATIENCE", 0.2)
        await fill(connect, shipment(WHOLE), *ALL)
        with opened_elsewhere(far_side.path):
            for work in (fill(connect, shipment(WHOLE, run="r2"), *ALL), check(connect)):
                with pytest.raises(Transient) as caught:
                    await work
                assert str(caught.value) == (
                    "target_unavailable: runs.duckdb: another process has it open: let one worker write it, and read "
                    "it between deliveries or in a copy"
                )
        await fill(connect, shipment(WHOLE, run="r2"), *ALL)
        assert far_side.items("r2") == ALL

    async def test_it_waits_a_moment_for_another_process(self, connect: Connect, far_side: Lake) -> None:
        await fill(connect, shipment(WHOLE), b"1")
        with opened_elsewhere(far_side.path):
            waiting = asyncio.create_task(fill(connect, shipment(WHOLE, run="r2"), *ALL))
            assert await asyncio.wait({waiting}, timeout=0.3) == (set(), {waiting})
        await waiting
        assert far_side.items("r2") == ALL

    async def test_a_delivery_does_not_wait_for_ever_for_the_others(
        self, connect: Connect, far_side: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_duckdb_table, "PATIENCE", 0.1)
        with _duckdb_table._alone[far_side.path.resolve()], pytest.raises(Transient, match="other deliveries"):
            await fill(connect, shipment(WHOLE), *ALL)


class TestTrouble:
    async def test_its_memory_is_that_of_one_batch(self, connect: Connect, far_side: Lake) -> None:
        items = [b'{"n":%d,"text":"%s"}' % (n, b"x" * 1000) for n in range(1000)]
        (batch,) = batches(items)
        async with connect() as sink, sink.open(shipment(into_lake()), None) as writer:
            await writer.items(batch)
            tracemalloc.start()
            for index in range(1, 10):
                await writer.items(replace(batch, index=index, offset=1000 * index))
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            (limit,) = await asked(writer, "SELECT current_setting('memory_limit')")
        assert far_side.rows("SELECT count(*), min(n), max(n) FROM results") == [(10_000, 0, 999)]
        assert (peak < 8 * len(batch.lines), limit) == (True, "128.0 MiB")

    async def test_nothing_is_fetched_from_the_network(self, connect: Connect) -> None:
        async with connect() as sink, sink.open(shipment(WHOLE), None) as writer:
            for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
                assert await asked(writer, f"SELECT current_setting('{setting}')") == (False,)

    async def test_a_full_disk_is_worth_another_try_and_leaves_no_half_batch(
        self, connect: Connect, far_side: Lake
    ) -> None:
        """The system lets no file of ours grow, as on a disk without room."""
        first, second = batches([b"1"], [b'"%d"' % (n * 7919**9) for n in range(20_000)])
        async with connect() as sink:
            _, position = await send(sink, shipment(WHOLE), [first], publish=False)
            with no_room(1_000_000), pytest.raises(Transient) as caught:
                await send(sink, shipment(WHOLE), [second], position, publish=False)
            assert caught.value.detail == "runs.duckdb: make room on its disk"
            assert far_side.items("r1") == [b"1"]
            await send(sink, shipment(WHOLE), [second], position)
        assert len(far_side.items("r1")) == 20_001

    @pytest.mark.parametrize("kind", ["a diary", "a folder", "SQLite", "overwritten", "cut off"])
    async def test_something_else_than_a_database_is_left_alone_and_waits_for_a_person(
        self, connect: Connect, far_side: Lake, kind: str
    ) -> None:
        before = await broken(connect, far_side, kind)
        detail = "runs.duckdb: it is no sound DuckDB database: move it away, or put one there"
        with pytest.raises(Unauthorized) as caught:
            await fill(connect, shipment(WHOLE), *ALL)
        assert (caught.value.reason, caught.value.detail) == (Reason.TARGET_REFUSED, detail)
        if kind != "cut off":  # that is not seen before the rows are read
            with pytest.raises(Unauthorized, match="no sound DuckDB database"):
                await check(connect)
        assert far_side.path.is_dir() or far_side.path.read_bytes() == before

    async def test_two_sinks_with_one_file_agree_on_its_memory(self, connect: Connect, far_side: Lake) -> None:
        larger = lake(far_side.path, memory="1GiB")
        async with connect() as sink, sink.open(shipment(WHOLE), None), larger as other:
            with pytest.raises(Unauthorized) as caught:
                await send(other, shipment(WHOLE, run="r2"), [])
        assert caught.value.detail == "runs.duckdb: another sink has it open with another `memory`: give both the same"

    @pytest.mark.parametrize(
        ("error", "kind", "said"),
        [
            (
                client.IOException('IO Error: Cannot open file "/a/runs.duckdb": Permission denied'),
                Unauthorized,
                "let the worker write the file and its folder",
            ),
            (
                client.IOException('IO Error: Could not write file "/a": No space left on device'),
                Transient,
                "make room on its disk",
            ),
            (
                client.IOException("IO Error: Trying to read a database file with version number 99, but"),
                Unauthorized,
                "another version of DuckDB wrote it: pip install -U duckdb",
            ),
            (client.OutOfMemoryException("Out of Memory Error: could not"), Transient, "raise the sink's `memory`"),
            (client.FatalException("FATAL Error: invalidated"), Transient, "FATAL Error: invalidated"),
            (
                client.TransactionException("TransactionContext Error: Failed to commit"),
                Transient,
                "TransactionContext Error: Failed to commit",
            ),
            (
                client.BinderException("Binder Error: no\n\nLINE 1: SELECT secret"),
                Forbidden,
                "Binder Error: no",
            ),
            (
                client.ConstraintException('Constraint Error: Duplicate key "url: my\n secret" violates it.'),
                Forbidden,
                "Duplicate key violates it.",
            ),
            (
                client.ConversionException("Conversion Error: Could not convert string 'my\n secret' to INT32\n\nLINE"),
                Forbidden,
                "Conversion Error: Could not convert string to INT32",
            ),
        ],
    )
    def test_each_trouble_has_its_verdict(self, error: client.Error, kind: type[WorkError], said: str) -> None:
        found = verdict(error, "runs.duckdb")
        assert (type(found), found.detail) == (kind, f"runs.duckdb: {said}")
        assert (found.reason is Reason.TARGET_UNAVAILABLE) == (kind is Transient)


async def broken(connect: Connect, far_side: Lake, kind: str) -> bytes:
    """Something in the database's place."""
    far_side.path.parent.mkdir()
    match kind:
        case "a diary":
            far_side.path.write_text("dear diary, " * 1000)
        case "a folder":
            far_side.path.mkdir()
            return b""
        case "SQLite":
            far_side.path.write_bytes(b"SQLite format 3\0" + bytes(4080))
        case _:
            await fill(connect, shipment(WHOLE), *ALL)
            sound = far_side.path.read_bytes()
            harmed = sound[: len(sound) // 2] if kind == "cut off" else sound[:4096] + b"x" * (len(sound) - 4096)
            far_side.path.write_bytes(harmed)
    return far_side.path.read_bytes()


@contextmanager
def no_room(size: int) -> Iterator[None]:
    """No file of this process grows beyond this size in bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def columns(far_side: Lake) -> dict[str, str]:
    """The table's columns and their types, without the stamp."""
    found = far_side.rows("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'results'")
    return {name: kind for name, kind in found if name not in STAMPS}


async def asked(writer: Any, statement: str) -> tuple[Any, ...]:
    """On the writer's own connection."""
    found: tuple[Any, ...] = await writer.run(lambda: writer.table._db.execute(statement).fetchone())
    return found
