"""What happens if something lies already where an object should go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Checked, Shipment
from console.servers.seaweedfs import SeaweedServer
from tests.workers.sinks.bucket import Bucket, at, opened, seaweed_bucket
from workers.sinks import object_store
from workers.testing.contract import ALL, THREE, Connect, send
from workers.testing.shipments import batches, document, shipment

EARLIER, LATER = "2026-03-01T10:00:00.000Z", "2026-03-02T10:00:00.000Z"
WHOLE = b"".join(item + b"\n" for item in ALL)
#: Larger than one part, so that it is not created on a condition.
LARGE = b'"' + b"x" * (6 << 20) + b'"'


@pytest.fixture
def far_side(s3_server: SeaweedServer) -> Bucket:
    return seaweed_bucket(s3_server)


@pytest.fixture
async def old(s3_server: SeaweedServer) -> AsyncIterator[str]:
    async with without_conditions(s3_server.url) as url:
        yield url


BOTH = pytest.mark.parametrize("connect", ["as it is", "without conditional writes"], indirect=True)


@pytest.fixture
def connect(request: pytest.FixtureRequest, far_side: Bucket, old: str, tmp_path: Path) -> Connect:
    changes = {"endpoint": old} if getattr(request, "param", "").startswith("without") else {}
    return lambda: opened(far_side.settings, tmp_path / "spool", **changes)


async def deliver(connect: Connect, shipped: Shipment, *items: bytes) -> None:
    async with connect() as sink:
        await send(sink, shipped, batches(list(items)))


def ship(path: str = "a.jsonl", **facts: Any) -> Shipment:
    return shipment(at(path), **facts)


class TestForeign:
    @BOTH
    async def test_another_object_is_kept_and_the_delivery_says_what_to_do(
        self, connect: Connect, far_side: Bucket
    ) -> None:
        far_side.put("a.jsonl", b"somebody's")
        with pytest.raises(Permanent) as raised:
            await deliver(connect, ship(), *ALL)
        assert (raised.value.reason, raised.value.detail) == (
            Reason.UPLOAD_CONFLICT,
            "another object lies at `a.jsonl`: choose another `path`, or replay this delivery, which overwrites it",
        )
        assert far_side.body("a.jsonl") == b"somebody's"

    @pytest.mark.parametrize(
        "other", [{"run": "r2"}, {"route": "others"}, {"stream": "items:more"}], ids=["run", "target", "stream"]
    )
    async def test_an_object_of_another_run_target_or_stream_is_another_one(
        self, connect: Connect, far_side: Bucket, other: dict[str, str]
    ) -> None:
        await deliver(connect, ship(**other), b"1")
        with pytest.raises(Permanent):
            await deliver(connect, ship(), b"2")
        assert far_side.body("a.jsonl") == b"1\n"

    async def test_a_large_one_meets_it_as_well(self, connect: Connect, far_side: Bucket) -> None:
        far_side.put("a.jsonl", b"somebody's")
        with pytest.raises(Permanent):
            await deliver(connect, ship(), LARGE)
        assert far_side.body("a.jsonl") == b"somebody's"

    @BOTH
    async def test_the_same_bytes_are_done_whoever_wrote_them(self, connect: Connect, far_side: Bucket) -> None:
        far_side.put("a.jsonl", WHOLE, **{"Content-Type": "text/theirs"})
        await deliver(connect, ship(), *ALL)
        assert far_side.attributes("a.jsonl") == {"Content-Type": "text/theirs"}

    async def test_other_bytes_of_the_same_size_are_another_object(self, connect: Connect, far_side: Bucket) -> None:
        far_side.put("a.jsonl", b"x" * len(WHOLE))
        with pytest.raises(Permanent):
            await deliver(connect, ship(), *ALL)

    async def test_a_replay_overwrites_it(self, connect: Connect, far_side: Bucket) -> None:
        far_side.put("a.jsonl", b"somebody's")
        await deliver(connect, ship(generation=1), *ALL)
        assert (far_side.body("a.jsonl"), far_side.attributes("a.jsonl")["generation"]) == (WHOLE, "1")


class TestOurs:
    @pytest.mark.parametrize("items", [[b"1", b"2"], [LARGE]], ids=["small", "large"])
    async def test_a_later_finish_of_the_run_replaces_the_earlier_one(
        self, connect: Connect, far_side: Bucket, items: list[bytes]
    ) -> None:
        await deliver(connect, ship(life=EARLIER), b"1")
        await deliver(connect, ship(life=LATER), *items)
        assert far_side.body("a.jsonl") == b"".join(item + b"\n" for item in items)
        assert far_side.attributes("a.jsonl")["life"] == LATER

    @pytest.mark.parametrize("items", [[b"1"], [LARGE]], ids=["small", "large"])
    @pytest.mark.parametrize("generation", [0, 1])
    @BOTH
    async def test_an_earlier_finish_never_replaces_a_later_one(
        self, connect: Connect, far_side: Bucket, items: list[bytes], generation: int
    ) -> None:
        await deliver(connect, ship(life=LATER), b"1", b"2")
        with pytest.raises(Permanent) as raised:
            await deliver(connect, ship(life=EARLIER, generation=generation), *items)
        assert (raised.value.reason, raised.value.detail) == (
            Reason.SUPERSEDED,
            "a later finish of this run, or a replay, lies at `a.jsonl`",
        )
        assert far_side.body("a.jsonl") == b"1\n2\n"

    async def test_a_replay_replaces_what_was_there_and_is_not_undone(self, connect: Connect, far_side: Bucket) -> None:
        await deliver(connect, ship(), b"1")
        await deliver(connect, ship(generation=1), b"1", b"2")
        with pytest.raises(Permanent):
            await deliver(connect, ship(), b"1")
        assert far_side.body("a.jsonl") == b"1\n2\n"

    @BOTH
    async def test_a_delivery_that_begins_again_may_write_other_bytes(self, connect: Connect, far_side: Bucket) -> None:
        await deliver(connect, ship(), b"1")
        await deliver(connect, ship(), b"1", b"2")
        assert far_side.body("a.jsonl") == b"1\n2\n"

    async def test_rows_that_come_after_the_object_was_written_make_all_come_again(
        self, connect: Connect, far_side: Bucket
    ) -> None:
        first, *rest = batches(*THREE)
        async with connect() as sink:
            _, position = await send(sink, ship(), [first])
        async with connect() as sink:
            with pytest.raises(Transient):
                await send(sink, ship(), rest, position)
        async with connect() as sink, sink.open(ship(), position) as writer:
            assert writer.position is None
        await deliver(connect, ship(), *ALL)
        assert far_side.body("a.jsonl") == WHOLE

    async def test_what_was_staged_elsewhere_is_staged_again_and_no_other_object_stands_in_for_it(
        self, connect: Connect, far_side: Bucket, tmp_path: Path
    ) -> None:
        far_side.put("a.jsonl", b"somebody's")
        async with opened(far_side.settings, tmp_path / "another machine") as sink:
            _, position = await send(sink, ship(), batches(*THREE), publish=False)
        async with connect() as sink, sink.open(ship(), position) as writer:
            assert writer.position is None

    async def test_records_replace_what_lies_there(self, connect: Connect, far_side: Bucket) -> None:
        far_side.put("A.txt", b"somebody's")
        async with connect() as sink, sink.open(shipment(at("A.txt"), stream="records"), None) as writer:
            await writer.document(document("A", "text/plain", b"mine"))
        assert far_side.body("A.txt") == b"mine"


async def test_of_two_that_create_it_at_once_one_meets_the_other(far_side: Bucket, tmp_path: Path) -> None:
    async def one(run: str) -> str:
        try:
            await deliver(lambda: opened(far_side.settings, tmp_path / "spool"), ship(run=run), run.encode())
        except Permanent as error:
            return error.reason
        return "done"

    ends = await asyncio.gather(*(one(f"{number}") for number in range(6)))
    assert sorted(ends) == ["done", *["upload_conflict"] * 5]


@BOTH
async def test_a_check_leaves_nothing_behind(connect: Connect, far_side: Bucket) -> None:
    async with connect() as sink:
        assert isinstance(sink, Checked)
        await sink.check(object_store.Target())
    assert far_side.names() == []


@asynccontextmanager
async def without_conditions(url: str) -> AsyncIterator[str]:
    """The same store for those that write without a condition; the others are told that there is no such thing."""

    async def pass_on(request: web.Request) -> web.Response:
        if "If-None-Match" in request.headers or "If-Match" in request.headers:
            await request.read()
            return web.Response(status=501, text="<Error><Code>NotImplemented</Code></Error>")
        async with session.request(
            request.method, f"{url}{request.raw_path}", data=await request.read(), headers=request.headers
        ) as answer:
            sent = web.Response(status=answer.status, body=await answer.read(), headers=answer.headers)
            sent.headers.pop("Transfer-Encoding", None)
            return sent

    app = web.Application(client_max_size=1 << 28)
    app.router.add_route("*", "/{path:.*}", pass_on)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    async with ClientSession(auto_decompress=False) as session:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
