import pytest

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Taken
from tests.workers.sinks.folder import Folder, at, keep, part_of, records, sha
from workers.sinks import file
from workers.testing.contract import THREE, Connect, send
from workers.testing.shipments import batches, document, shipment


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
