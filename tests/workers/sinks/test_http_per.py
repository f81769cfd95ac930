"""One request for each item, for each batch, for each piece of a batch that was refused, or for the run."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from config.contracts.errors import NotYet, Permanent, Transient, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Rejected, Taken
from config.units import PerTime
from tests.workers.sinks.far_server import FarServer, answers, far_server, opened, refused
from workers.sinks import _http_each, http
from workers.testing.contract import ALL, THREE, Connect, SinkContract, send
from workers.testing.killed import KilledContract
from workers.testing.shipments import batches, document, shipment

ITEM, RUN, BISECT = http.Target(per="item"), http.Target(per="run"), http.Target(bisect=True)
DELIVERY = shipment(ITEM).delivery.id


@pytest.fixture
async def far_side() -> AsyncIterator[FarServer]:
    async with far_server() as server:
        yield server


@pytest.fixture
def connect(far_side: FarServer, tmp_path: Path) -> Connect:
    return lambda: opened(far_side.url, tmp_path)


@pytest.fixture
def settings(far_side: FarServer) -> dict[str, Any]:
    return {"url": far_side.url}


class TestHttpPerItem(SinkContract):
    module = http
    options = ITEM


class TestHttpInParallel(SinkContract):
    module = http
    options = http.Target(per="item", parallel=8)

    @pytest.fixture
    def far_side(self, far_side: FarServer) -> FarServer:
        """Items overtake each other; their rows say where they belong."""
        far_side.in_order = True
        return far_side


class TestHttpPerRun(SinkContract):
    module = http
    options = RUN


class TestHttpThatBisects(SinkContract, KilledContract):
    module = http
    options = BISECT


class TestItems:
    async def test_each_is_a_request_whose_id_is_its_row(self, connect: Connect, far_side: FarServer) -> None:
        sparse = Batch(index=7, offset=3, lines=b'{"n":1.10}\n2\n', count=2, kept=(3, 9))
        async with connect() as sink:
            taken, _ = await send(sink, shipment(ITEM), [sparse], publish=False)
        seen = [(one.id, one.headers["x-runrelay-row"], one.body) for one in far_side.received]
        assert seen == [
            (f"{DELIVERY}:items:default:3", "3", b'{"n":1.10}'),
            (f"{DELIVERY}:items:default:9", "9", b"2"),
        ]
        assert {one.headers["content-type"] for one in far_side.received} == {"application/json"}
        assert taken == [Taken(rows=2, out=2, bytes=11, position={"row": 10})]

    @pytest.mark.parametrize("parallel", [1, 3])
    async def test_no_more_are_under_way_than_allowed(
        self, connect: Connect, far_side: FarServer, parallel: int
    ) -> None:
        together = asyncio.Barrier(parallel)

        async def meet(request: web.Request, body: bytes) -> web.StreamResponse:
            await together.wait()
            return web.Response()

        far_side.answers = [meet] * 12
        async with connect() as sink:
            await send(sink, shipment(http.Target(per="item", parallel=parallel)), batches([b"1"] * 12))
        assert far_side.busiest == parallel

    @pytest.mark.parametrize("status", [400, 413, 422])
    async def test_one_that_is_refused_is_named_and_the_others_arrive(
        self, connect: Connect, far_side: FarServer, status: int
    ) -> None:
        far_side.answers = [answers(200), answers(status, "no such price")]
        async with connect() as sink:
            taken, _ = await send(sink, shipment(ITEM), batches([b"1", b"2", b"3"]), publish=False)
        assert taken[0].rejected == (Rejected(1, f"HTTP {status}: no such price"),)
        assert (taken[0].rows, taken[0].left, far_side.items("r1")) == (2, 0, [b"3"])

    async def test_one_that_is_too_large_is_refused_alone(self, far_side: FarServer, tmp_path: Path) -> None:
        async with opened(far_side.url, tmp_path, max_body="1KiB") as sink:
            taken, _ = await send(sink, shipment(ITEM), batches([b"1", b"2" * 2000, b"3"]), publish=False)
        assert taken[0].rejected == (Rejected(1, "2000 bytes are more than max_body (1024)"),)
        assert far_side.items("r1") == [b"1", b"3"]

    @pytest.mark.parametrize("status", [401, 404, 410, 429, 500])
    async def test_what_arrived_before_trouble_counts_and_the_trouble_comes_next(
        self, connect: Connect, far_side: FarServer, status: int
    ) -> None:
        far_side.answers = [answers(202), answers(202), answers(status)]
        (batch,) = batches([b"1", b"2", b"3", b"4"])
        async with connect() as sink, sink.open(shipment(ITEM), None) as writer:
            taken = await writer.items(batch)
            assert (taken.rows, taken.left, taken.position) == (2, 2, {"row": 2})
            with pytest.raises(WorkError, match=str(status)):
                await writer.items(batch.after(2))
        assert len(far_side.tried) == 3

    async def test_behind_a_gap_nothing_counts(self, connect: Connect, far_side: FarServer) -> None:
        overtaken = asyncio.Event()

        async def gap(request: web.Request, body: bytes) -> web.StreamResponse:
            if body == b"3":
                overtaken.set()
            if body == b"2":
                await overtaken.wait()
            return web.Response(status=503 if body == b"2" else 202)

        far_side.answers = [gap] * 4
        (batch,) = batches([b"1", b"2", b"3", b"4"])
        async with connect() as sink, sink.open(shipment(http.Target(per="item", parallel=2)), None) as writer:
            taken = await writer.items(batch)
            assert (taken.rows, taken.left, taken.position) == (1, 3, {"row": 1})
            with pytest.raises(Transient):
                await writer.items(batch.after(1))
        far_side.answers.clear()
        async with connect() as sink:
            await send(sink, shipment(ITEM), [batch.after(1)])
        assert far_side.items("r1") == [b"2", b"3", b"4"]
        assert len({one.id for one in far_side.tried if one.body == b"3"}) == 1

    async def test_a_step_ends_in_time(
        self, connect: Connect, far_side: FarServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_http_each, "_STEP", 0.0)
        async with connect() as sink, sink.open(shipment(ITEM), None) as writer:
            taken = await writer.items(batches([b"1", b"2", b"3"])[0])
        assert (taken.rows, taken.left, far_side.items("r1")) == (1, 2, [b"1"])

    async def test_a_page_of_requests_is_taken_whole(
        self, connect: Connect, far_side: FarServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_http_each, "_STEP", 0.0)
        far_side.refuses = lambda one: one.body == b"2"
        async with connect() as sink, sink.open(shipment(ITEM, stream="requests"), None) as writer:
            taken = await writer.items(batches([b"1", b"2", b"3"])[0])
        assert taken == Taken(2, 2, 2, {"row": 3}, rejected=(Rejected(1, "HTTP 422: not this"),))
        assert far_side.items("r1") == [b"1", b"3"]


class TestPace:
    async def test_every_request_waits_for_its_moment(self, far_side: FarServer, tmp_path: Path) -> None:
        asked: list[tuple[str, PerTime, int]] = []

        async def pace(sink: str, rate: PerTime) -> None:
            asked.append((sink, rate, len(far_side.tried)))

        async with opened(far_side.url, tmp_path, pace=pace, rate="5/s") as sink:
            await send(sink, shipment(ITEM), batches([b"1", b"2", b"3"]))
            await send(sink, shipment(http.Target()), batches([b"1"]))
            async with sink.open(shipment(RUN, stream="run"), None) as writer:
                await writer.document(document("run.json", "application/json", b"{}"))
        assert asked == [("out", PerTime(5, 1.0), before) for before in range(5)]

    async def test_without_a_rate_nobody_waits(self, far_side: FarServer, tmp_path: Path) -> None:
        async def pace(sink: str, rate: PerTime) -> None:
            raise AssertionError

        async with opened(far_side.url, tmp_path, pace=pace) as sink:
            await send(sink, shipment(ITEM), batches([b"1"]))

    async def test_what_was_sent_before_the_pace_allows_no_more_counts(
        self, far_side: FarServer, tmp_path: Path
    ) -> None:
        async def pace(sink: str, rate: PerTime) -> None:
            if len(far_side.tried) == 2:
                raise NotYet(Reason.PACED, wait=60)

        (batch,) = batches([b"1", b"2", b"3"])
        async with (
            opened(far_side.url, tmp_path, pace=pace, rate="1/15m") as sink,
            sink.open(shipment(ITEM), None) as writer,
        ):
            taken = await writer.items(batch)
            with pytest.raises(NotYet):
                await writer.items(batch.after(2))
        assert (taken.rows, taken.left) == (2, 1)


class Killed(BaseException):
    """The process is gone, and with it what it had not checkpointed."""


class Pipeline:
    """Feeds a sink as the pipeline does; `dies`: numbers of the calls after which the process is killed."""

    def __init__(self, connect: Connect, rows: list[bytes], size: int, dies: set[int]) -> None:
        self.connect, self.rows, self.size, self.dies = connect, rows, size, dies
        self.offset, self.index, self.calls = 0, 0, 0
        self.position: dict[str, Any] | None = None
        self.rejected: list[int] = []

    async def run(self) -> None:
        while self.offset < len(self.rows):
            async with self.connect() as sink, sink.open(shipment(BISECT), self.position) as writer:
                try:
                    while self.offset < len(self.rows):
                        await self.batch(writer)
                except Killed:
                    continue

    async def batch(self, writer: Any) -> None:
        items = self.rows[self.offset : self.offset + self.size]
        batch = Batch(self.index, self.offset, b"".join(item + b"\n" for item in items), len(items))
        while batch.count:
            taken: Taken = await writer.items(batch)
            self.calls += 1
            if self.calls in self.dies:
                raise Killed
            self.rejected += [one.offset for one in taken.rejected]
            self.index, self.position = self.index + 1, json.loads(json.dumps(taken.position))
            batch = batch.after(batch.count - taken.left)
            self.offset = batch.offset if batch.count else self.offset + len(items)
            items = items[len(items) - batch.count :]


class TestBisecting:
    async def test_a_refused_batch_is_halved_down_to_the_item(self, connect: Connect, far_side: FarServer) -> None:
        far_side.refuses = lambda one: b"bad" in one.body
        pipeline = Pipeline(connect, [b"0", b"1", b'"bad"', b"3", b"4", b"5"], 6, set())
        await pipeline.run()
        assert pipeline.rejected == [2]
        rows = [(one.id.rpartition(":")[2], one in far_side.received) for one in far_side.tried]
        assert rows == [
            ("0-5", False), ("0-2", False), ("0-0", True), ("1-2", False), ("1-1", True), ("2-2", False), ("3-5", True)
        ]  # fmt: skip

    @pytest.mark.parametrize("bad", [{2}, {0, 1}, {3, 9}, set(range(4))])
    async def test_killed_after_any_request_no_item_is_confirmed_under_two_ids(
        self, connect: Connect, far_side: FarServer, bad: set[int]
    ) -> None:
        rows = [b'{"row":%d%s}' % (n, b',"bad":1' if n in bad else b"") for n in range(10)]
        far_side.refuses = lambda one: b"bad" in one.body
        calls = 1
        died = 0
        while died < calls:
            died += 1
            far_side.received.clear()
            pipeline = Pipeline(connect, rows, 6, {died, died + 2})
            await pipeline.run()
            calls = pipeline.calls
            assert pipeline.rejected == sorted(bad)
            assert far_side.items("r1") == [row for n, row in enumerate(rows) if n not in bad]
        assert died > 5

    async def test_a_receiver_that_changes_its_mind_gets_nothing_twice(
        self, connect: Connect, far_side: FarServer
    ) -> None:
        rows = [b'{"row":%d}' % n for n in range(10)]
        for died in range(1, 8):
            far_side.received.clear()
            far_side.tried.clear()
            far_side.refuses = lambda one: b'"row":4' in one.body and len(far_side.tried) < 4
            pipeline = Pipeline(connect, rows, 6, {died, died + 1})
            await pipeline.run()
            assert Counter(far_side.items("r1")) == Counter(rows)

    async def test_without_it_the_delivery_ends_there(self, connect: Connect, far_side: FarServer) -> None:
        far_side.refuses = lambda one: True
        error = await refused(connect)
        assert (type(error), str(error)) == (Permanent, "item_refused: HTTP 422: not this")
        assert len(far_side.tried) == 1

    async def test_a_page_of_requests_is_halved_within_one_step(self, connect: Connect, far_side: FarServer) -> None:
        far_side.refuses = lambda one: b"bad" in one.body
        async with connect() as sink, sink.open(shipment(BISECT, stream="requests"), None) as writer:
            taken = await writer.items(batches([b"0", b'"bad"', b"2"])[0])
        assert (taken.rows, [one.offset for one in taken.rejected], taken.left) == (2, [1], 0)
        assert far_side.items("r1") == [b"0", b"2"]

    async def test_trouble_is_not_taken_for_a_refusal(self, connect: Connect, far_side: FarServer) -> None:
        far_side.answers = [answers(404)]
        error = await refused(connect, BISECT)
        assert (type(error), error.reason, len(far_side.tried)) == (Permanent, Reason.TARGET_REFUSED, 1)


async def test_the_run_is_one_request(connect: Connect, far_side: FarServer) -> None:
    async with connect() as sink, sink.open(shipment(RUN, stream="run"), None) as writer:
        await writer.document(document("run.json", "application/json", b'{"id":"r1"}'))
        await writer.publish()
    (one,) = far_side.received
    assert (one.body, one.headers["content-type"]) == (b'{"id":"r1"}', "application/json")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_no_request_is_ever_sent_again_without_its_body(far_side: FarServer, tmp_path: Path, method: str) -> None:
    """HTTP lets a client repeat some of them by itself when a connection that was kept turns out to be closed."""

    async def drop(request: web.Request, body: bytes) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with opened(far_side.url, tmp_path, method=method) as sink:
        far_side.answers = [answers(202), drop]
        with pytest.raises(Transient):
            await send(sink, shipment(http.Target()), batches(*THREE))
        await send(sink, shipment(http.Target()), batches(*THREE))
    assert far_side.items("r1") == ALL
    assert {one.method for one in far_side.tried} == {method}
    bodies = {(one.id, one.body) for one in far_side.tried}
    assert len(bodies) == len(THREE)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"per": "run", "body": {"a": "{{ items }}"}}, "`items` has no meaning with `per: run`"),
        ({"per": "item", "body": "{{ batch.index }}"}, "`batch` has no meaning with `per: item`"),
        ({"body": "{{ item.a }}"}, "`item` has no meaning with `per: batch`"),
        ({"body": {"a": ["{{ nobody }}"]}}, "unknown name `nobody`"),
        ({"parallel": 2}, "`parallel` needs `per: item`"),
        ({"per": "item", "bisect": True}, "`bisect` halves batches"),
        ({"per": "item", "parallel": 51}, "less than or equal to 50"),
        ({"content_type": "text/x\r\nX-A: 1"}, "String should match pattern"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        http.Target.model_validate(options)
    assert said in str(caught.value)
