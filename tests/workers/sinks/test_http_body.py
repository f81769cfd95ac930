"""What a request carries: templates with their types, compression, and never more in memory than a piece."""

import errno
import json
import os
import random
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from config.contracts.document import Document
from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Batch
from tests.workers.sinks.far_server import FarServer, far_server, opened, refused
from workers.sinks import _http_bodies, http
from workers.testing.contract import PNG, THREE, Connect, SinkContract, send
from workers.testing.shipments import batches, document, shipment

ODD_ITEM = b'{"id":123456789012345678901234567890,"price":1.10,"tags":["a",null],"name":"gr\xc3\xbc\xc3\x9fe"}'
RUN = {"id": "r1", "exitCode": 0, "stats": {"secs": 12.5}}
MIB = 1024**2


@pytest.fixture
async def far_side() -> AsyncIterator[FarServer]:
    async with far_server() as server:
        yield server


@pytest.fixture
def connect(far_side: FarServer, tmp_path: Path) -> Connect:
    return lambda: opened(far_side.url, tmp_path)


def target(**options: Any) -> http.Target:
    return http.Target.model_validate(options)


class TestTemplates:
    @pytest.mark.parametrize(
        ("body", "sends"),
        [
            ("{{ item }}", ODD_ITEM),
            ("{{ item.id }}", b"123456789012345678901234567890"),
            ("{{ item.tags }}", b'["a",null]'),
            ("{{ item.nothing }}", b"null"),
            ("{{ item.name }}", b'"gr\xc3\xbc\xc3\x9fe"'),
            ({"sku": "{{ item.id }}", "run": "{{ run.id }}", "fixed": [1, True, None]},
             b'{"sku":123456789012345678901234567890,"run":"r1","fixed":[1,true,null]}'),
            ({"whole": "{{ item }}", "text": "{{ item.name }}!", "{{ key }}": 1.5},
             b'{"whole":' + ODD_ITEM + b',"text":"gr\xc3\xbc\xc3\x9fe!","{{ key }}":1.5}'),
            ([["{{ dataset }}"]], b'[["prices"]]'),
            (7, b"7"),
        ],
    )  # fmt: skip
    async def test_values_keep_their_types(
        self, connect: Connect, far_side: FarServer, body: Any, sends: bytes
    ) -> None:
        options = target(per="item", body=body)
        async with connect() as sink:
            await send(sink, shipment(options, dataset="prices"), batches([ODD_ITEM]))
        (one,) = far_side.received
        assert (one.body, one.headers["content-type"]) == (sends, "application/json")

    async def test_a_batch_is_known_with_its_place(self, connect: Connect, far_side: FarServer) -> None:
        options = target(body={"rows": "{{ items }}", "first": "{{ items[0].n }}", "at": "{{ batch }}"})
        async with connect() as sink:
            await send(sink, shipment(options), batches(*THREE)[1:2])
        at = b'{"index":1,"offset":2,"count":1}'
        assert far_side.received[0].body == b'{"rows":[{"n":3}],"first":3,"at":' + at + b"}"

    @pytest.mark.parametrize(
        ("options", "sends", "kind"),
        [
            ({"body": "price={{ item.price }};"}, b"price=1.1;", "text/plain; charset=utf-8"),
            ({"body": "só"}, "só".encode(), "text/plain; charset=utf-8"),
            ({"body": "a,{{ item.id }}", "content_type": "text/csv"}, b"a,123456789012345678901234567890", "text/csv"),
            ({"body": {"a": 1}, "content_type": "application/vnd.api+json"}, b'{"a":1}', "application/vnd.api+json"),
            ({"content_type": "application/ld+json"}, ODD_ITEM, "application/ld+json"),
        ],
    )
    async def test_its_media_type_says_what_it_is(
        self, connect: Connect, far_side: FarServer, options: dict[str, Any], sends: bytes, kind: str
    ) -> None:
        async with connect() as sink:
            await send(sink, shipment(target(per="item", **options)), batches([ODD_ITEM]))
        (one,) = far_side.received
        assert (one.body, one.headers["content-type"]) == (sends, kind)

    async def test_a_run_and_a_record_may_be_told_of_in_other_words(
        self, connect: Connect, far_side: FarServer
    ) -> None:
        async with connect() as sink:
            for stream, body in (("run", "{{ run.id }} has ended"), ("records", {"there is": "{{ record.key }}"})):
                async with sink.open(shipment(target(body=body), stream=stream), None) as writer:
                    await writer.document(document("SHOT", "image/png", PNG))
        assert far_side.documents("r1") == [b"r1 has ended", b'{"there is":"SHOT"}']

    async def test_an_item_it_does_not_fit_is_refused_alone(self, connect: Connect, far_side: FarServer) -> None:
        options = target(per="item", body={"more": "{{ item.n + 1 }}"})
        async with connect() as sink:
            taken, _ = await send(sink, shipment(options), batches([b'{"n":1}', b'{"n":"x"}', b'{"n":3}']))
        assert [one.offset for one in taken[0].rejected] == [1]
        assert taken[0].rejected[0].why.startswith("{{ item.n + 1 }}: ")
        assert far_side.items("r1") == [b'{"more":2}', b'{"more":4}']

    async def test_a_batch_it_does_not_fit_ends_the_delivery(self, connect: Connect) -> None:
        error = await refused(connect, target(body="{{ items[0].n + '' }}"))
        assert (type(error), error.reason) == (Permanent, Reason.TEMPLATE_FAILED)


class Compressed(SinkContract):
    module = http
    options = http.Target()
    coding: str

    @pytest.fixture
    def connect(self, far_side: FarServer, tmp_path: Path) -> Connect:
        return lambda: opened(far_side.url, tmp_path, compress=self.coding, sign="secret")

    async def test_bodies_are_packed_and_the_same_every_time(self, connect: Connect, far_side: FarServer) -> None:
        for _ in range(2):
            async with connect() as sink:
                taken, _ = await send(sink, shipment(self.options), batches([b'{"a":"%s"}' % (b"x" * 9000)]))
        one, again = far_side.received
        assert one.sent == again.sent
        assert (one.headers["content-encoding"], taken[0].bytes) == (self.coding, len(one.sent))
        assert len(one.sent) < len(one.body) / 10

    async def test_the_signature_is_of_the_body_unpacked(self, connect: Connect, far_side: FarServer) -> None:
        async with connect() as sink:
            await send(sink, shipment(self.options), batches(*THREE))
        for one in far_side.received:
            assert Webhook(b"secret").verify(one.body, one.headers) == json.loads(one.body)

    async def test_the_limit_is_of_the_body_unpacked(self, far_side: FarServer, tmp_path: Path) -> None:
        error = await refused(lambda: opened(far_side.url, tmp_path, compress=self.coding, max_body="100B"))
        assert (error.reason, far_side.tried) == (Reason.ITEM_REFUSED, [])


class TestHttpGzip(Compressed):
    coding = "gzip"


class TestHttpZstd(Compressed):
    coding = "zstd"


async def test_a_gzip_body_tells_no_time(far_side: FarServer, tmp_path: Path) -> None:
    """Bytes 4 to 7 of its header (RFC 1952)."""
    async with opened(far_side.url, tmp_path, compress="gzip") as sink:
        await send(sink, shipment(http.Target()), batches([b"1"]))
    assert far_side.received[0].sent[4:8] == bytes(4)


async def test_a_spool_without_room_is_worth_another_try(
    far_side: FarServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_http_bodies, "_pack", full)
    error = await refused(lambda: opened(far_side.url, tmp_path, compress="gzip"))
    assert type(error) is Transient
    assert error.detail.startswith("No space left on device: ")


@asynccontextmanager
async def forgetful_server() -> AsyncIterator[tuple[str, list[int]]]:
    """Keeps the size of each body, and nothing else."""
    sizes: list[int] = []

    async def handle(request: web.Request) -> web.Response:
        sizes.append(sum([len(piece) async for piece in request.content.iter_chunked(1 << 16)]))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/", sizes
    finally:
        await runner.cleanup()


class TestMemory:
    @pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
    async def test_a_document_is_never_held(self, tmp_path: Path, compress: str) -> None:
        piece = random.Random(1).randbytes(1 << 16)

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(512):
                yield piece

        large = Document(key="A", content_type="text/plain", size=None, chunks=chunks())
        async with (
            forgetful_server() as (url, sizes),
            opened(url, tmp_path, max_body="64MiB", compress=compress) as sink,
            sink.open(shipment(http.Target(), stream="records"), None) as writer,
        ):
            with peak() as most:
                taken = await writer.document(large)
        assert sizes == [taken.bytes]
        assert most() < 6 * MIB

    @pytest.mark.parametrize("options", [{}, {"bisect": True}, {"per": "item", "parallel": 8}])
    async def test_it_does_not_grow_with_the_dataset(self, tmp_path: Path, options: dict[str, Any]) -> None:
        shipped = shipment(target(**options))
        lines = (b'"' + b"x" * 20_000 + b'"\n') * 50
        async with (
            forgetful_server() as (url, sizes),
            opened(url, tmp_path) as sink,
            sink.open(shipped, None) as writer,
        ):
            await writer.items(Batch(0, 0, lines, 50))
            with peak() as most:
                for index in range(1, 11):
                    await writer.items(Batch(index, 50 * index, lines, 50))
        assert sum(sizes) > 11 * len(lines) * 0.9
        assert most() < 6 * MIB


@contextmanager
def peak() -> Iterator[Callable[[], int]]:
    """Bytes that were held at a time."""
    tracemalloc.start()
    try:
        yield lambda: most
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
