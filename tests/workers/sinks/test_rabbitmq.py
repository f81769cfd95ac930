import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from pydantic import ValidationError

from config.contracts.errors import Forbidden, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Rejected, Sink, Taken
from tests.services import free_port
from tests.services.rabbitmq import MAX_MESSAGE, Broker, rabbitmq
from workers.sinks import _rabbitmq_broker, _tally
from workers.sinks import rabbitmq as sink_module
from workers.testing.contract import ALL, PNG, THREE, Connect, SinkContract, send
from workers.testing.servers import SECRET, ServerContract, silent_server
from workers.testing.shipments import around, batches, document, shipment

pytestmark = pytest.mark.services

T = TypeVar("T")
QUEUE = "results"


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with rabbitmq() as one:
        yield one


class Queues:
    """What a reader of a queue gets. It remembers ids, as the sink's summary tells it to."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.got: list[AbstractIncomingMessage] = []

    def items(self, run: str) -> list[bytes]:
        return [one.body for one in self.unique(run)]

    def documents(self, run: str) -> list[bytes]:
        return [one.body for one in sorted(self.unique(run), key=lambda one: str(one.headers["runrelay-record"]))]

    def unique(self, run: str) -> list[AbstractIncomingMessage]:
        firsts = {one.message_id: one for one in reversed(self.read())}
        mine = {id(one) for one in firsts.values() if one.headers["runrelay-run"] == run}
        return [one for one in self.got if id(one) in mine]

    def read(self, queue: str = QUEUE) -> list[AbstractIncomingMessage]:
        """All messages that ever lay there, in order."""

        async def drain(channel: AbstractChannel) -> None:
            found = await channel.get_queue(queue, ensure=False)
            while (one := await found.get(fail=False, no_ack=True)) is not None:
                self.got.append(one)

        self.do(drain)
        return self.got

    def do(self, work: Callable[[AbstractChannel], Coroutine[Any, Any, T]]) -> T:
        """On a channel of our own, in a loop of our own."""

        async def connected() -> T:
            async with await aio_pika.connect(self.url) as connection:
                return await work(await connection.channel())

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(connected())).result()

    def declare(self, name: str = QUEUE, **arguments: Any) -> None:
        async def declare(channel: AbstractChannel) -> None:
            await channel.queue_delete(name)
            await channel.declare_queue(name, durable=True, arguments=arguments)

        self.do(declare)


@pytest.fixture
def far_side(broker: Broker) -> Queues:
    queues = Queues(broker.url())
    queues.declare(**{"x-queue-type": "quorum"})
    return queues


def opened(url: str, spool: Path, **options: Any) -> AbstractAsyncContextManager[Sink]:
    config = sink_module.Config.model_validate({"url": url, **options})
    return sink_module.connect(config, around(spool))


@pytest.fixture
def connect(broker: Broker, far_side: Queues, tmp_path: Path) -> Connect:
    return lambda: opened(broker.url(), tmp_path)


def into(**options: Any) -> sink_module.Target:
    return sink_module.Target.model_validate(options)


class TestRabbit(SinkContract, ServerContract):
    module = sink_module
    options = into(queue=QUEUE)

    @pytest.fixture
    def down(self, tmp_path: Path) -> Connect:
        return lambda: opened(f"amqp://guest:{SECRET}@127.0.0.1:{free_port()}/", tmp_path)

    @pytest.fixture
    def refused(self, broker: Broker, tmp_path: Path) -> Connect:
        return lambda: opened(f"amqp://guest@127.0.0.1:{broker.port}/", tmp_path, password=SECRET)

    @pytest.fixture
    async def silent(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(_rabbitmq_broker, "CONNECTING", 0.3)
        async with silent_server() as port:
            yield lambda: opened(f"amqp://guest:{SECRET}@127.0.0.1:{port}/", tmp_path)


class TestMessages:
    async def test_a_message_says_what_it_is(self, connect: Connect, far_side: Queues) -> None:
        async with connect() as sink:
            await send(sink, shipment(into(queue=QUEUE)), batches([b'{"n": 1}']))
        (one,) = far_side.read()
        delivery = shipment(into(queue=QUEUE)).delivery.id
        assert (one.body, one.message_id, one.content_type) == (
            b'{"n": 1}',
            f"{delivery}:items:default:0",
            "application/json",
        )
        assert (one.delivery_mode, one.app_id) == (2, "runrelay")
        assert one.headers["runrelay-id"] == one.message_id
        assert (one.headers["runrelay-run"], one.headers["runrelay-item"]) == ("r1", "0")

    async def test_a_batch_is_one_message(self, connect: Connect, far_side: Queues) -> None:
        async with connect() as sink:
            taken, _ = await send(sink, shipment(into(queue=QUEUE, per="batch")), batches(*THREE))
        assert far_side.items("r1") == [b"[" + b",".join(part) + b"]" for part in THREE]
        assert [(part.rows, part.out) for part in taken] == [(2, 1), (1, 1), (2, 1), (0, 0)]

    async def test_an_exchange_routes_by_what_the_item_says(self, connect: Connect, far_side: Queues) -> None:
        bind(far_side, "products", "shop.de")
        options = into(exchange="products", routing_key="shop.{{ item.country }}")
        items = [b'{"country":"de","n":1}', b'{"country":"de","n":2}', b'{"country":"%s"}' % (b"x" * 300)]
        async with connect() as sink:
            taken, _ = await send(sink, shipment(options), batches(items))
        assert far_side.items("r1") == items[:2]
        assert taken[0] == Taken(2, 2, 44, {"batches": 1}, (Rejected(2, "its routing key is longer than 255 bytes"),))

    async def test_a_queue_is_declared_if_it_is_asked_for(
        self, connect: Connect, far_side: Queues, broker: Broker
    ) -> None:
        options = into(queue="ours", declare=True)
        async with connect() as sink:
            await send(sink, shipment(options), batches(*THREE))
            await send(sink, shipment(options, run="r2"), batches(*THREE))
        assert "ours\tquorum\ttrue" in broker.control("list_queues", "name", "type", "durable")
        assert len(far_side.read("ours")) == 10

    async def test_a_queue_that_is_there_stays_what_it_is(
        self, connect: Connect, far_side: Queues, broker: Broker
    ) -> None:
        far_side.declare("older")
        async with connect() as sink:
            await send(sink, shipment(into(queue="older", declare=True)), batches(*THREE))
        assert "older\tclassic" in broker.control("list_queues", "name", "type")
        assert len(far_side.read("older")) == 5

    async def test_what_takes_long_is_left_for_another_call(
        self, connect: Connect, far_side: Queues, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_tally, "ENOUGH", 0.0)
        monkeypatch.setattr(_tally, "WINDOW", 2)
        (batch,) = batches(ALL)
        async with connect() as sink, sink.open(shipment(into(queue=QUEUE)), None) as writer:
            first = await writer.items(batch)
            assert (first.rows, first.left) == (2, 3)
            second = await writer.items(batch.after(2))
            assert (second.rows, second.left) == (2, 1)
        assert far_side.items("r1") == ALL[:4]

    async def test_a_message_the_broker_finds_too_large_is_rejected_alone(
        self, broker: Broker, far_side: Queues, tmp_path: Path
    ) -> None:
        large = b'"%s"' % (b"x" * MAX_MESSAGE)
        async with opened(broker.url(), tmp_path, max_message="64MiB") as sink:
            taken, _ = await send(sink, shipment(into(queue=QUEUE)), batches([b"1", large, b"2"]))
            again, _ = await send(sink, shipment(into(queue=QUEUE), run="r2"), batches([large]))
            async with sink.open(shipment(into(queue=QUEUE), stream="records"), None) as writer:
                document_taken = await writer.document(document("A", "image/png", PNG, large))
        why = f"a message of {MAX_MESSAGE + 2} bytes, and {MAX_MESSAGE} is the most"
        assert (taken[0].rows, taken[0].rejected) == (2, (Rejected(1, why),))
        assert again[0].rejected == (Rejected(0, why),)
        assert document_taken.rows == 0
        assert len(document_taken.rejected) == 1
        assert far_side.items("r1") == [b"1", b"2"]


class TestTrouble:
    @pytest.mark.parametrize(
        ("url", "options", "kind", "reason", "line"),
        [
            (
                "guest:wrong@{host}/",
                {"queue": QUEUE},
                Unauthorized,
                Reason.TOKEN_REFUSED,
                'RabbitMQ refused the name or password of the user "guest": mend `url` or `password`',
            ),
            (
                "guest:guest@{host}/nowhere",
                {"queue": QUEUE},
                Unauthorized,
                Reason.TARGET_REFUSED,
                'RabbitMQ did not let the user "guest" into the virtual host "nowhere": `rabbitmqctl add_vhost` makes '
                'it, `rabbitmqctl set_permissions -p "nowhere"` lets somebody in',
            ),
            (
                "poor:poor@{host}/",
                {"queue": QUEUE},
                Forbidden,
                Reason.TARGET_REFUSED,
                'the user "poor" may not write to the default exchange: `rabbitmqctl set_permissions -p "/"` with it '
                "in `write`",
            ),
            (
                "guest:guest@{host}/",
                {"exchange": "missing", "routing_key": "a"},
                Forbidden,
                Reason.TARGET_REFUSED,
                "RabbitMQ says NOT_FOUND - no exchange 'missing' in vhost '/': declare it, or mend the target",
            ),
            (
                "guest:guest@{host}/",
                {"queue": "missing"},
                Forbidden,
                Reason.TARGET_REFUSED,
                'the default exchange has no queue for the routing key "missing": declare one and bind it',
            ),
            (
                "guest:guest@{host}/",
                {"exchange": "amq.topic", "routing_key": "a.{{ item.n }}"},
                Forbidden,
                Reason.TARGET_REFUSED,
                'the exchange "amq.topic" has no queue for the routing key "a.1": declare one and bind it',
            ),
            (
                "guest:guest@{host}/",
                {"queue": "full"},
                Transient,
                Reason.TARGET_UNAVAILABLE,
                "a queue takes no more messages: it is full until somebody reads it",
            ),
        ],
    )
    async def test_each_mistake_has_its_verdict_and_its_cure(
        self,
        broker: Broker,
        far_side: Queues,
        tmp_path: Path,
        url: str,
        options: dict[str, Any],
        kind: type[WorkError],
        reason: Reason,
        line: str,
    ) -> None:
        if "poor" in url:
            broker.control("add_user", "poor", "poor")
            broker.control("set_permissions", "poor", "^$", "^ours$", ".*")
        if options.get("queue") == "full":
            far_side.declare("full", **{"x-max-length": 1, "x-overflow": "reject-publish"})
        with pytest.raises(WorkError) as raised:
            async with opened(f"amqp://{url.format(host=f'127.0.0.1:{broker.port}')}", tmp_path) as sink:
                await send(sink, shipment(into(**options)), batches(*THREE))
        assert (type(raised.value), raised.value.reason, raised.value.detail) == (kind, reason, line)

    async def test_a_broker_without_memory_holds_nobody(
        self, broker: Broker, connect: Connect, far_side: Queues, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_rabbitmq_broker, "CONFIRMING", 0.5)
        monkeypatch.setattr(_rabbitmq_broker, "LEAVING", 0.1)
        broker.control("set_vm_memory_high_watermark", "absolute", "1")
        try:
            with pytest.raises(Transient) as raised:
                async with connect() as sink:
                    await send(sink, shipment(into(queue=QUEUE)), batches(*THREE))
        finally:
            broker.control("set_vm_memory_high_watermark", "absolute", "2GB")
        assert raised.value.detail == (
            "RabbitMQ did not answer in time: see `rabbitmqctl status`, for an alarm of memory or disk, too"
        )

    async def test_a_broker_that_says_nothing_more_holds_nobody(
        self, broker: Broker, connect: Connect, far_side: Queues, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second, _ = batches(*THREE)
        async with connect() as sink, sink.open(shipment(into(queue=QUEUE)), None) as writer:
            await writer.items(first)
            with monkeypatch.context() as patch, broker.service.asleep():
                patch.setattr(_rabbitmq_broker, "CONNECTING", 0.2)
                patch.setattr(_rabbitmq_broker, "LEAVING", 0.1)
                with pytest.raises(Transient) as raised:
                    await writer.items(second)
            assert raised.value.detail.startswith("RabbitMQ did not answer in time")
            await writer.items(second)
        assert far_side.items("r1") == ALL[:3]

    async def test_the_client_prints_no_lines_of_its_own(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(Transient):
            async with opened(f"amqp://guest@127.0.0.1:{free_port()}/", tmp_path) as sink:
                await send(sink, shipment(into(queue=QUEUE)), batches(*THREE))
        logging.getLogger("aiormq.connection").error("error when creating transport")
        logging.getLogger("aio_pika.channel").warning("closing")
        assert caplog.messages == []

    async def test_a_broker_that_was_restarted_is_found_again(
        self, broker: Broker, connect: Connect, far_side: Queues
    ) -> None:
        first, second, _ = batches(*THREE)
        async with connect() as sink, sink.open(shipment(into(queue=QUEUE)), None) as writer:
            await writer.items(first)
            broker.service.stop()
            with pytest.raises(Transient) as raised:
                await writer.items(second)
            assert raised.value.detail.startswith(f"no connection to RabbitMQ at 127.0.0.1:{broker.port} (")
            assert raised.value.detail.endswith("): is it up? If so, mend `url`")
            broker.service.start()
            await until_taken(writer.items, second)
        assert far_side.items("r1") == ALL[:3]


class TestCheck:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"queue": QUEUE}, None),
            ({"queue": "none", "declare": True}, None),
            ({"exchange": "amq.topic"}, None),
            ({"queue": "none"}, "NOT_FOUND - no queue 'none' in vhost '/'"),
            ({"exchange": "none"}, "NOT_FOUND - no exchange 'none' in vhost '/'"),
        ],
    )
    async def test_it_looks_for_the_queue_or_exchange(
        self, broker: Broker, far_side: Queues, tmp_path: Path, options: dict[str, Any], said: str | None
    ) -> None:
        async with opened(broker.url(), tmp_path) as sink:
            assert isinstance(sink, sink_module.RabbitSink)
            if said is None:
                await sink.check(into(**options))
                return
            with pytest.raises(Forbidden) as raised:
                await sink.check(into(**options))
        assert raised.value.detail == f"RabbitMQ says {said}: declare it, or mend the target"


class TestOptions:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"exchange": "a", "queue": "b"},
            {"queue": "a", "routing_key": "b"},
            {"exchange": "a", "declare": True},
            {"exchange": "a", "routing_key": "{{ item.x }}", "per": "batch"},
        ],
    )
    def test_options_that_contradict_each_other_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            into(**options)

    @pytest.mark.parametrize("url", ["http://a", "amqp:///v", "amqp://h/v?heartbeat=1", "", "amqp://h:x/"])
    def test_a_url_that_cannot_be_used_is_refused_without_being_told(self, url: str) -> None:
        with pytest.raises(ValidationError, match="write it as amqp://user@host:5672/vhost"):
            sink_module.Config.model_validate({"url": url})


def bind(far_side: Queues, exchange: str, key: str) -> None:
    async def declare(channel: AbstractChannel) -> None:
        made = await channel.declare_exchange(exchange, "direct", durable=True)
        await (await channel.get_queue(QUEUE, ensure=False)).bind(made, key)

    far_side.do(declare)


async def until_taken(items: Callable[[Batch], Coroutine[Any, Any, Taken]], batch: Batch) -> Taken:
    """A quorum queue elects its leader anew after a restart: as the worker does, try again."""
    for _ in range(100):
        try:
            return await items(batch)
        except Transient:
            await asyncio.sleep(0.1)
    return await items(batch)
