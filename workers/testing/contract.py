"""What every sink promises. A sink's own test module inherits `SinkContract` and gives it two fixtures:

- `connect`: opens the sink anew, as another process would;
- `far_side`: what really arrived, looked at without asking the sink.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import ModuleType
from typing import Any, Protocol

from pydantic import BaseModel

from config.contracts.sink import Batch, Shipment, Sink, Taken
from workers.testing.shipments import batches, document, shipment

Connect = Callable[[], AbstractAsyncContextManager[Sink]]


def flat(lists: list[list[bytes]]) -> list[bytes]:
    return [item for part in lists for item in part]


THREE = [[b'{"n":1}', b'{"n":2}'], [b'{"n":3}'], [b'{"n":4}', b'{"n":5}']]
ALL = flat(THREE)
ODD = [
    rb'{"nul":"\u0000","lone":"\ud800"}',
    '{"ß":"grüße 🎈","sep":"a\u2028b\u0085c"}'.encode(),
    b'{"big":' + b"9" * 5000 + b',"small":1E-400,"one":1.0}',
    b'{"b":{"a":[[],{}, [ {"x" : null} ]]},"a":1,"a":2}',
    b'"=cmd"',
    b"null",
]
PNG = b"\x89PNG\r\n\x1a\n\x00\xff" * 50_000


class FarSide(Protocol):
    """Where the sink's things arrive. One that de-duplicates by the sink's ids does so here."""

    def items(self, run: str, /) -> list[bytes]:
        """The items of a run, in order, each as the bytes that lie there."""
        ...

    def documents(self, run: str, /) -> list[bytes]:
        """The documents of a run, in the order of their keys."""
        ...


class SinkContract:
    """Inherit as `class TestX(SinkContract)`, with `module` set to the sink's module."""

    module: ModuleType
    options: BaseModel

    def tried_again(self, once: list[bytes], again: list[bytes]) -> list[bytes]:
        """What the far side holds if `again` was sent, not confirmed to the ledger, and sent again at the end."""
        return once

    def ship(self, run: str = "r1", stream: str = "items:default", **facts: Any) -> Shipment:
        return shipment(self.options, run=run, stream=stream, **facts)

    async def test_takes_every_item_in_order(self, connect: Connect, far_side: FarSide) -> None:
        async with connect() as sink:
            taken, _ = await send(sink, self.ship(), batches(*THREE))
        assert far_side.items("r1") == ALL
        assert [part.rows for part in taken] == [2, 1, 2, 0]
        assert all(part.bytes > 0 for part in taken[:3])

    async def test_counts_what_arrived_and_not_what_it_was_told(self, connect: Connect, far_side: FarSide) -> None:
        told_wrong = [Batch(index=0, offset=0, lines=b"1\n2\n3\n", count=99)]
        async with connect() as sink:
            taken, _ = await send(sink, self.ship(), told_wrong)
        assert sum(part.rows for part in taken) == len(far_side.items("r1")) == 3

    async def test_a_second_try_from_the_start_does_not_double(self, connect: Connect, far_side: FarSide) -> None:
        for _ in range(2):
            async with connect() as sink:
                await send(sink, self.ship(), batches(*THREE))
        assert far_side.items("r1") == self.tried_again(ALL, ALL)

    async def test_goes_on_at_a_position_in_another_instance(self, connect: Connect, far_side: FarSide) -> None:
        first, *rest = batches(*THREE)
        async with connect() as sink:
            _, position = await send(sink, self.ship(), [first], publish=False)
        async with connect() as sink:
            taken, _ = await send(sink, self.ship(), rest, position)
        assert far_side.items("r1") == ALL
        assert [part.rows for part in taken] == [1, 2, 0]

    async def test_what_was_written_after_the_last_checkpoint_is_not_there_twice(
        self, connect: Connect, far_side: FarSide
    ) -> None:
        first, *rest = batches(*THREE)
        async with connect() as sink:
            _, position = await send(sink, self.ship(), [first], publish=False)
            await send(sink, self.ship(), rest[:1], position, publish=False)
        async with connect() as sink:
            await send(sink, self.ship(), rest, position)
        assert far_side.items("r1") == self.tried_again(ALL, THREE[1])

    async def test_goes_on_after_every_batch(self, connect: Connect, far_side: FarSide) -> None:
        position = None
        for batch in batches(*THREE):
            async with connect() as sink:
                _, position = await send(sink, self.ship(), [batch], position, publish=False)
        async with connect() as sink:
            await send(sink, self.ship(), [], position)
        assert far_side.items("r1") == ALL

    async def test_publishing_again_after_a_crash_changes_nothing(self, connect: Connect, far_side: FarSide) -> None:
        async with connect() as sink:
            taken, _ = await send(sink, self.ship(), batches(*THREE))
        before_publish = stored(taken[-2])
        async with connect() as sink:
            again, _ = await send(sink, self.ship(), [], before_publish)
        assert far_side.items("r1") == ALL
        assert (again[-1].rows, again[-1].out) == (taken[-1].rows, taken[-1].out)

    async def test_an_empty_dataset_is_no_error(self, connect: Connect, far_side: FarSide) -> None:
        async with connect() as sink:
            taken, _ = await send(sink, self.ship(), [])
        assert far_side.items("r1") == []
        assert [part.rows for part in taken] == [0]

    async def test_odd_values_arrive_byte_for_byte(self, connect: Connect, far_side: FarSide) -> None:
        async with connect() as sink:
            await send(sink, self.ship(), batches(ODD))
        assert far_side.items("r1") == ODD

    async def test_takes_an_item_of_nine_megabytes(self, connect: Connect, far_side: FarSide) -> None:
        large = b'{"html":"' + b"x" * 9_000_000 + b'"}'
        async with connect() as sink:
            taken, _ = await send(sink, self.ship(), batches([large]))
        assert far_side.items("r1") == [large]
        assert taken[0].rows == 1

    async def test_serves_several_deliveries_at_once(self, connect: Connect, far_side: FarSide) -> None:
        runs = {run: tagged(run) for run in ("r1", "r2", "r3", "r4", "r5")}
        async with connect() as sink:
            await asyncio.gather(*(send(sink, self.ship(run), batches(*items)) for run, items in runs.items()))
        assert {run: far_side.items(run) for run in runs} == {run: flat(items) for run, items in runs.items()}

    async def test_takes_documents_as_they_are(self, connect: Connect, far_side: FarSide) -> None:
        async with connect() as sink:
            taken = await self.send_records(sink)
        assert far_side.documents("r1") == [b'{"a": 1}', PNG]
        assert [(part.rows, part.out) for part in taken] == [(1, 1), (1, 1)]

    async def test_documents_sent_again_are_there_once(self, connect: Connect, far_side: FarSide) -> None:
        for _ in range(2):
            async with connect() as sink:
                await self.send_records(sink)
        assert far_side.documents("r1") == [b'{"a": 1}', PNG]

    async def send_records(self, sink: Sink) -> list[Taken]:
        async with sink.open(self.ship(stream="records"), None) as writer:
            taken = [
                await writer.document(document("A-OUTPUT", "application/json; charset=utf-8", b'{"a"', b": 1}")),
                await writer.document(document("B-SHOT", "image/png", PNG[:7], PNG[7:])),
            ]
            await writer.publish()
        return taken


async def send(
    sink: Sink,
    shipped: Shipment,
    parts: list[Batch],
    position: dict[str, Any] | None = None,
    *,
    publish: bool = True,
) -> tuple[list[Taken], dict[str, Any] | None]:
    """Carry out one slice. Returns what was taken and the position the ledger would hold."""
    taken: list[Taken] = []
    async with sink.open(shipped, position) as writer:
        assert (writer.position is None) == (position is None)
        for batch in parts:
            taken.append(await writer.items(batch))
        if publish:
            taken.append(await writer.publish())
    return taken, stored(taken[-1]) if taken else position


def stored(taken: Taken) -> dict[str, Any] | None:
    """The position as the ledger gives it back: through JSON."""
    position: dict[str, Any] | None = json.loads(json.dumps(taken.position))
    return position


def tagged(run: str) -> list[list[bytes]]:
    """Items of a run that say whose they are."""
    return [[b'{"of":"%s","n":%d}' % (run.encode(), 10 * batch + n) for n in range(3)] for batch in range(4)]
