"""What both databases of one file do alike: modes, and looking before anything is sent."""

import errno
import itertools
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from config.contracts.errors import Forbidden, Unauthorized
from config.contracts.reasons import Reason
from config.contracts.sink import Checked, Shipment, Taken, writes_whole
from tests.workers.sinks.database import Database, Lake
from workers.sinks import duckdb, sqlite
from workers.testing.contract import THREE, Connect, flat, send
from workers.testing.dying import BATCHES, MOMENTS
from workers.testing.killed import run_dying
from workers.testing.shipments import around, batches, shipment

FIRST, LATER, LAST = (f"2026-03-0{day}T10:00:00.000Z" for day in (1, 2, 3))
MADE = "CREATE TABLE results (url TEXT, price DOUBLE PRECISION{})"
TEXTS = ", _run_id TEXT, _target TEXT, _stream TEXT, _item BIGINT, _delivered_at TEXT"


@pytest.fixture(params=[sqlite, duckdb], ids=["sqlite", "duckdb"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    found: ModuleType = request.param
    return found


@pytest.fixture
def far_side(module: ModuleType, tmp_path: Path) -> Database:
    return (Database if module is sqlite else Lake)(tmp_path / "books" / "runs.db")


@pytest.fixture
def connect(module: ModuleType, far_side: Database, tmp_path: Path) -> Connect:
    return lambda: module.connect(module.Config(path=far_side.path), around(tmp_path))


def into(**options: Any) -> sqlite.Target:
    """Options of both: the sinks' targets are the same."""
    return sqlite.Target.model_validate({"table": "results", **options})


async def fill(connect: Connect, shipped: Shipment, *items: bytes) -> list[Taken]:
    """Deliver these items whole."""
    async with connect() as sink:
        taken, _ = await send(sink, shipped, batches(list(items)))
    return taken


async def check(connect: Connect, options: sqlite.Target) -> None:
    async with connect() as sink:
        assert isinstance(sink, Checked)
        await sink.check(options)


class TestReplaceRun:
    WHOLE = into(mode="replace_run", columns="json")

    def test_a_delivery_is_all_of_its_run(self, module: ModuleType) -> None:
        assert [writes_whole(module, options) for options in (self.WHOLE, into())] == [True, False]

    async def test_a_later_finish_takes_the_place_of_the_one_before(self, connect: Connect, far_side: Database) -> None:
        await fill(connect, shipment(self.WHOLE, life=FIRST), b"1", b"2", b"3")
        await fill(connect, shipment(self.WHOLE, life=LATER), b"1", b"4")
        assert far_side.rows("SELECT _finished_at, item FROM results ORDER BY _item") == [(LATER, "1"), (LATER, "4")]

    async def test_rows_of_others_stay(self, connect: Connect, far_side: Database) -> None:
        others = [
            shipment(self.WHOLE, run="r2"),
            shipment(self.WHOLE, route="other"),
            shipment(self.WHOLE, source="another"),
            shipment(self.WHOLE, stream="items:more"),
        ]
        for other in others:
            await fill(connect, other, b"0")
        for generation, life in enumerate([FIRST, LATER, LAST]):
            await fill(connect, shipment(self.WHOLE, life=life, generation=generation), b"1", b"2")
        found = far_side.rows("SELECT _run_id, _target, _stream, item FROM results ORDER BY 1, 2, 3, 4")
        assert found == [
            ("r1", "another/all/out", "items:default", "0"),
            ("r1", "platform/all/out", "items:default", "1"),
            ("r1", "platform/all/out", "items:default", "2"),
            ("r1", "platform/all/out", "items:more", "0"),
            ("r1", "platform/other/out", "items:default", "0"),
            ("r2", "platform/all/out", "items:default", "0"),
        ]

    async def test_the_place_is_taken_with_the_first_batch_and_later_turns_add_to_it(
        self, connect: Connect, far_side: Database
    ) -> None:
        await fill(connect, shipment(self.WHOLE, life=FIRST), b"1", b"2", b"3")
        first, *rest = batches([b"4"], [b"5"], [b"6"])
        async with connect() as sink:
            _, position = await send(sink, shipment(self.WHOLE, life=LATER), [first], publish=False)
            assert far_side.items("r1") == [b"4"]
            await send(sink, shipment(self.WHOLE, life=LATER), rest[:1], position, publish=False)
            await send(sink, shipment(self.WHOLE, life=LATER), rest, position)
        assert far_side.items("r1") == [b"4", b"5", b"6"]

    async def test_a_finish_without_rows_leaves_none(self, connect: Connect, far_side: Database) -> None:
        await fill(connect, shipment(self.WHOLE, life=FIRST), b"1")
        async with connect() as sink:
            await send(sink, shipment(self.WHOLE, life=LATER), [])
        assert far_side.items("r1") == []

    async def test_killed_at_every_moment_it_ends_as_if_nothing_had_happened(
        self, module: ModuleType, far_side: Database, tmp_path: Path
    ) -> None:
        options = self.WHOLE.model_dump(mode="json", exclude_unset=True)
        await run_dying(module.__name__, {"path": str(far_side.path)}, options, tmp_path / "spool")
        whole = [item for batch in BATCHES for item in batch]
        assert [far_side.items(f"r-{number}") == whole for number in range(len(MOMENTS))] == [True] * len(MOMENTS)


class TestWithoutAStamp:
    PLAIN = into(stamp=False)

    async def test_rows_that_were_written_are_not_written_again(self, connect: Connect, far_side: Database) -> None:
        first, second, third = batches(*THREE)
        async with connect() as sink:
            _, position = await send(sink, shipment(self.PLAIN), [first], publish=False)
            await send(sink, shipment(self.PLAIN), [second], position, publish=False)
            taken, _ = await send(sink, shipment(self.PLAIN), [second, third], position)
        assert far_side.rows("SELECT * FROM results") == [(1,), (2,), (3,), (4,), (5,)]
        assert [(part.rows, part.out) for part in taken] == [(1, 0), (2, 2), (0, 0)]

    async def test_other_batches_than_before_bring_what_is_missing(self, connect: Connect, far_side: Database) -> None:
        async with connect() as sink:
            await send(sink, shipment(self.PLAIN), batches(*THREE)[:2], publish=False)
            taken, _ = await send(sink, shipment(self.PLAIN), batches(flat(THREE)))
        assert far_side.rows("SELECT * FROM results") == [(1,), (2,), (3,), (4,), (5,)]
        assert (taken[0].rows, taken[0].out) == (5, 2)

    async def test_a_table_that_is_gone_is_filled_from_the_start(self, connect: Connect, far_side: Database) -> None:
        async with connect() as sink:
            await send(sink, shipment(self.PLAIN), batches(*THREE), publish=False)
        far_side.change("DROP TABLE results")
        async with connect() as sink:
            await send(sink, shipment(self.PLAIN), batches(*THREE))
        assert far_side.rows("SELECT * FROM results") == [(1,), (2,), (3,), (4,), (5,)]


class TestUpsert:
    KEYED = into(mode="upsert", key=["url"])

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    async def test_in_whatever_order_runs_are_delivered_the_newest_stays(
        self, connect: Connect, far_side: Database, order: tuple[int, ...]
    ) -> None:
        """Of two that finished at once, that with the greater id."""
        runs = [("old", FIRST), ("a", LAST), ("b", LAST)]
        async with connect() as sink:
            for index in order:
                run, life = runs[index]
                items = [b'{"url":"x","n":%d}' % index, b'{"url":"%d","n":%d}' % (index, index)]
                await send(sink, shipment(self.KEYED, run=run, life=life), batches(items))
        found = far_side.rows("SELECT url, n, _run_id FROM results ORDER BY url")
        assert found == [*((str(index), index, run) for index, (run, _) in enumerate(runs)), ("x", 2, "b")]

    async def test_of_two_items_with_one_key_the_last_one_wins_within_and_between_batches(
        self, connect: Connect, far_side: Database
    ) -> None:
        async with connect() as sink:
            taken, _ = await send(
                sink,
                shipment(self.KEYED),
                batches([b'{"url":"a","n":1,"old":1}', b'{"url":"a","n":2}'], [b'{"url":"a","n":3}']),
            )
        assert far_side.rows("SELECT url, n, old FROM results") == [("a", 3, None)]
        assert [part.rows for part in taken] == [2, 1, 0]

    async def test_without_an_order_the_one_that_is_written_last_wins(
        self, connect: Connect, far_side: Database
    ) -> None:
        plain = into(mode="upsert", key=["url"], order="none", stamp=False)
        for run, life in (("new", LATER), ("old", FIRST)):
            await fill(connect, shipment(plain, run=run, life=life), b'{"url":"a","run":"%s"}' % run.encode())
        assert far_side.rows("SELECT * FROM results") == [("a", "old")]

    async def test_a_stamped_row_gives_way_without_an_order_too(self, connect: Connect, far_side: Database) -> None:
        plain = into(mode="upsert", key=["url"], order="none")
        for run, life in (("new", LATER), ("old", FIRST)):
            await fill(connect, shipment(plain, run=run, life=life), b'{"url":"a"}')
        assert far_side.rows("SELECT _run_id, url FROM results") == [("old", "a")]

    async def test_several_members_are_one_key(self, connect: Connect, far_side: Database) -> None:
        keyed = into(mode="upsert", key=["shop", "nr"])
        await fill(connect, shipment(keyed), *(b'{"shop":"a","nr":%d}' % n for n in (1, 2, 1)), b'{"shop":"b","nr":1}')
        assert far_side.rows("SELECT shop, nr FROM results ORDER BY 1, 2") == [("a", 1), ("a", 2), ("b", 1)]

    async def test_a_table_with_doubles_says_so(self, connect: Connect, far_side: Database) -> None:
        await fill(connect, shipment(into()), b'{"url":"a"}', b'{"url":"a"}')
        with pytest.raises(Forbidden) as caught:
            await fill(connect, shipment(self.KEYED), b'{"url":"a"}')
        assert caught.value.detail == "results has rows with the same url: remove all but one of each"

    @pytest.mark.parametrize("order", ["finished_at", "none"])
    async def test_a_frozen_table_that_cannot_tell_runs_apart_is_refused_unless_nobody_asks(
        self, connect: Connect, far_side: Database, module: ModuleType, order: str
    ) -> None:
        far_side.path.parent.mkdir()
        far_side.change(MADE.format(TEXTS if order == "finished_at" else ""))
        frozen = into(mode="upsert", key=["url"], columns="freeze", order=order, stamp=order == "finished_at")
        if module is sqlite:
            far_side.change("CREATE UNIQUE INDEX one ON results (url)")
        if order == "none":
            await check(connect, frozen)
            await fill(connect, shipment(frozen), b'{"url":"a","price":1}', b'{"url":"a","price":2}')
            assert far_side.rows("SELECT url, price FROM results") == [("a", 2.0)]
            return
        kind = "" if module is sqlite else " VARCHAR"
        cure = (
            f"the table results lacks columns: ALTER TABLE results ADD COLUMN _finished_at{kind} (or leave out those "
            "that begin with `_`: `order: none` and `stamp: false`)"
        )
        for work in (check(connect, frozen), fill(connect, shipment(frozen), b'{"url":"a","price":1}')):
            with pytest.raises(Forbidden) as caught:
                await work
            assert (caught.value.reason, caught.value.detail) == (Reason.TARGET_REFUSED, cure)


class TestCheck:
    async def test_it_leaves_nothing_behind(self, connect: Connect, far_side: Database, tmp_path: Path) -> None:
        await check(connect, into())
        assert list(tmp_path.iterdir()) == []
        await fill(connect, shipment(into()), b'{"n":1}')
        before = sorted(far_side.path.parent.iterdir())
        await check(connect, into())
        await check(connect, into(table="another", mode="upsert", key=["url"]))
        assert sorted(far_side.path.parent.iterdir()) == before
        names = "SELECT table_name FROM duckdb_tables()" if isinstance(far_side, Lake) else "PRAGMA table_list"
        assert "another" not in str(far_side.rows(names))

    @pytest.mark.parametrize("exists", [False, True])
    async def test_a_table_that_is_not_there_and_may_not_be_made_is_told(
        self, connect: Connect, far_side: Database, *, exists: bool
    ) -> None:
        if exists:
            await fill(connect, shipment(into(table="another")), b'{"n":1}')
        with pytest.raises(Forbidden) as caught:
            await check(connect, into(columns="freeze"))
        assert caught.value.detail == "there is no table results: create it, or let `columns: evolve` do so"

    async def test_many_columns_that_are_lacking_are_told_in_one_short_line(
        self, connect: Connect, far_side: Database
    ) -> None:
        far_side.path.parent.mkdir()
        far_side.change(MADE.format(""))
        with pytest.raises(Forbidden) as caught:
            await check(connect, into(columns="drop_extra"))
        told = caught.value.detail
        assert told.startswith("the table results lacks columns: ALTER TABLE results ADD COLUMN, for each of _run_id")
        assert len(told) <= 300

    async def test_a_place_that_is_no_folder_waits_for_a_person(self, connect: Connect, far_side: Database) -> None:
        far_side.path.parent.write_text("a file")
        for work in (check(connect, into()), fill(connect, shipment(into()), b"{}")):
            with pytest.raises(Unauthorized) as caught:
                await work
            assert caught.value.detail == "books is no folder: move it away, or write `path` differently"

    async def test_a_folder_that_may_not_be_written_waits_for_a_person(
        self, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(**_: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr("tempfile.TemporaryFile", refuse)
        for work in (check(connect, into()), fill(connect, shipment(into()), b"{}")):
            with pytest.raises(Unauthorized, match=r"may not be written: let the worker write it"):
                await work

    async def test_a_folder_that_not_even_root_can_make_waits_for_a_person(
        self, module: ModuleType, tmp_path: Path
    ) -> None:
        config = module.Config(path="/proc/nope/x.db")
        async with module.connect(config, around(tmp_path)) as sink:
            with pytest.raises(Unauthorized) as caught:
                await sink.check(into())
        assert caught.value.detail == "no file can be made in proc/: write `path` differently"

    async def test_a_view_is_no_table(self, connect: Connect, far_side: Database) -> None:
        far_side.path.parent.mkdir()
        far_side.change("CREATE VIEW results AS SELECT 1 AS n")
        for work in (check(connect, into()), fill(connect, shipment(into()), b'{"n":1}')):
            with pytest.raises(Forbidden, match="view"):
                await work
