"""The contract is worth something only if it goes red: each fault is planted in a small sink that else keeps it."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from config.contracts.document import Document
from config.contracts.sink import Batch, Shipment, Sink, Taken, Writer
from tests.workers.sinks.far_server import far_server
from workers.sinks import http
from workers.testing.contract import Connect, FarSide, SinkContract
from workers.testing.shipments import around


class Shelf:
    """A far side that keeps what it is given under an id: what comes twice under one id is there once."""

    def __init__(self) -> None:
        self.batches: dict[tuple[str, str], list[bytes]] = {}
        self.bodies: dict[tuple[str, str], bytes] = {}

    def items(self, run: str) -> list[bytes]:
        return [item for (of, _), items in self.batches.items() if of == run for item in items]

    def documents(self, run: str) -> list[bytes]:
        return [body for (of, _), body in self.bodies.items() if of == run]


class PlantedSink:
    """Puts things on a shelf, with one fault or none."""

    def __init__(self, shelf: Shelf, fault: str) -> None:
        self.shelf, self.fault = shelf, fault

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        yield PlantedWriter(self, shipment.run.id, position)


class PlantedWriter:
    def __init__(self, sink: PlantedSink, run: str, position: dict[str, Any] | None) -> None:
        self.shelf, self.fault, self.run = sink.shelf, sink.fault, run
        self.position = None if self.fault == "forgets its position" else position

    async def items(self, batch: Batch) -> Taken:
        items = self.harmed(batch.items())
        id = uuid.uuid4().hex if self.fault == "doubles on a second try" else f"{batch.index:09}"
        self.shelf.batches[self.run, id] = items
        if self.fault == "mixes up deliveries":
            self.shelf.batches = {("r1", key): kept for (_, key), kept in self.shelf.batches.items()}
        rows = batch.count if self.fault == "counts what it was handed" else len(items)
        return Taken(rows=rows, out=1, bytes=len(batch.lines), position={"batches": batch.index + 1})

    def harmed(self, items: list[bytes]) -> list[bytes]:
        if self.fault == "drops one item of a batch":
            return items[1:]
        if self.fault == "loses order":
            return items[::-1]
        if self.fault == "cuts large items":
            return [item[:1_000_000] for item in items]
        if self.fault == "reads and writes JSON again":
            return [item.replace(b"\\u0000", b"").replace(b" ", b"") for item in items]
        return items

    async def document(self, document: Document) -> Taken:
        id = uuid.uuid4().hex if self.fault == "doubles on a second try" else document.key
        chunks = [chunk async for chunk in document.chunks]
        body = chunks[0] if self.fault == "keeps the first chunk" else b"".join(chunks)
        self.shelf.bodies[self.run, id] = body
        return Taken(rows=1, out=1, bytes=len(body), position={})

    async def publish(self) -> Taken:
        if self.fault == "makes up a row for an empty stream" and not self.shelf.items(self.run):
            self.shelf.batches[self.run, "made up"] = [b"{}"]
        if self.fault == "publishes twice":
            self.shelf.batches[self.run, uuid.uuid4().hex] = self.shelf.items(self.run)[-1:]
        return Taken(rows=0, out=0, bytes=0, position=self.position or {})


def planted(shelf: Shelf, fault: str = "") -> Connect:
    @asynccontextmanager
    async def connect() -> AsyncIterator[Sink]:
        yield PlantedSink(shelf, fault)

    return connect


class Options(BaseModel):
    pass


class TestWithoutFault(SinkContract):
    module = ModuleType("planted")
    options = Options()

    @pytest.fixture
    def far_side(self) -> Shelf:
        return Shelf()

    @pytest.fixture
    def connect(self, far_side: Shelf) -> Connect:
        return planted(far_side)


Promise = Callable[[SinkContract, Connect, FarSide], Awaitable[None]]


@pytest.mark.parametrize(
    ("fault", "promise"),
    [
        ("drops one item of a batch", SinkContract.test_takes_every_item_in_order),
        ("drops one item of a batch", SinkContract.test_counts_what_arrived_and_not_what_it_was_told),
        ("loses order", SinkContract.test_takes_every_item_in_order),
        ("counts what it was handed", SinkContract.test_counts_what_arrived_and_not_what_it_was_told),
        ("doubles on a second try", SinkContract.test_a_second_try_from_the_start_does_not_double),
        ("doubles on a second try", SinkContract.test_what_was_written_after_the_last_checkpoint_is_not_there_twice),
        ("doubles on a second try", SinkContract.test_documents_sent_again_are_there_once),
        ("forgets its position", SinkContract.test_goes_on_at_a_position_in_another_instance),
        ("forgets its position", SinkContract.test_goes_on_after_every_batch),
        ("publishes twice", SinkContract.test_publishing_again_after_a_crash_changes_nothing),
        ("makes up a row for an empty stream", SinkContract.test_an_empty_dataset_is_no_error),
        ("reads and writes JSON again", SinkContract.test_odd_values_arrive_byte_for_byte),
        ("cuts large items", SinkContract.test_takes_an_item_of_nine_megabytes),
        ("mixes up deliveries", SinkContract.test_serves_several_deliveries_at_once),
        ("keeps the first chunk", SinkContract.test_takes_documents_as_they_are),
    ],
)
async def test_the_contract_goes_red_when_a_sink(fault: str, promise: Promise) -> None:
    shelf = Shelf()
    with pytest.raises(AssertionError):
        await promise(TestWithoutFault(), planted(shelf, fault), shelf)


def test_every_promise_has_been_seen_red() -> None:
    marks = test_the_contract_goes_red_when_a_sink.pytestmark  # type: ignore[attr-defined]  # put there by pytest
    seen = {promise.__name__ for _, promise in marks[0].args[1]}
    assert seen == {name for name in dir(SinkContract) if name.startswith("test_")}


async def test_the_contract_goes_red_when_the_attempt_is_in_the_key(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def per_attempt(self: http.HttpSink, id: str, body: Any) -> dict[str, str]:
        return {"Idempotency-Key": f"{id}:{uuid.uuid4().hex}"}

    monkeypatch.setattr(http.HttpSink, "_identity", per_attempt)
    async with far_server() as server:

        def connect() -> AbstractAsyncContextManager[Sink]:
            return http.connect(http.Config.model_validate({"url": server.url}), around(tmp_path))

        with pytest.raises(AssertionError):
            await TestWithoutFault().test_a_second_try_from_the_start_does_not_double(connect, server)
