import asyncio
import errno
import fcntl
import gzip
import hashlib
import os
import resource
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from config.contracts.errors import Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Checked, Taken
from tests.workers.sinks.folder import Folder, at, part_of
from workers.formats import Layout, convert, named
from workers.sinks import file
from workers.staging import blocking, disk_verdict
from workers.testing.contract import ALL, PNG, THREE, Connect, SinkContract, send, stored
from workers.testing.shipments import around, batches, shipment

LARGER = "let the worker write larger files (ulimit -f), or write to a file system that holds them"


class TestFile(SinkContract):
    module = file
    options = file.Target()


class TestCompressedFile(SinkContract):
    module = file
    options = at("{{ run.id }}{% if record %}/{{ record.key }}{% endif %}.jsonl.gz")

    async def test_takes_documents_as_they_are(self, connect: Connect, far_side: Folder) -> None:  # type: ignore[override]  # a narrower far side
        async with connect() as sink:
            taken = await self.send_records(sink)
        assert [gzip.decompress(body) for body in far_side.documents("r1")] == [b'{"a": 1}', PNG]
        assert [part.bytes for part in taken] == [len(body) for body in far_side.documents("r1")]

    async def test_documents_sent_again_are_there_once(self, connect: Connect, far_side: Folder) -> None:  # type: ignore[override]  # a narrower far side
        for _ in range(2):
            async with connect() as sink:
                await self.send_records(sink)
        assert len(far_side.documents("r1")) == 2

    async def test_each_batch_is_one_member_and_the_bytes_are_the_same_every_time(
        self, connect: Connect, far_side: Folder
    ) -> None:
        found = set()
        for _ in range(2):
            async with connect() as sink:
                await send(sink, self.ship(), batches(*THREE))
            found.add((far_side.base / "r1.jsonl.gz").read_bytes())
        members = [gzip.compress(batch.lines, compresslevel=6, mtime=0) for batch in batches(*THREE)]
        assert found == {b"".join(members)}

    async def test_an_empty_stream_is_a_valid_empty_member(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            taken, _ = await send(sink, self.ship(), [])
        packed = (far_side.base / "r1.jsonl.gz").read_bytes()
        assert (packed, taken) == (
            gzip.compress(b"", compresslevel=6, mtime=0),
            [Taken(rows=0, out=1, bytes=len(packed), position=taken[0].position)],
        )


class TestParts:
    async def test_nothing_is_visible_before_the_end(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            await send(sink, shipment(file.Target()), batches(*THREE), publish=False)
            assert far_side.everything() == [part_of("r1.jsonl")]
            await send(sink, shipment(file.Target()), batches(*THREE))
        assert far_side.everything() == ["r1.jsonl"]

    async def test_a_position_is_the_size_the_rows_and_the_last_chunk(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            _, position = await send(sink, shipment(file.Target()), batches(*THREE), publish=False)
        tail = b'{"n":4}\n{"n":5}\n'
        assert position == {
            "bytes": 40,
            "rows": 5,
            "tail": hashlib.sha256(tail).hexdigest(),
            "tail_bytes": 16,
            "inode": (far_side.base / part_of("r1.jsonl")).stat().st_ino,
        }

    @pytest.mark.parametrize(
        "harm",
        [
            lambda part: part.unlink(),
            lambda part: os.truncate(part, 39),
            lambda part: part.write_bytes(part.read_bytes()[:-2] + b"!\n"),
        ],
        ids=["missing", "shorter", "other tail"],
    )
    async def test_a_part_that_does_not_agree_is_begun_again(
        self, connect: Connect, far_side: Folder, harm: Callable[[Path], object]
    ) -> None:
        async with connect() as sink:
            _, position = await send(sink, shipment(file.Target()), batches(*THREE), publish=False)
        harm(far_side.base / part_of("r1.jsonl"))
        with capture_logs() as logs:
            async with connect() as sink, sink.open(shipment(file.Target()), position) as writer:
                assert writer.position is None
                for batch in batches(*THREE):
                    await writer.items(batch)
                await writer.publish()
        assert logs == [{"event": "staging.lost", "log_level": "warning", "file": "r1.jsonl"}]
        assert far_side.items("r1") == ALL

    async def test_a_position_nobody_can_read_is_begun_again(self, connect: Connect) -> None:
        async with connect() as sink, sink.open(shipment(file.Target()), {"bytes": "many"}) as writer:
            assert writer.position is None

    async def test_a_crash_between_rename_and_ledger_keeps_the_file(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            taken, _ = await send(sink, shipment(file.Target()), batches(*THREE))
        inode = (far_side.base / "r1.jsonl").stat().st_ino
        async with connect() as sink:
            again, _ = await send(sink, shipment(file.Target()), [], stored(taken[-2]))
        assert (again, (far_side.base / "r1.jsonl").stat().st_ino) == ([taken[-1]], inode)
        assert far_side.everything() == ["r1.jsonl"]

    @pytest.mark.parametrize(
        "change",
        [
            lambda final: (
                final.with_name("copy").write_bytes(final.read_bytes()) and final.with_name("copy").replace(final)
            ),
            lambda final: final.write_bytes(final.read_bytes()[:-2] + b"!\n"),
            lambda final: final.write_bytes(final.read_bytes() + b"6\n"),
        ],
        ids=["another file", "another end", "longer"],
    )
    async def test_a_published_file_that_is_not_ours_any_more_is_written_again(
        self, connect: Connect, far_side: Folder, change: Callable[[Path], object]
    ) -> None:
        async with connect() as sink:
            _, position = await send(sink, shipment(file.Target()), batches(*THREE))
        change(far_side.base / "r1.jsonl")
        async with connect() as sink, sink.open(shipment(file.Target()), position) as writer:
            assert writer.position is None

    async def test_rows_that_come_after_the_rename_are_added_in_a_copy(
        self, connect: Connect, far_side: Folder
    ) -> None:
        *first, last = batches(*THREE)
        async with connect() as sink:
            _, position = await send(sink, shipment(file.Target()), first)
            async with sink.open(shipment(file.Target()), position) as writer:
                await writer.items(last)
                assert far_side.items("r1") == ALL[:3]
                await writer.publish()
        assert (far_side.items("r1"), far_side.everything()) == (ALL, ["r1.jsonl"])

    async def test_another_writer_of_the_same_part_has_to_wait(self, connect: Connect, far_side: Folder) -> None:
        far_side.base.mkdir()
        with (far_side.base / part_of("r1.jsonl")).open("wb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            async with connect() as sink:
                with pytest.raises(Transient) as caught:
                    await send(sink, shipment(file.Target()), batches(*THREE))
        assert str(caught.value) == "target_unavailable: another process is writing r1.jsonl"

    async def test_a_later_generation_replaces_the_file(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            await send(sink, shipment(file.Target()), batches(*THREE))
            await send(sink, shipment(file.Target(), generation=1), batches([b"1"]), publish=False)
            assert far_side.items("r1") == ALL
            await send(sink, shipment(file.Target(), generation=1), batches([b"1"]))
        assert (far_side.items("r1"), far_side.everything()) == ([b"1"], ["r1.jsonl"])

    async def test_leaving_without_a_row_leaves_nothing_behind(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            await send(sink, shipment(file.Target()), [], publish=False)
        assert far_side.everything() == []


class TestDisk:
    async def test_a_write_that_stops_half_way_is_taken_back(self, connect: Connect, far_side: Folder) -> None:
        first, *rest = batches(*THREE)
        async with connect() as sink, sink.open(shipment(file.Target()), None) as writer:
            await writer.items(first)
            with files_up_to(30), pytest.raises(Transient):
                await writer.items(batches([b"a batch that is larger than the next one"])[0])
            for batch in rest:
                await writer.items(batch)
            await writer.publish()
        assert far_side.items("r1") == ALL

    @pytest.mark.parametrize(
        ("number", "verdict", "reason", "cure"),
        [
            (errno.ENOSPC, Transient, Reason.TARGET_UNAVAILABLE, "make room on its disk"),
            (errno.ENOENT, Transient, Reason.TARGET_UNAVAILABLE, "its folder is gone: make it again"),
            (errno.EIO, Transient, Reason.TARGET_UNAVAILABLE, "look after its disk"),
            (errno.EACCES, Unauthorized, Reason.TARGET_REFUSED, "let the worker write it and its folder"),
            (errno.EROFS, Unauthorized, Reason.TARGET_REFUSED, "mount its disk so that it can be written"),
            (errno.ENAMETOOLONG, Permanent, Reason.TARGET_REFUSED, "make the name in `path` shorter"),
        ],
    )
    def test_each_trouble_has_its_verdict_and_its_cure(
        self, number: int, verdict: type[WorkError], reason: Reason, cure: str
    ) -> None:
        found = disk_verdict(OSError(number, os.strerror(number), "/srv/secret-place/x.jsonl"))
        detail = f"{os.strerror(number)}: x.jsonl: {cure}"
        assert (type(found), found.reason, found.detail) == (verdict, reason, detail)

    async def test_a_folder_that_cannot_be_made_is_named_with_the_cure(self, tmp_path: Path) -> None:
        async with file.connect(file.Config(base="/proc/nope"), around(tmp_path)) as sink:
            for work in (
                sink.check(file.Target(path="x.jsonl")),
                send(sink, shipment(file.Target(path="x.jsonl")), []),
            ):
                with pytest.raises(Transient) as caught:
                    await work
                assert caught.value.detail == "the folder nope cannot be made: make it, or mend `base`"

    @pytest.mark.parametrize("format", ["jsonl.gz", "csv", "csv.gz", "parquet", "xlsx"])
    async def test_a_disk_that_is_full_when_the_file_is_made_is_said_and_mended(
        self, connect: Connect, far_side: Folder, format: str
    ) -> None:
        """The limit of a file's size stands in for the disk's; also it stops a write half way."""
        shipped = shipment(file.Target.model_validate({"format": format, "columns": "json"}))
        said = f"File too large: r1.{format}: {LARGER}"
        with files_up_to(30):
            async with connect() as sink:
                with pytest.raises(Transient) as caught:
                    await send(sink, shipped, batches(THREE[0]))
        async with connect() as sink:
            await send(sink, shipped, batches(*THREE))
        assert (caught.value.detail, far_side.items("r1"), far_side.everything()) == (said, ALL, [f"r1.{format}"])

    @pytest.mark.parametrize("word", ["csv", "csv.gz", "parquet", "xlsx"])
    async def test_no_room_at_all_is_said(self, tmp_path: Path, word: str) -> None:
        (tmp_path / "staged").write_bytes(b'{"a":1}\n')
        with pytest.raises(Transient) as caught:
            await blocking(convert, tmp_path / "staged", Path("/dev/full"), named(word), Layout())
        assert str(caught.value).startswith("target_unavailable: No space left on device: ")
        assert str(caught.value).endswith(": make room on its disk")

    async def test_a_file_whose_fsync_failed_is_never_trusted_again(
        self, connect: Connect, far_side: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second, _ = batches(*THREE)
        async with connect() as sink:
            _, position = await send(sink, shipment(file.Target()), [first], publish=False)
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", fails)
                with pytest.raises(Transient):
                    await send(sink, shipment(file.Target()), [second], position, publish=False)
            async with sink.open(shipment(file.Target()), position) as writer:
                assert writer.position is None

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

        async with connect() as sink, sink.open(shipment(file.Target()), None) as writer:
            await writer.items(batches(*THREE)[0])
            monkeypatch.setattr(os, "fsync", synced)
            monkeypatch.setattr(Path, "replace", renamed)
            await writer.publish()
        assert steps == ["file", "rename", "folder"]

    async def test_cancelled_while_writing_it_closes_the_file_only_after_the_last_byte(
        self, connect: Connect, far_side: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else the thread would go on writing into whatever file gets the number of the closed one."""
        writing, go_on, write = Event(), Event(), os.pwrite

        def slow(fd: int, data: bytes, at: int) -> int:
            writing.set()
            go_on.wait(10)
            return write(fd, data, at)

        async with connect() as sink:
            with monkeypatch.context() as patch:
                patch.setattr(os, "pwrite", slow)
                task = asyncio.create_task(send(sink, shipment(file.Target()), batches(*THREE)))
                await asyncio.to_thread(writing.wait, 10)
                task.cancel()
                assert await asyncio.wait({task}, timeout=0.1) == (set(), {task})
                go_on.set()
                assert await asyncio.wait({task}) == ({task}, set())
            assert task.cancelled()
            await send(sink, shipment(file.Target()), batches(*THREE))
        assert far_side.items("r1") == ALL

    async def test_without_fsync_nothing_else_changes(self, far_side: Folder, tmp_path: Path) -> None:
        async with file.connect(file.Config(base=far_side.base, fsync=False), around(tmp_path)) as sink:
            await send(sink, shipment(file.Target()), batches(*THREE))
        assert far_side.items("r1") == ALL


def fails(_fd: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process grows larger: like a full disk, it stops a write half way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestCheck:
    async def test_a_folder_that_can_be_written_is_fine_and_stays_as_it_is(
        self, connect: Connect, far_side: Folder
    ) -> None:
        async with connect() as sink:
            assert isinstance(sink, Checked)
            await sink.check(file.Target())
        assert not far_side.base.exists()

    async def test_a_file_where_the_folder_should_be_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "base").write_bytes(b"")
        assert await self.trouble(tmp_path / "base") == (
            Permanent,
            "Not a directory: base: a file stands where a folder is needed: move it away, or write to another path",
        )

    async def test_a_folder_nobody_may_write_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(dir: Path) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), f"{dir}/tmp123")

        monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
        assert await self.trouble(tmp_path / "a" / "b") == (
            Unauthorized,
            f"Permission denied: {tmp_path.name}: let the worker write it and its folder",
        )

    async def test_a_disk_with_little_room_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5 << 20))
        assert await self.trouble(tmp_path / "base") == (
            Transient,
            "only 5 MiB are free on the disk of base: make room",
        )

    async def trouble(self, base: Path) -> tuple[type[WorkError], str]:
        async with file.connect(file.Config(base=base), around(base)) as sink:
            with pytest.raises(WorkError) as caught:
                await sink.check(file.Target())
        return type(caught.value), caught.value.detail
