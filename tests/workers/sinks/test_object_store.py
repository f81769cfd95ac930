"""What every sink promises, on SeaweedFS."""

import base64
import gzip
import hashlib
import os
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.contracts.document import Document
from config.contracts.errors import Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Taken
from console.servers.seaweedfs import SeaweedServer
from tests.workers.sinks.bucket import Bucket, at, opened, seaweed_bucket
from workers.sinks import object_store
from workers.testing.contract import ALL, THREE, Connect, SinkContract, send
from workers.testing.killed import KilledContract
from workers.testing.servers import SECRET, ServerContract, silent_server
from workers.testing.shipments import batches, document, shipment


@pytest.fixture
def far_side(s3_server: SeaweedServer) -> Bucket:
    return seaweed_bucket(s3_server)


@pytest.fixture
def settings(far_side: Bucket) -> dict[str, Any]:
    return far_side.settings


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def connect(settings: dict[str, Any], spool: Path) -> Connect:
    return lambda: opened(settings, spool)


class TestObjectStore(SinkContract, ServerContract, KilledContract):
    module = object_store
    options = object_store.Target()

    @pytest.fixture
    def down(self, settings: dict[str, Any], spool: Path) -> Connect:
        return lambda: opened(settings, spool, endpoint="http://127.0.0.1:9")

    @pytest.fixture
    def refused(self, settings: dict[str, Any], spool: Path) -> Connect:
        return lambda: opened(settings, spool, secret_key=SECRET)

    @pytest.fixture
    async def silent(self, settings: dict[str, Any], spool: Path) -> AsyncIterator[Connect]:
        async with silent_server() as port:
            yield lambda: opened(settings, spool, endpoint=f"http://127.0.0.1:{port}", timeout="1s")


class TestWhatLiesThere:
    async def test_nothing_is_there_before_the_end_and_nothing_stays_in_the_spool(
        self, connect: Connect, far_side: Bucket, spool: Path
    ) -> None:
        async with connect() as sink:
            await send(sink, shipment(object_store.Target()), batches(*THREE), publish=False)
            assert (far_side.names(), len(files(spool))) == ([], 1)
            await send(sink, shipment(object_store.Target()), batches(*THREE))
        assert (far_side.names(), files(spool)) == (["r1.jsonl"], [])

    async def test_an_object_says_whose_it_is_and_what_its_digest_is(self, connect: Connect, far_side: Bucket) -> None:
        shipped = shipment(object_store.Target(), route="prödukte")
        async with connect() as sink:
            await send(sink, shipped, batches(*THREE))
        assert far_side.attributes("r1.jsonl") == {
            "Content-Type": "application/jsonl",
            "delivery": shipped.delivery.id,
            "run": "platform/r1",
            "target": "pr%C3%B6dukte/out",
            "stream": "items:default",
            "life": "2026-03-01T10:00:00.000Z",
            "generation": "0",
            "sha256": hashlib.sha256(b"".join(item + b"\n" for item in ALL)).hexdigest(),
        }

    @pytest.mark.parametrize(
        ("path", "options", "headers"),
        [
            ("a.csv", {}, {"Content-Type": "text/csv; charset=utf-8"}),
            ("a.jsonl.gz", {}, {"Content-Type": "application/gzip"}),
            ("a.csv.zst", {}, {"Content-Type": "application/zstd"}),
            ("a", {"format": "csv.gz"}, {"Content-Type": "text/csv; charset=utf-8", "Content-Encoding": "gzip"}),
            ("a.parquet", {}, {"Content-Type": "application/vnd.apache.parquet"}),
        ],
    )
    async def test_readers_are_told_what_it_is(
        self, connect: Connect, far_side: Bucket, path: str, options: dict[str, str], headers: dict[str, str]
    ) -> None:
        async with connect() as sink:
            await send(sink, shipment(at(path, **options)), batches(*THREE))
        found = far_side.attributes(path)
        assert {name: value for name, value in found.items() if name.startswith("Content-")} == headers

    @pytest.mark.parametrize("path", ["{{ run.id }}.csv", "{{ run.id }}.csv.gz"])
    async def test_items_become_a_table_and_the_receipt_has_the_size_of_the_object(
        self, connect: Connect, far_side: Bucket, path: str
    ) -> None:
        async with connect() as sink:
            taken, _ = await send(sink, shipment(at(path)), batches(*THREE))
        (name,) = far_side.names()
        body = far_side.body(name)
        text = gzip.decompress(body) if name.endswith(".gz") else body
        assert text == b"n\r\n1\r\n2\r\n3\r\n4\r\n5\r\n"
        assert sum(part.bytes for part in taken) == len(body)

    async def test_a_table_goes_on_in_another_process(self, connect: Connect, far_side: Bucket, spool: Path) -> None:
        shipped, (first, *rest) = shipment(at("t.csv")), batches(*THREE)
        async with connect() as sink:
            _, position = await send(sink, shipped, [first], publish=False)
        async with connect() as sink:
            await send(sink, shipped, rest, position)
        assert (far_side.body("t.csv"), files(spool)) == (b"n\r\n1\r\n2\r\n3\r\n4\r\n5\r\n", [])

    async def test_an_object_for_each_batch(self, connect: Connect, far_side: Bucket, spool: Path) -> None:
        shipped = shipment(object_store.Target(per="batch"))
        for _ in range(2):
            async with connect() as sink:
                taken, _ = await send(sink, shipped, batches(*THREE))
        assert {name: far_side.body(name) for name in far_side.names()} == {
            "r1/00000000.jsonl": b'{"n":1}\n{"n":2}\n',
            "r1/00000001.jsonl": b'{"n":3}\n',
            "r1/00000002.jsonl": b'{"n":4}\n{"n":5}\n',
        }
        assert [(part.rows, part.out, part.bytes) for part in taken] == [(2, 1, 16), (1, 1, 8), (2, 1, 16), (0, 0, 0)]
        assert files(spool) == []

    async def test_a_name_that_no_file_system_would_take_is_kept(self, connect: Connect, far_side: Bucket) -> None:
        async with connect() as sink:
            await send(sink, shipment(at("größe ~#?%41 {a} [b]|<c>.jsonl")), batches(*THREE))
        assert far_side.names() == ["größe ~#?%41 {a} [b]|<c>.jsonl"]

    async def test_a_large_one_goes_in_parts_and_says_the_same_of_itself(
        self, connect: Connect, far_side: Bucket
    ) -> None:
        items = [base64.b64encode(os.urandom(45_000)).join([b'"', b'"']) for _ in range(200)]
        for _ in range(2):
            async with connect() as sink:
                await send(sink, shipment(object_store.Target()), batches(items))
        body = far_side.body("r1.jsonl")
        assert body == b"".join(item + b"\n" for item in items)
        assert far_side.attributes("r1.jsonl")["sha256"] == hashlib.sha256(body).hexdigest()


class TestDocuments:
    async def test_a_record_keeps_its_type_and_says_its_digest(self, connect: Connect, far_side: Bucket) -> None:
        async with connect() as sink:
            await keep(sink, document("A", "text/html; charset=utf-8", b"<p>"), document("A.html", "text/html", b"2"))
        assert far_side.names() == ["r1/A.html", f"r1/A~{hashlib.sha256(b'A.html').hexdigest()[:8]}.html"]
        found = far_side.attributes("r1/A.html")
        assert (found["Content-Type"], found["stream"], found["sha256"]) == (
            "text/html; charset=utf-8",
            "records",
            hashlib.sha256(b"<p>").hexdigest(),
        )

    async def test_a_type_that_no_header_can_hold_is_left_out(self, connect: Connect, far_side: Bucket) -> None:
        async with connect() as sink:
            await keep(sink, document("a.x1", "text/plain\r\nX-Evil: 1", b"1"), document("b.x1", "", b"2"))
        assert {far_side.attributes(name)["Content-Type"] for name in far_side.names()} == {"application/octet-stream"}

    async def test_an_empty_record_is_an_empty_object(self, connect: Connect, far_side: Bucket) -> None:
        async with connect() as sink:
            taken = await keep(sink, document("EMPTY", "text/plain"))
        assert (far_side.body("r1/EMPTY.txt"), [(one.out, one.bytes) for one in taken]) == (b"", [(1, 0)])

    async def test_a_path_that_ends_in_gz_compresses(self, connect: Connect, far_side: Bucket) -> None:
        target = at("{{ record.key }}.gz")
        async with connect() as sink, sink.open(shipment(target, stream="records"), None) as writer:
            await writer.document(document("a.txt", "text/plain", b"hello"))
        assert gzip.decompress(far_side.body("a.txt.gz")) == b"hello"
        assert far_side.attributes("a.txt.gz")["Content-Type"] == "application/gzip"

    async def test_sixty_megabytes_stream_through(self, connect: Connect, far_side: Bucket) -> None:
        sha = hashlib.sha256()

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(60):
                chunk = os.urandom(1 << 20)
                sha.update(chunk)
                yield chunk

        tracemalloc.start()
        try:
            async with connect() as sink:
                (taken,) = await keep(sink, Document("BIG", "video/mp4", None, chunks()))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 40 << 20
        assert (taken.rows, taken.bytes) == (1, 60 << 20)
        assert hashlib.sha256(far_side.body("r1/BIG.mp4")).digest() == sha.digest()

    async def test_trouble_with_the_source_is_told_as_it_is_and_no_half_is_there(
        self, connect: Connect, far_side: Bucket
    ) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"x" * (7 << 20)
            raise Transient(Reason.SOURCE_UNAVAILABLE, "the platform is gone")

        async with connect() as sink:
            with pytest.raises(Transient, match="the platform is gone"):
                await keep(sink, Document("BIG", "video/mp4", None, chunks()))
        assert far_side.names() == []


async def keep(sink: Any, *documents: Document) -> list[Taken]:
    async with sink.open(shipment(object_store.Target(), stream="records"), None) as writer:
        taken = [await writer.document(one) for one in documents]
        await writer.publish()
    return taken


def files(spool: Path) -> list[Path]:
    return [path for path in spool.rglob("*") if path.is_file()]
