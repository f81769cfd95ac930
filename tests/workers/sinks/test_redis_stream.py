import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from redis import Redis
from redis.exceptions import ConnectionError

from config.contracts.document import Document
from config.contracts.errors import Forbidden, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Checked, Rejected, Sink, Taken
from console.embedded import embedded_valkey
from tests.workers.sinks.lists import split
from workers.sinks import redis_stream
from workers.sinks._message import ID
from workers.sinks.redis_stream import Target, verdict
from workers.testing.contract import ALL, PNG, THREE, Connect, SinkContract, send
from workers.testing.killed import KilledContract
from workers.testing.servers import SECRET, ServerContract, silent_server
from workers.testing.shipments import around, batches, document, shipment

STREAM = Target(stream="products")
RIGHTS = "+eval +evalsha +script|load +xadd +type +hset +hget +hexists +pexpire"
LIST = Target(stream="products", per="batch")


class FarStream:
    """What lies in one stream, by another client."""

    def __init__(self, url: str, name: str = "products") -> None:
        self.redis: Any = Redis.from_url(url)
        self.name = name

    def entries(self, run: str = "r1") -> list[dict[bytes, bytes]]:
        found = [entry for _, entry in self.redis.xrange(self.name)]
        return [entry for entry in found if entry[b"runrelay-run"] == run.encode()]

    def items(self, run: str) -> list[bytes]:
        return [entry[b"data"] for entry in self.entries(run)]

    def documents(self, run: str) -> list[bytes]:
        return [entry[b"data"] for entry in sorted(self.entries(run), key=lambda entry: entry[b"runrelay-record"])]


class FarLists(FarStream):
    def items(self, run: str) -> list[bytes]:
        return [item for entry in self.entries(run) for item in split(entry[b"data"])]


@pytest.fixture
def far_side(valkey_url: str) -> Iterator[FarStream]:
    side = FarStream(valkey_url)
    yield side
    side.redis.close()


@pytest.fixture
def connect(valkey_url: str, tmp_path: Path) -> Connect:
    return lambda: opened(valkey_url, tmp_path)


def opened(url: str, spool: Path, **options: Any) -> AbstractAsyncContextManager[Sink]:
    return redis_stream.connect(redis_stream.Config(url=url, **options), around(spool))


class TestItems(SinkContract, ServerContract, KilledContract):
    module = redis_stream
    options = STREAM

    @pytest.fixture
    def settings(self, valkey_url: str) -> dict[str, Any]:
        return {"url": valkey_url}

    @pytest.fixture
    def down(self, tmp_path: Path) -> Connect:
        return lambda: opened(f"unix://{tmp_path}/nobody.sock", tmp_path)

    @pytest.fixture
    def refused(self, valkey_url: str, far_side: FarStream, tmp_path: Path) -> Connect:
        far_side.redis.acl_setuser("relay", enabled=True, passwords=["+another"], commands=["+@all"], keys=["*"])
        return lambda: opened(valkey_url.replace("unix://", "unix://relay@"), tmp_path, password=SECRET)

    @pytest.fixture
    async def silent(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connect]:
        monkeypatch.setattr(redis_stream, "ANSWERING", 0.5)
        async with silent_server() as port:
            yield lambda: opened(f"redis://127.0.0.1:{port}", tmp_path)


class TestLists(SinkContract):
    module = redis_stream
    options = LIST

    @pytest.fixture
    def far_side(self, valkey_url: str) -> Iterator[FarLists]:
        side = FarLists(valkey_url)
        yield side
        side.redis.close()


class TestEntries:
    async def test_an_entry_says_where_it_comes_from(self, connect: Connect, far_side: FarStream) -> None:
        shipped = shipment(STREAM)
        async with connect() as sink:
            await send(sink, shipped, batches(*THREE))
        assert far_side.entries()[2] == {
            b"data": b'{"n":3}',
            b"content-type": b"application/json",
            b"runrelay-id": f"{shipped.delivery.id}:items:default:2".encode(),
            b"runrelay-delivery": shipped.delivery.id.encode(),
            b"runrelay-route": b"all",
            b"runrelay-target": b"out",
            b"runrelay-stream": b"items:default",
            b"runrelay-source": b"platform",
            b"runrelay-run": b"r1",
            b"runrelay-actor": b"",
            b"runrelay-item": b"2",
        }

    async def test_a_list_says_which_items_it_holds(self, connect: Connect, far_side: FarStream) -> None:
        async with connect() as sink:
            taken, _ = await send(sink, shipment(LIST), batches(*THREE))
        entries = far_side.entries()
        assert [(one[b"data"], one[b"runrelay-item"], one[b"runrelay-count"]) for one in entries] == [
            (b'[{"n":1},{"n":2}]', b"0-1", b"2"),
            (b'[{"n":3}]', b"2-2", b"1"),
            (b'[{"n":4},{"n":5}]', b"3-4", b"2"),
        ]
        assert taken[0] == Taken(rows=2, out=1, bytes=17, position={"reached": 2, "documents": 0})

    async def test_a_record_keeps_its_name_and_type(self, connect: Connect, far_side: FarStream) -> None:
        async with connect() as sink, sink.open(shipment(STREAM, stream="records"), None) as writer:
            await writer.document(document("SHÖT", "image/png", PNG))
        (entry,) = far_side.entries()
        assert (entry[b"runrelay-record"], entry[b"content-type"], entry[b"data"]) == (b"SH%C3%96T", b"image/png", PNG)

    async def test_ids_are_unique_and_those_of_a_replay_are_others(self, connect: Connect, far_side: FarStream) -> None:
        async with connect() as sink:
            for generation in (0, 1):
                await send(sink, shipment(STREAM, generation=generation), batches(*THREE))
        assert len({one[ID.encode()] for one in far_side.entries()}) == 2 * len(ALL)

    async def test_the_stream_may_be_named_after_the_run(self, connect: Connect, valkey_url: str) -> None:
        async with connect() as sink:
            await send(sink, shipment(Target(stream="of-{{ run.id }}-{{ dataset }}"), dataset="x"), batches(*THREE))
        assert FarStream(valkey_url, "of-r1-x").items("r1") == ALL

    async def test_a_stream_may_be_trimmed(self, connect: Connect, far_side: FarStream) -> None:
        many = [b'{"n":%d}' % n for n in range(2000)]
        async with connect() as sink:
            await send(sink, shipment(Target(stream="products", maxlen=100)), batches(many))
        kept = far_side.items("r1")
        assert 100 <= len(kept) < 400
        assert kept == many[-len(kept) :]


class TestOurPlace:
    @pytest.mark.parametrize(("name", "tag"), [("products", "products"), ("{shop}:products", "shop")])
    async def test_it_lies_in_the_slot_of_the_stream_for_thirty_days(
        self, connect: Connect, far_side: FarStream, name: str, tag: str
    ) -> None:
        shipped = shipment(Target(stream=name))
        async with connect() as sink:
            await send(sink, shipped, batches(*THREE))
        ledger = f"runrelay:{{{tag}}}:{shipped.delivery.id}:items:default"
        assert set(far_side.redis.keys()) == {name.encode(), ledger.encode()}
        assert 29 < far_side.redis.ttl(ledger) / 86400 <= 30
        assert far_side.redis.hget(ledger, "next") == b"5"

    async def test_a_large_batch_goes_in_steps_and_each_of_them_counts(
        self, connect: Connect, far_side: FarStream
    ) -> None:
        """The second step is refused: the next try goes on behind the first, however its batches are cut."""
        items = [b'"%d%s"' % (n, b"x" * 600_000) for n in range(3)]
        full = far_side.redis
        async with connect() as sink, sink.open(shipment(STREAM), None) as writer:
            place = writer.place  # type: ignore[attr-defined]  # the only way to stand between two steps
            add, steps = place._add, []

            async def refuse_second(keys: list[str], told: list[Any]) -> Any:
                steps.append(len(told))
                if len(steps) == 2:
                    raise ConnectionError("gone")
                return await add(keys, told)

            place._add = refuse_second
            with pytest.raises(Transient):
                await writer.items(batches(items)[0])
        assert full.xlen("products") == 1
        async with connect() as sink:
            taken, _ = await send(sink, shipment(STREAM), batches(items[:2], items[2:]))
        assert far_side.items("r1") == items
        assert [part.rows for part in taken] == [2, 1, 0]

    async def test_a_server_that_lost_its_last_second_gets_it_again(
        self, connect: Connect, far_side: FarStream
    ) -> None:
        redis = far_side.redis
        async with connect() as sink:
            await send(sink, shipment(STREAM), batches(*THREE)[:1], publish=False)
            before = {key: redis.dump(key) for key in redis.scan_iter()}
            _, position = await send(sink, shipment(STREAM), batches(*THREE)[:2], publish=False)
            for key, value in before.items():
                redis.restore(key, 0, value, replace=True)
            async with sink.open(shipment(STREAM), position) as writer:
                assert writer.position is None
                for batch in batches(*THREE):
                    await writer.items(batch)
        assert far_side.items("r1") == ALL

    async def test_one_that_loses_it_while_we_write_is_noticed(self, connect: Connect, far_side: FarStream) -> None:
        redis = far_side.redis
        async with connect() as sink, sink.open(shipment(STREAM), None) as writer:
            first, second, third = batches(*THREE)
            await writer.items(first)
            before = {key: redis.dump(key) for key in redis.scan_iter()}
            await writer.items(second)
            for key, value in before.items():
                redis.restore(key, 0, value, replace=True)
            with pytest.raises(Transient, match="our place in 'products' is lost"):
                await writer.items(third)
        assert far_side.items("r1") == THREE[0]

    async def test_a_writer_whose_place_was_taken_adds_nothing(self, connect: Connect, far_side: FarStream) -> None:
        async with connect() as sink:
            first, second, _ = batches(*THREE)
            async with sink.open(shipment(STREAM), None) as old:
                await old.items(first)
                async with sink.open(shipment(STREAM), {"reached": 2, "documents": 0}) as new:
                    with pytest.raises(Transient, match="another worker is writing it"):
                        await old.items(second)
                    await new.items(second)
        assert far_side.items("r1") == ALL[:3]


class TestTooLarge:
    async def test_items_are_rejected_and_the_others_arrive(
        self, valkey_url: str, far_side: FarStream, tmp_path: Path
    ) -> None:
        items = [b'"a"', b'"%s"' % (b"x" * 2000), b'"c"']
        async with opened(valkey_url, tmp_path, max_message="1kB") as sink:
            taken, _ = await send(sink, shipment(STREAM), batches(items))
            lists, _ = await send(sink, shipment(LIST, route="lists"), batches([b'"%s"' % (b"y" * 400)] * 4, items))
        assert far_side.items("r1")[:2] == [b'"a"', b'"c"']
        said = "a message of {} bytes, and 1000 is the most"
        assert (taken[0].rows, taken[0].rejected) == (2, (Rejected(1, said.format(2002)),))
        assert [(part.rows, part.out) for part in lists] == [(4, 2), (2, 1), (0, 0)]
        assert lists[1].rejected == (Rejected(5, said.format(2004)),)

    async def test_of_a_document_no_more_is_read_than_needed(self, valkey_url: str, tmp_path: Path) -> None:
        read = []

        async def chunks() -> AsyncIterator[bytes]:
            for number in range(100):
                read.append(number)
                yield b"x" * 1000

        large = Document(key="A", content_type="text/plain", size=None, chunks=chunks())
        async with (
            opened(valkey_url, tmp_path, max_message="2kB") as sink,
            sink.open(shipment(STREAM, stream="records"), None) as writer,
        ):
            first = await writer.document(document("0", "text/plain", b"1"))
            taken = await writer.document(large)
        assert first.rejected == ()
        assert taken.rejected == (Rejected(1, "a message of 3000 bytes, and 2000 is the most"),)
        assert (taken.rows, len(read)) == (0, 3)


class TestTrouble:
    async def test_a_connected_sink_goes_on_after_its_server_came_back(self, tmp_path: Path) -> None:
        socket, first, second, _ = tmp_path / "v.sock", *batches(*THREE)

        def point_at(url: str) -> None:
            socket.unlink(missing_ok=True)
            socket.symlink_to(url.removeprefix("unix://"))

        async with opened(f"unix://{socket}", tmp_path) as sink:
            with embedded_valkey(tmp_path / "data") as url:
                point_at(url)
                _, position = await send(sink, shipment(STREAM), [first], publish=False)
            with pytest.raises(Transient):
                await send(sink, shipment(STREAM), [second], position)
            with embedded_valkey(tmp_path / "data") as url:
                point_at(url)
                await send(sink, shipment(STREAM), [second], position)
                assert FarStream(url).items("r1") == ALL[:3]

    async def test_the_rights_that_are_asked_for_are_enough(
        self, valkey_url: str, far_side: FarStream, tmp_path: Path
    ) -> None:
        rights = f"ACL SETUSER careful reset on >good ~products ~runrelay:* {RIGHTS}"
        far_side.redis.execute_command(*rights.split())
        far_side.redis.script_flush()
        async with opened(valkey_url.replace("//", "//careful@"), tmp_path, password="good") as sink:
            assert isinstance(sink, Checked)
            await sink.check(STREAM)
            await send(sink, shipment(STREAM), batches(*THREE))
            async with sink.open(shipment(STREAM, stream="records"), None) as writer:
                await writer.document(document("A", "text/plain", b"a"))
        assert far_side.items("r1") == [*ALL, b"a"]

    @pytest.mark.parametrize(
        ("mistake", "kind", "reason", "line"),
        [
            (
                lambda redis: redis.set("products", "1"),
                Forbidden,
                Reason.TARGET_REFUSED,
                "the key 'products' is no stream: name another `stream`, or move that key away (RENAME)",
            ),
            (
                lambda redis: redis.acl_setuser("default", enabled=True, nopass=True, commands=["+@all", "-xadd"]),
                Unauthorized,
                Reason.TARGET_REFUSED,
                "our user may not add to 'products': ACL SETUSER <user> ~products ~runrelay:* " + RIGHTS,
            ),
            (
                lambda redis: redis.config_set("maxmemory", 1),
                Transient,
                Reason.TARGET_UNAVAILABLE,
                "the server has reached its `maxmemory`: raise it, or trim streams with `maxlen`",
            ),
            (
                lambda redis: redis.replicaof("127.0.0.1", "1"),
                Transient,
                Reason.TARGET_UNAVAILABLE,
                "the server is a replica that may not be written to: let `url` name the primary",
            ),
        ],
        ids=["another type", "no right", "full", "replica"],
    )
    async def test_every_mistake_has_its_verdict_and_one_line_with_its_cure(
        self,
        connect: Connect,
        far_side: FarStream,
        mistake: Callable[[Any], Any],
        kind: type[WorkError],
        reason: Reason,
        line: str,
    ) -> None:
        redis = far_side.redis
        mistake(redis)
        try:
            async with connect() as sink:
                with pytest.raises(WorkError) as raised:
                    await send(sink, shipment(STREAM), batches(*THREE))
                assert isinstance(sink, Checked)
                with pytest.raises(WorkError) as checked:
                    await sink.check(STREAM)
        finally:
            redis.replicaof("no", "one")
            redis.config_set("maxmemory", 0)
            redis.acl_setuser("default", enabled=True, nopass=True, commands=["+@all"])
        for error in (raised.value, checked.value):
            assert (type(error), error.reason, error.detail) == (kind, reason, line)
        assert redis.type("products") in {b"none", b"string"}

    @pytest.mark.parametrize(
        ("said", "kind"),
        [
            ("MISCONF Redis is configured to save RDB snapshots", Transient),
            ("BUSY Redis is busy running a script.", Transient),
            ("ERR unknown command 'EVALSHA'", Permanent),
        ],
    )
    def test_other_refusals(self, said: str, kind: type[WorkError]) -> None:
        from redis.exceptions import ResponseError

        error = verdict(ResponseError(said), "products")
        assert (type(error), said in error.detail) == (kind, True)

    def test_a_server_that_is_away_is_named_with_the_cure(self) -> None:
        from redis.exceptions import ConnectionError

        error = verdict(ConnectionError("Error 111 connecting to cache:6379. Connection refused."), "products")
        said = "Error 111 connecting to cache:6379. Connection refused."
        line = f"the server does not answer: {said}: is it up? If so, mend `url`"
        assert (type(error), error.detail) == (Transient, line)

    def test_a_url_that_is_none_is_a_mistake_of_the_file(self) -> None:
        with pytest.raises(ValidationError, match="redis://"):
            redis_stream.Config(url="http://example.com")


class TestCheck:
    async def test_it_leaves_nothing_behind(self, connect: Connect, far_side: FarStream) -> None:
        async with connect() as sink:
            assert isinstance(sink, Checked)
            await sink.check(STREAM)
            assert far_side.redis.keys() == []
            far_side.redis.xgroup_create("products", "readers", mkstream=True)
            await sink.check(STREAM)
        assert far_side.redis.xlen("products") == 0


async def test_a_large_batch_keeps_memory_and_order(connect: Connect, far_side: FarStream) -> None:
    items = [json.dumps({"n": n, "text": "x" * 100}).encode() for n in range(5000)]
    async with connect() as sink:
        runs = [send(sink, shipment(STREAM, run=f"r{n}"), batches(items)) for n in range(3)]
        await asyncio.gather(*runs)
    assert [far_side.items(f"r{n}") == items for n in range(3)] == [True] * 3
