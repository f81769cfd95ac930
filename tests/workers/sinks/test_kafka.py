import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition, errors
from confluent_kafka import Producer
from pydantic import ValidationError

from config.contracts.errors import Forbidden, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Checked, Rejected, Sink, Taken
from console.servers.tansu import TansuServer, embedded_tansu
from tests.workers.sinks.lists import split
from workers.sinks import _kafka_link, kafka
from workers.sinks._kafka_link import verdict
from workers.sinks.kafka import Target
from workers.testing.contract import ALL, PNG, THREE, Connect, SinkContract, send
from workers.testing.servers import SECRET, ServerContract, silent_server
from workers.testing.shipments import around, batches, document, shipment

PRODUCTS = Target(topic="products")
LISTS = Target(topic="products", per="batch")
MOST = "16MiB"
END = b"the end"


@dataclass
class FarRecord:
    partition: int
    key: bytes | None
    value: bytes
    headers: dict[str, str] = field(default_factory=dict)


class FarTopic:
    """What lies in the topic `products`, by another client. One that is there twice counts once, by its id."""

    def __init__(self, servers: str) -> None:
        self.servers = servers

    def records(self) -> list[FarRecord]:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, self.read()).result()

    async def read(self) -> list[FarRecord]:
        """Up to an end that we put there: Tansu's own word for where that is may be one too low."""
        async with (
            AIOKafkaProducer(bootstrap_servers=self.servers) as writer,
            AIOKafkaConsumer(bootstrap_servers=self.servers, max_partition_fetch_bytes=30_000_000) as reader,
        ):
            parts = sorted(await writer.partitions_for("products"))
            for part in parts:
                await writer.send_and_wait("products", END, partition=part)
            return [one for part in parts for one in await _of(reader, TopicPartition("products", part))]

    def unique(self, run: str) -> list[FarRecord]:
        found = {one.headers["runrelay-id"]: one for one in reversed(self.records())}
        return [one for one in reversed(found.values()) if one.headers["runrelay-run"] == run]

    def items(self, run: str) -> list[bytes]:
        return [one.value for one in self.unique(run)]

    def documents(self, run: str) -> list[bytes]:
        return [one.value for one in sorted(self.unique(run), key=lambda one: one.headers["runrelay-record"])]


class FarLists(FarTopic):
    def items(self, run: str) -> list[bytes]:
        return [item for one in self.unique(run) for item in split(one.value)]


async def _of(reader: AIOKafkaConsumer, place: TopicPartition) -> list[FarRecord]:
    reader.assign([place])
    await reader.seek_to_beginning(place)
    found = []
    while (one := await asyncio.wait_for(reader.getone(place), 5)).headers or one.value != END:
        if one.headers:
            headers = {name: value.decode() for name, value in one.headers}
            found.append(FarRecord(one.partition, one.key, one.value, headers))
    return found


@pytest.fixture
def server() -> Iterator[TansuServer]:
    """A broker for one test: it starts within 50 ms."""
    with embedded_tansu() as server:
        server.topic("products", partitions=3)
        yield server


@pytest.fixture
def far_side(server: TansuServer) -> FarTopic:
    return FarTopic(server.bootstrap)


@pytest.fixture
def connect(server: TansuServer, tmp_path: Path) -> Connect:
    return lambda: opened(server.bootstrap, tmp_path)


def opened(servers: str, spool: Path, **options: Any) -> AbstractAsyncContextManager[Sink]:
    wanted = {"servers": servers, "idempotent": False, "max_message": MOST, **options}
    return kafka.connect(kafka.Config(**wanted), around(spool))


class TestItems(SinkContract, ServerContract):
    module = kafka
    options = PRODUCTS

    @pytest.fixture
    def down(self, tmp_path: Path) -> Connect:
        return lambda: opened("127.0.0.1:1", tmp_path)

    @pytest.fixture
    def refused(self, tmp_path: Path) -> Iterator[Connect]:
        login = {"username": "relay", "password": SECRET, "mechanism": "SCRAM-SHA-512"}
        with embedded_tansu("--authentication") as server:
            yield lambda: opened(server.bootstrap, tmp_path, **login)

    @pytest.fixture
    async def silent(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connect]:
        monkeypatch.setattr(_kafka_link, "CONNECTING", 0.5)
        async with silent_server() as port:
            yield lambda: opened(f"127.0.0.1:{port}", tmp_path)


class TestLists(SinkContract):
    module = kafka
    options = LISTS

    @pytest.fixture
    def far_side(self, server: TansuServer) -> FarLists:
        return FarLists(server.bootstrap)


class TestIdempotent(SinkContract):
    """Against librdkafka's mock cluster, which knows idempotent producers."""

    module = kafka
    options = PRODUCTS

    @pytest.fixture
    def mock(self) -> Iterator[str]:
        cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "x", "log_level": 0})
        broker = next(iter(cluster.list_topics(timeout=5).brokers.values()))
        yield f"{broker.host}:{broker.port}"
        cluster.flush(1)

    @pytest.fixture
    def far_side(self, mock: str) -> FarTopic:
        return FarTopic(mock)

    @pytest.fixture
    def connect(self, mock: str, tmp_path: Path) -> Connect:
        return lambda: opened(mock, tmp_path, idempotent=True)

    async def test_takes_an_item_of_nine_megabytes(self, connect: Connect, far_side: FarTopic) -> None:  # type: ignore[override]  # a narrower far side
        """The mock takes it, but hands out no record of that size."""
        async with connect() as sink:
            taken, _ = await send(sink, self.ship(), batches([b'"%s"' % (b"x" * 9_000_000)]))
        assert taken[0].rows == 1


class TestRecords:
    async def test_a_record_says_where_it_comes_from(self, connect: Connect, far_side: FarTopic) -> None:
        shipped = shipment(PRODUCTS)
        async with connect() as sink:
            taken, _ = await send(sink, shipped, batches(*THREE))
        assert taken[0] == Taken(rows=2, out=2, bytes=14, position={"documents": 0})
        records = far_side.records()
        assert records[2] == FarRecord(
            records[0].partition,
            b"r1",
            b'{"n":3}',
            {
                "content-type": "application/json",
                "runrelay-id": f"{shipped.delivery.id}:items:default:2",
                "runrelay-delivery": shipped.delivery.id,
                "runrelay-route": "all",
                "runrelay-target": "out",
                "runrelay-stream": "items:default",
                "runrelay-source": "platform",
                "runrelay-run": "r1",
                "runrelay-actor": "",
                "runrelay-item": "2",
            },
        )

    @pytest.mark.parametrize(
        ("key", "keys"),
        [
            ("{{ item.url }}", [b"a", b"b", b"a", None]),
            ("", [None] * 4),
            ("all of {{ run.id }}", [b"all of r1"] * 4),
        ],
    )
    async def test_the_key_is_what_the_target_says(
        self, connect: Connect, far_side: FarTopic, key: str, keys: list[bytes | None]
    ) -> None:
        items = [b'{"url":"a"}', b'{"url":"b"}', b'{"url":"a"}', b'{"other":1}']
        async with connect() as sink:
            await send(sink, shipment(Target(topic="products", key=key)), batches(items))
        records = far_side.records()
        assert {one.value: one.key for one in records} == dict(zip(items, keys, strict=True))
        assert len({one.partition for one in records if one.key == b"a"}) <= 1

    async def test_an_item_whose_key_cannot_be_made_is_rejected(self, connect: Connect, far_side: FarTopic) -> None:
        options = Target(topic="products", key="{{ item.n - 1 }}")
        async with connect() as sink:
            taken, _ = await send(sink, shipment(options), batches([b'{"n":1}', b'{"n":"x"}']))
        assert ([one.key for one in far_side.records()], [one.offset for one in taken[0].rejected]) == ([b"0"], [1])

    async def test_a_document_keeps_its_name_and_type(self, connect: Connect, far_side: FarTopic) -> None:
        async with connect() as sink, sink.open(shipment(PRODUCTS, stream="records"), None) as writer:
            await writer.document(document("SHÖT", "image/png", PNG))
        (record,) = far_side.records()
        assert (record.headers["runrelay-record"], record.headers["content-type"]) == ("SH%C3%96T", "image/png")

    async def test_records_may_be_packed(self, server: TansuServer, far_side: FarTopic, tmp_path: Path) -> None:
        async with opened(server.bootstrap, tmp_path, compress="gzip") as sink:
            await send(sink, shipment(PRODUCTS), batches(*THREE))
        assert far_side.items("r1") == ALL


class TestTooLarge:
    async def test_what_is_larger_than_we_may_send_is_rejected(
        self, server: TansuServer, far_side: FarTopic, tmp_path: Path
    ) -> None:
        items = [b'"a"', b'"%s"' % (b"x" * 2000), b'"c"']
        async with opened(server.bootstrap, tmp_path, max_message="1kB") as sink:
            taken, _ = await send(sink, shipment(PRODUCTS), batches(items))
            lists, _ = await send(sink, shipment(LISTS, route="lists"), batches([b'"%s"' % (b"y" * 400)] * 4))
        assert far_side.items("r1")[:2] == [b'"a"', b'"c"']
        assert taken[0].rejected == (Rejected(1, "a message of 2002 bytes, and 1000 is the most"),)
        assert (lists[0].rows, lists[0].out) == (4, 2)

    async def test_a_list_that_the_broker_refuses_is_halved_until_it_takes_it(
        self, server: TansuServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Tansu takes everything: the client is told to refuse what a broker with `max.message.bytes=100` would."""
        send_on = AIOKafkaProducer.send

        async def refusing(self: Any, topic: str, value: bytes, *more: Any, **named: Any) -> Any:
            if len(value) <= 100:
                return await send_on(self, topic, value, *more, **named)
            answer = asyncio.get_running_loop().create_future()
            answer.set_exception(errors.MessageSizeTooLargeError())
            return answer

        monkeypatch.setattr(AIOKafkaProducer, "send", refusing)
        items = [b'"%d"' % n for n in range(20)]
        items[7] = b'"%s"' % (b"x" * 200)
        async with opened(server.bootstrap, tmp_path) as sink:
            taken, _ = await send(sink, shipment(LISTS), batches(items))
        why = "the broker takes no message of 204 bytes: raise `max.message.bytes`"
        assert taken[0].rejected == (Rejected(7, why),)
        assert taken[0].rows == 19
        assert FarLists(server.bootstrap).items("r1") == items[:7] + items[8:]


class TestTrouble:
    async def test_a_connected_sink_goes_on_after_its_broker_came_back(
        self, server: TansuServer, far_side: FarTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What it held in memory is gone with it."""
        monkeypatch.setattr(kafka, "ANSWERING", 1.0)
        first, second, third = batches(*THREE)
        async with opened(server.bootstrap, tmp_path) as sink, sink.open(shipment(PRODUCTS), None) as writer:
            await writer.items(first)
            server.kill()
            with pytest.raises(Transient):
                await writer.items(second)
            server.start()
            server.topic("products", partitions=3)
            await writer.items(second)
            await writer.items(third)
        assert far_side.items("r1") == ALL[2:]

    async def test_a_broker_without_idempotent_producers(self, server: TansuServer, tmp_path: Path) -> None:
        async with opened(server.bootstrap, tmp_path, idempotent=True) as sink:
            with pytest.raises(Unauthorized) as raised:
                await send(sink, shipment(PRODUCTS), batches(*THREE))
        assert raised.value.detail == "the broker has no idempotent producers: say `idempotent: false`"

    async def test_a_topic_that_cannot_be_found_because_nobody_answers(
        self, server: TansuServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kafka, "ANSWERING", 1.0)
        async with opened(server.bootstrap, tmp_path) as sink:
            await send(sink, shipment(PRODUCTS), batches(*THREE))
            server.kill()
            with pytest.raises(Transient):
                await send(sink, shipment(Target(topic="others")), batches(*THREE))

    async def test_a_broker_that_knows_no_such_login(self, server: TansuServer, tmp_path: Path) -> None:
        async with opened(server.bootstrap, tmp_path, username="relay", password=SECRET) as sink:
            with pytest.raises(Unauthorized) as raised:
                await send(sink, shipment(PRODUCTS), batches(*THREE))
        assert raised.value.reason is Reason.TOKEN_REFUSED

    async def test_check_looks_for_the_topic_and_makes_none(self, connect: Connect) -> None:
        async with connect() as sink:
            assert isinstance(sink, Checked)
            await sink.check(PRODUCTS)
            for _ in range(2):
                with pytest.raises(Unauthorized) as raised:
                    await sink.check(Target(topic="nowhere"))
        line = "there is no topic 'nowhere': kafka-topics.sh --create --topic nowhere, or name another `topic`"
        assert (raised.value.reason, raised.value.detail) == (Reason.TARGET_REFUSED, line)

    async def test_a_name_that_no_topic_can_have(self, connect: Connect) -> None:
        async with connect() as sink:
            with pytest.raises(Permanent, match="is no topic"):
                await send(sink, shipment(Target(topic="a b")), batches(*THREE))

    @pytest.mark.parametrize(
        ("said", "kind", "reason", "line"),
        [
            (
                errors.SaslAuthenticationFailed(SECRET),
                Unauthorized,
                Reason.TOKEN_REFUSED,
                "the broker refuses our credentials: mend `username`, `password` and `mechanism`",
            ),
            (
                errors.UnknownTopicOrPartitionError(),
                Unauthorized,
                Reason.TARGET_REFUSED,
                "there is no topic 'products': kafka-topics.sh --create --topic products, or name another `topic`",
            ),
            (
                errors.TopicAuthorizationFailedError("products"),
                Forbidden,
                Reason.TARGET_REFUSED,
                "we may not write to 'products': "
                "kafka-acls.sh --add --allow-principal User:… --operation Write --topic products",
            ),
            (
                errors.KafkaConnectionError("Unable to bootstrap"),
                Transient,
                Reason.TARGET_UNAVAILABLE,
                "no answer of the brokers at kafka-1:9092, kafka-2:9092: none of `servers` takes a connection: "
                "are they up? If so, mend `servers`",
            ),
            (
                errors.KafkaTimeoutError(),
                Transient,
                Reason.TARGET_UNAVAILABLE,
                "no answer of the brokers at kafka-1:9092, kafka-2:9092: KafkaTimeoutError: "
                "are they up? If so, mend `servers`",
            ),
            (
                errors.RequestTimedOutError(),
                Transient,
                Reason.TARGET_UNAVAILABLE,
                "no answer of the brokers at kafka-1:9092, kafka-2:9092: [Error 7] RequestTimedOutError: "
                "are they up? If so, mend `servers`",
            ),
            (
                TimeoutError(),
                Transient,
                Reason.TARGET_UNAVAILABLE,
                "no answer of the brokers at kafka-1:9092, kafka-2:9092: it took too long: "
                "are they up? If so, mend `servers`",
            ),
            (
                errors.NotEnoughReplicasError(),
                Transient,
                Reason.TARGET_UNAVAILABLE,
                "the brokers cannot take it now: [Error 19] NotEnoughReplicasError",
            ),
            (
                errors.OutOfOrderSequenceNumber(),
                Transient,
                Reason.TARGET_UNAVAILABLE,
                "the producer has to begin anew: [Error 45] OutOfOrderSequenceNumber",
            ),
            (
                errors.KafkaStorageError(),
                Transient,
                Reason.TARGET_UNAVAILABLE,
                "the brokers cannot take it now: [Error 56] KafkaStorageError",
            ),
            (
                errors.PolicyViolationError(),
                Permanent,
                Reason.TARGET_REFUSED,
                "the broker refuses what goes to 'products': [Error 44] PolicyViolationError",
            ),
        ],
    )
    def test_every_mistake_has_its_verdict_and_one_line_with_its_cure(
        self, said: Exception, kind: type[WorkError], reason: Reason, line: str
    ) -> None:
        error = verdict(said, "products", ["kafka-1:9092", "kafka-2:9092"])
        assert (type(error), error.reason, error.detail) == (kind, reason, line)


@pytest.mark.parametrize(
    "options",
    [
        {"servers": []},
        {"servers": "user:secret@host:1"},
        {"servers": "a:1", "username": "x"},
        {"servers": "a:1", "ca": "ca.pem"},
    ],
)
def test_mistakes_of_the_file(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kafka.Config.model_validate(options)


def test_a_list_has_no_key_of_one_item() -> None:
    with pytest.raises(ValidationError, match="`item` has no meaning with `per: batch`"):
        Target(topic="x", key="{{ item.url }}", per="batch")
