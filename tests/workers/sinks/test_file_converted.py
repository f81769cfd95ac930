"""Files that are made when all items are there: what lies beside them meanwhile, and what a crash leaves."""

import asyncio
import os
import stat
from pathlib import Path
from threading import Event

import pytest

from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Rejected, Shipment
from tests.workers.sinks.folder import Folder, at, part_of, rows_of
from workers.formats import lines
from workers.sinks import file
from workers.testing.contract import THREE, Connect, send, stored
from workers.testing.shipments import batches, shipment

CSV = b"n\r\n1\r\n2\r\n3\r\n4\r\n5\r\n"


def csv(**facts: int) -> Shipment:
    return shipment(file.Target(format="csv"), **facts)  # type: ignore[arg-type]  # facts of a shipment


def new_of(name: str) -> str:
    return part_of(name).replace(".part", ".new")


class TestOneFile:
    async def test_nothing_is_visible_before_the_end(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            await send(sink, csv(), batches(*THREE), publish=False)
            assert far_side.everything() == [new_of("r1.csv"), part_of("r1.csv")]
            taken, _ = await send(sink, csv(), batches(*THREE))
        assert (far_side.everything(), (far_side.base / "r1.csv").read_bytes()) == (["r1.csv"], CSV)
        assert (sum(one.rows for one in taken), sum(one.bytes for one in taken)) == (5, len(CSV))

    async def test_leaving_without_a_row_leaves_nothing_behind(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            await send(sink, csv(), [], publish=False)
        assert far_side.everything() == []

    async def test_a_crash_between_rename_and_ledger_keeps_the_file(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            taken, _ = await send(sink, csv(), batches(*THREE))
        inode = (far_side.base / "r1.csv").stat().st_ino
        async with connect() as sink:
            again, _ = await send(sink, csv(), [], stored(taken[-2]))
        assert (again, (far_side.base / "r1.csv").stat().st_ino) == ([taken[-1]], inode)
        assert far_side.everything() == ["r1.csv"]

    async def test_a_crash_between_rename_and_the_end_of_the_part_makes_the_file_again(
        self, connect: Connect, far_side: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def dies(_: Path) -> None:
            raise OSError(5, "power is gone")

        async with connect() as sink:
            _, position = await send(sink, csv(), batches(*THREE), publish=False)
            with monkeypatch.context() as patch:
                patch.setattr("workers.sinks._file_converted.sync_folder", dies)
                with pytest.raises(Transient):
                    await send(sink, csv(), [], position)
        async with connect() as sink:
            await send(sink, csv(), [], position)
        assert (far_side.everything(), (far_side.base / "r1.csv").read_bytes()) == (["r1.csv"], CSV)

    async def test_another_file_in_its_place_is_not_taken_for_it(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            _, position = await send(sink, csv(), batches(*THREE))
        other = far_side.base / "other"
        other.write_bytes(CSV)
        other.replace(far_side.base / "r1.csv")
        async with connect() as sink, sink.open(csv(), position) as writer:
            assert writer.position is None

    async def test_rows_that_come_after_the_file_was_made_bring_all_again(
        self, connect: Connect, far_side: Folder
    ) -> None:
        *first, last = batches(*THREE)
        async with connect() as sink:
            _, position = await send(sink, csv(), first)
            with pytest.raises(Transient) as caught:
                await send(sink, csv(), [last], position)
            assert caught.value.detail == "more rows came after r1.csv was made: all come again"
            async with sink.open(csv(), position) as writer:
                assert writer.position is None
            await send(sink, csv(), batches(*THREE))
        assert (far_side.everything(), (far_side.base / "r1.csv").read_bytes()) == (["r1.csv"], CSV)

    async def test_a_later_generation_replaces_the_file(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            await send(sink, csv(), batches(*THREE))
            await send(sink, csv(generation=1), batches([b'{"n":1}']), publish=False)
            assert (far_side.base / "r1.csv").read_bytes() == CSV
            await send(sink, csv(generation=1), batches([b'{"n":1}']))
        assert (far_side.everything(), (far_side.base / "r1.csv").read_bytes()) == (["r1.csv"], b"n\r\n1\r\n")

    async def test_what_was_written_behind_the_last_checkpoint_is_not_in_it(
        self, connect: Connect, far_side: Folder
    ) -> None:
        async with connect() as sink:
            _, position = await send(sink, csv(), batches(*THREE), publish=False)
            with (far_side.base / part_of("r1.csv")).open("ab") as part:
                part.write(b'{"n":6}\n{"half')
            await send(sink, csv(), [], position)
        assert (far_side.base / "r1.csv").read_bytes() == CSV

    async def test_what_becomes_visible_is_durable_already(
        self, connect: Connect, far_side: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps: list[str] = []
        fsync, rename = os.fsync, Path.replace

        def synced(fd: int) -> None:
            fsync(fd)
            steps.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")

        def renamed(old: Path, new: Path) -> Path:
            steps.append("rename")
            return rename(old, new)

        async with connect() as sink, sink.open(csv(), None) as writer:
            await writer.items(batches(*THREE)[0])
            monkeypatch.setattr(os, "fsync", synced)
            monkeypatch.setattr(Path, "replace", renamed)
            await writer.publish()
        assert steps == ["file", "rename", "folder"]

    async def test_cancelled_while_it_is_made_it_stops_and_begins_again(
        self, connect: Connect, far_side: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        making, go_on, parsed = Event(), Event(), lines.parsed

        def slow(piece: bytes) -> lines.Rows:
            making.set()
            go_on.wait(10)
            return parsed(piece)

        async with connect() as sink:
            _, position = await send(sink, csv(), batches(*THREE), publish=False)
            with monkeypatch.context() as patch:
                patch.setattr(lines, "parsed", slow)
                task = asyncio.create_task(send(sink, csv(), [], position))
                await asyncio.to_thread(making.wait, 10)
                task.cancel()
                assert await asyncio.wait({task}, timeout=0.1) == (set(), {task})
                go_on.set()
                assert await asyncio.wait({task}) == ({task}, set())
            assert (task.cancelled(), "r1.csv" in far_side.everything()) == (True, False)
            await send(sink, csv(), [], position)
        assert (far_side.everything(), (far_side.base / "r1.csv").read_bytes()) == (["r1.csv"], CSV)

    async def test_a_link_in_the_place_of_the_new_file_is_not_followed(
        self, connect: Connect, far_side: Folder
    ) -> None:
        victim = far_side.base.parent / "victim"
        victim.write_bytes(b"precious")
        far_side.base.mkdir()
        (far_side.base / new_of("r1.csv")).symlink_to(victim)
        async with connect() as sink:
            with pytest.raises(Permanent):
                await send(sink, csv(), batches(*THREE))
        assert victim.read_bytes() == b"precious"

    async def test_rows_that_got_lost_on_the_way_are_noticed_before_anybody_sees_the_file(
        self, connect: Connect, far_side: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("workers.formats.converting.separated.count", lambda path: 4)
        async with connect() as sink:
            with pytest.raises(Permanent) as caught:
                await send(sink, csv(), batches(*THREE))
        assert (caught.value.reason, "r1.csv" in far_side.everything()) == (Reason.COUNT_MISMATCH, False)

    async def test_an_item_no_table_can_hold_is_named_by_its_row(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            taken, _ = await send(sink, csv(), batches([b'{"n":1}', b'{"n":"\xff"}'], [b'{"n":2}']))
        assert [(one.rows, one.rejected) for one in taken] == [
            (1, (Rejected(1, "it is not UTF-8"),)),
            (1, ()),
            (0, ()),
        ]
        assert (far_side.base / "r1.csv").read_bytes() == b"n\r\n1\r\n2\r\n"

    async def test_requests_are_a_table_as_well(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            await send(sink, shipment(file.Target(format="csv"), stream="requests"), batches([b'{"url":"u","id":"i"}']))
        assert (far_side.base / "r1.requests.csv").read_bytes() == b"url,id\r\nu,i\r\n"

    async def test_a_value_that_makes_an_impossible_name_is_said(self, connect: Connect) -> None:
        said = "a `.xlsx` file is compressed by itself: leave out `.gz`"
        async with connect() as sink:
            with pytest.raises(Permanent) as caught:
                await send(sink, shipment(at("{{ actor.name }}"), actor={"name": "x.xlsx.gz"}), [])
        assert (caught.value.reason, caught.value.detail) == (Reason.TARGET_REFUSED, said)

    async def test_what_is_not_installed_is_said_before_a_row_is_read(
        self, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("workers.formats.choosing.find_spec", lambda name: None)
        said = "`.parquet` needs the package `pyarrow`, which is not installed: pip install 'runrelay[parquet]'"
        async with connect() as sink:
            with pytest.raises(Permanent) as caught:
                await send(sink, shipment(at("{{ actor.name }}"), actor={"name": "x.parquet"}), [])
        assert (caught.value.reason, caught.value.detail) == (Reason.PLUGIN_MISSING, said)


class TestBatches:
    async def test_each_is_a_file_that_a_repetition_replaces(self, connect: Connect, far_side: Folder) -> None:
        target = at("{{ run.id }}/{{ batch.offset }}.csv", per="batch")
        async with connect() as sink:
            for _ in range(2):
                taken, _ = await send(sink, shipment(target), batches(*THREE))
        assert {name: rows_of(far_side.base / name) for name in far_side.everything()} == {
            "r1/0.csv": [{"n": 1}, {"n": 2}],
            "r1/2.csv": [{"n": 3}],
            "r1/3.csv": [{"n": 4}, {"n": 5}],
        }
        sizes = [(far_side.base / f"r1/{offset}.csv").stat().st_size for offset in (0, 2, 3)]
        assert [(one.rows, one.out, one.bytes) for one in taken] == [
            (2, 1, sizes[0]),
            (1, 1, sizes[1]),
            (2, 1, sizes[2]),
            (0, 0, 0),
        ]
        assert [one.position for one in taken] == [{"batches": 1}, {"batches": 2}, {"batches": 3}, {"batches": 3}]

    @pytest.mark.parametrize(
        ("format", "names"),
        [
            ("jsonl.zst", ["r1/00000000.jsonl.zst", "r1/00000001.jsonl.zst"]),
            ("xlsx", ["r1/00000000.xlsx", "r1/00000001.xlsx"]),
        ],
    )
    async def test_their_names_are_numbers_by_default(
        self, connect: Connect, far_side: Folder, format: str, names: list[str]
    ) -> None:
        target = file.Target.model_validate({"per": "batch", "format": format})
        async with connect() as sink:
            await send(sink, shipment(target), batches(*THREE[:2]))
        assert far_side.everything() == names

    async def test_a_batch_of_which_nothing_is_left_is_no_file(self, connect: Connect, far_side: Folder) -> None:
        target = file.Target(per="batch", format="csv")
        async with connect() as sink:
            taken, _ = await send(sink, shipment(target), batches([b'"\xff"']))
        assert (far_side.everything(), taken[0].rejected) == ([], (Rejected(0, "it is not UTF-8"),))
