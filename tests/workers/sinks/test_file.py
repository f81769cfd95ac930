import asyncio
import errno
import fcntl
import gzip
import hashlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from threading import Event

import pytest
from structlog.testing import capture_logs

from config.contracts.errors import Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Document, Shipment, Sink, Taken
from tests.workers.sinks.contract import ALL, PNG, THREE, Connect, SinkContract, send, stored
from tests.workers.sinks.shipments import batches, document, shipment
from workers.routing.expressions import Template
from workers.sinks import file
from workers.staging import disk_verdict


class Folder:
    """What a reader of the folder finds: only names that do not begin with a dot or end in `.part`."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def items(self, run: str) -> list[bytes]:
        plain, packed = self.base / f"{run}.jsonl", self.base / f"{run}.jsonl.gz"
        if packed.exists():
            return gzip.decompress(packed.read_bytes()).split(b"\n")[:-1]
        return plain.read_bytes().split(b"\n")[:-1]

    def documents(self, run: str) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.base / run).iterdir())]

    def everything(self) -> list[str]:
        return sorted(str(path.relative_to(self.base)) for path in self.base.rglob("*") if path.is_file())


@pytest.fixture
def far_side(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "results")


@pytest.fixture
def connect(far_side: Folder, tmp_path: Path) -> Connect:
    return lambda: opened(far_side.base, tmp_path)


def opened(base: Path, spool: Path) -> AbstractAsyncContextManager[Sink]:
    return file.connect(file.Config(base=base), spool)


def at(path: str) -> file.Target:
    return file.Target(path=Template(path))


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

    async def test_a_killed_process_loses_and_doubles_nothing(self, connect: Connect, far_side: Folder) -> None:
        """The process is killed (SIGKILL) after it wrote what no checkpoint knows."""
        program = [sys.executable, "-m", "tests.workers.sinks.killed_while_writing", str(far_side.base)]
        child = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
        printed, _ = await child.communicate()
        assert child.returncode == -signal.SIGKILL
        position = json.loads(printed)
        assert (far_side.base / part_of("r1.jsonl")).stat().st_size > 16
        async with connect() as sink:
            await send(sink, shipment(file.Target()), batches(*THREE)[1:], position)
        assert far_side.items("r1") == ALL


class TestPaths:
    async def test_every_stream_has_a_name_by_default(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            await send(sink, shipment(file.Target()), [])
            await send(sink, shipment(file.Target(), stream="items:failed"), [])
            await keep(sink, "run", document("run.json", "application/json", b"{}"))
            await keep(sink, "log", document("log.txt", "text/plain", b"done\n"))
            await keep(sink, "records", document("OUTPUT", "application/json", b"{}"))
        assert far_side.everything() == [
            "r1.failed.jsonl",
            "r1.jsonl",
            "r1.log.txt",
            "r1.run.json",
            "r1/OUTPUT.json",
        ]

    async def test_a_second_use_of_one_path_gets_its_own_name_also_in_a_later_slice(
        self, connect: Connect, far_side: Folder
    ) -> None:
        taken = Taken(rows=0, out=0, bytes=0)
        for body, key in enumerate(["SHOT", "SHOT.png", "a b", "a+b"]):
            async with connect() as sink, sink.open(records("x/{{ record.key | slug }}"), taken.position) as writer:
                taken = await writer.document(document(key, "image/png", b"%d" % body))
        async with connect() as sink, sink.open(records("x/{{ record.key | slug }}"), taken.position) as writer:
            await writer.publish()
        assert {name: (far_side.base / name).read_bytes() for name in far_side.everything()} == {
            "x/shot.png": b"0",
            "x/shot-png.png": b"1",
            "x/a-b.png": b"2",
            f"x/a-b~{sha('a+b')}.png": b"3",
        }

    async def test_a_document_sent_again_after_a_crash_keeps_its_name(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            for _ in range(2):
                async with sink.open(records("{{ record.key }}"), None) as writer:
                    await writer.document(document("A", "text/plain", b"1"))
        assert [name for name in far_side.everything() if not name.endswith(".part")] == ["A.txt"]

    async def test_a_large_record_is_written_as_it_comes(self, connect: Connect, far_side: Folder) -> None:
        chunks = [bytes([number]) * 700_000 for number in range(5)]
        async with connect() as sink:
            await keep(sink, "records", document("VIDEO", "video/mp4", *chunks))
        assert (far_side.base / "r1" / "VIDEO.mp4").read_bytes() == b"".join(chunks)

    async def test_a_compressed_record_is_not_compressed_again(self, connect: Connect, far_side: Folder) -> None:
        async with connect() as sink:
            await keep(sink, "records", document("dump.gz", "application/octet-stream", b"packed"))
        assert (far_side.base / "r1" / "dump.gz").read_bytes() == b"packed"

    @pytest.mark.parametrize("key", ["..", ".", "../x", "/etc/x", "a//b", "a\n", "a\x00", "a\\b", "\ud800", ""])
    async def test_a_value_never_leaves_the_base(self, connect: Connect, far_side: Folder, key: str) -> None:
        async with connect() as sink:
            with pytest.raises(Permanent) as caught:
                await keep(sink, "records", document(key, "text/plain", b"x"))
        assert caught.value.reason is Reason.PATH_ESCAPE
        assert far_side.everything() == []
        assert [path.name for path in far_side.base.parent.iterdir()] == ["results"]

    async def test_a_link_out_of_the_base_is_not_followed(self, connect: Connect, far_side: Folder) -> None:
        outside = far_side.base.parent / "outside"
        outside.mkdir()
        far_side.base.mkdir()
        (far_side.base / "r1").symlink_to(outside)
        async with connect() as sink:
            with pytest.raises(Permanent) as caught:
                await send(sink, shipment(at("{{ run.id }}/deep/x.jsonl")), [])
        assert str(caught.value) == "path_escape: the folder deep is a link that leaves the base"
        assert list(outside.iterdir()) == []

    async def test_a_link_in_the_place_of_a_part_is_not_followed(self, connect: Connect, far_side: Folder) -> None:
        victim = far_side.base.parent / "victim"
        victim.write_bytes(b"precious")
        far_side.base.mkdir()
        (far_side.base / part_of("r1.jsonl")).symlink_to(victim)
        async with connect() as sink:
            with pytest.raises(Permanent):
                await send(sink, shipment(file.Target()), batches(*THREE))
        assert victim.read_bytes() == b"precious"

    async def test_a_folder_in_the_place_of_the_file_is_final(self, connect: Connect, far_side: Folder) -> None:
        (far_side.base / "r1.jsonl").mkdir(parents=True)
        async with connect() as sink:
            with pytest.raises(Permanent) as caught:
                await send(sink, shipment(file.Target()), batches(*THREE))
        assert caught.value.reason is Reason.TARGET_REFUSED

    async def test_a_name_as_long_as_keys_may_be_is_cut_and_marked(self, connect: Connect, far_side: Folder) -> None:
        key = "k" * 256
        async with connect() as sink:
            await keep(sink, "records", document(key, "image/png", b"x"))
        assert far_side.everything() == [f"r1/{'k' * 191}~{sha(key)}.png"]


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
        ("number", "verdict", "reason"),
        [
            (errno.ENOSPC, Transient, Reason.TARGET_UNAVAILABLE),
            (errno.EIO, Transient, Reason.TARGET_UNAVAILABLE),
            (errno.EACCES, Unauthorized, Reason.TARGET_REFUSED),
            (errno.EROFS, Unauthorized, Reason.TARGET_REFUSED),
            (errno.ENAMETOOLONG, Permanent, Reason.TARGET_REFUSED),
        ],
    )
    def test_each_trouble_has_its_verdict(self, number: int, verdict: type[WorkError], reason: Reason) -> None:
        found = disk_verdict(OSError(number, os.strerror(number), "/srv/secret-place/x.jsonl"))
        assert (type(found), found.reason, found.detail) == (verdict, reason, f"{os.strerror(number)}: x.jsonl")

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
        async with file.connect(file.Config(base=far_side.base, fsync=False), tmp_path) as sink:
            await send(sink, shipment(file.Target()), batches(*THREE))
        assert far_side.items("r1") == ALL


def records(path: str) -> Shipment:
    return shipment(at(path), stream="records")


async def keep(sink: Sink, stream: str, kept: Document) -> None:
    async with sink.open(shipment(file.Target(), stream=stream), None) as writer:
        await writer.document(kept)
        await writer.publish()


def part_of(name: str) -> str:
    return f"{name}.{shipment(file.Target()).delivery.id[:16]}-g0.part"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


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
