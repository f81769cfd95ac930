import queue
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import ValidationError
from structlog.testing import capture_logs

from config.contracts.errors import Forbidden, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Rejected, Sink
from tests.services import free_port
from tests.services.mosquitto import MAX_PACKET, PASSWORD, READER, USER, Broker, mosquitto
from workers.sinks import _mqtt_broker, _tally, mqtt
from workers.testing.contract import ALL, PNG, THREE, Connect, SinkContract, send
from workers.testing.servers import SECRET, ServerContract, silent_server
from workers.testing.shipments import around, batches, document, shipment

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with mosquitto() as one:
        yield one


class Subscriber:
    """Somebody who has subscribed to everything, and remembers ids as the sink's summary tells them to."""

    def __init__(self, port: int) -> None:
        self.got: list[paho.MQTTMessage] = []
        self._arrived: queue.Queue[paho.MQTTMessage] = queue.Queue()
        ready: queue.Queue[None] = queue.Queue()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self.client.username_pw_set(USER, PASSWORD)
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self.client.on_subscribe = lambda *_: ready.put(None)
        self.client.on_message = lambda client, userdata, message: self._arrived.put(message)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        ready.get(timeout=10)
        self._ready = ready

    def back(self) -> None:
        """Wait until it is connected again after the broker was restarted."""
        self._ready.get(timeout=30)

    def read(self) -> list[paho.MQTTMessage]:
        """All that arrived so far: a message of our own comes behind all that was acknowledged before."""
        self.client.publish("the/end", b"", qos=1)
        while (one := self._arrived.get(timeout=10)).topic != "the/end":
            self.got.append(one)
        return self.got

    def unique(self, run: str) -> list[paho.MQTTMessage]:
        firsts = {said(one)["runrelay-id"]: one for one in reversed(self.read())}
        mine = {id(one) for one in firsts.values() if said(one)["runrelay-run"] == run}
        return [one for one in self.got if id(one) in mine]

    def items(self, run: str) -> list[bytes]:
        return [bytes(one.payload) for one in self.unique(run)]

    def documents(self, run: str) -> list[bytes]:
        return [bytes(one.payload) for one in sorted(self.unique(run), key=lambda one: said(one)["runrelay-record"])]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def said(message: paho.MQTTMessage) -> dict[str, str]:
    """What its user properties say."""
    return dict(getattr(message.properties, "UserProperty"))  # noqa: B009  # paho makes it at run time


@pytest.fixture
def far_side(broker: Broker) -> Iterator[Subscriber]:
    one = Subscriber(broker.port)
    yield one
    one.close()


def opened(
    port: int, *, user: str = USER, password: str = PASSWORD, **options: Any
) -> AbstractAsyncContextManager[Sink]:
    given = {"url": f"mqtt://{user}@127.0.0.1:{port}", "password": password, **options}
    return mqtt.connect(mqtt.Config.model_validate(given), around(Path()))


@pytest.fixture
def connect(broker: Broker, far_side: Subscriber) -> Connect:
    return lambda: opened(broker.port)


def into(**options: Any) -> mqtt.Target:
    return mqtt.Target.model_validate({"topic": "results", **options})


class TestMqtt(SinkContract, ServerContract):
    module = mqtt
    options = into()

    @pytest.fixture
    def down(self) -> Connect:
        return lambda: opened(free_port(), password=SECRET)

    @pytest.fixture
    def refused(self, broker: Broker) -> Connect:
        return lambda: opened(broker.port, password=SECRET)

    @pytest.fixture
    async def silent(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(_mqtt_broker, "CONNECTING", 0.3)
        async with silent_server() as port:
            yield lambda: opened(port)


class TestMessages:
    async def test_a_message_says_what_it_is(self, connect: Connect, far_side: Subscriber) -> None:
        async with connect() as sink:
            await send(sink, shipment(into(topic="shop/{{ item.sku }}", expires="1h")), batches([b'{"sku": "a b"}']))
        (one,) = far_side.read()
        id = f"{shipment(into()).delivery.id}:items:default:0"
        assert (one.topic, one.payload, one.qos, one.retain) == ("shop/a b", b'{"sku": "a b"}', 1, False)
        assert one.properties is not None
        told = one.properties.json()  # type: ignore[no-untyped-call]  # paho's has no types
        assert (told["ContentType"], told["CorrelationData"]) == ("application/json", id.encode().hex())
        assert 3590 <= told["MessageExpiryInterval"] <= 3600
        assert (said(one)["runrelay-id"], said(one)["runrelay-item"]) == (id, "0")

    async def test_a_batch_is_one_message(self, connect: Connect, far_side: Subscriber) -> None:
        async with connect() as sink:
            taken, _ = await send(sink, shipment(into(per="batch")), batches(*THREE))
        assert far_side.items("r1") == [b"[" + b",".join(part) + b"]" for part in THREE]
        assert [(part.rows, part.out) for part in taken] == [(2, 1), (1, 1), (2, 1), (0, 0)]

    async def test_the_broker_keeps_what_is_retained(self, connect: Connect, broker: Broker) -> None:
        options = into(topic="kept/{{ item.n }}", retain=True)
        async with connect() as sink:
            await send(sink, shipment(options, run="kept"), batches(*THREE))
        late = Subscriber(broker.port)
        kept = sorted((one.topic, bytes(one.payload)) for one in late.read())
        late.close()
        assert kept == [(f"kept/{n}", item) for n, item in enumerate(ALL, start=1)]

    async def test_topics_that_are_none_reject_their_items(self, connect: Connect, far_side: Subscriber) -> None:
        items = [b'{"t":"a"}', b'{"t":"a/+"}', b'{"t":"#"}', b'{"t":""}', b'{"t":"%s"}' % (b"x" * 3000)]
        async with connect() as sink:
            taken, _ = await send(sink, shipment(into(topic="{{ item.t }}")), batches(items))
        why = "its topic is empty, or has a `+`, a `#` or U+0000 in it"
        assert taken[0].rejected == (
            *(Rejected(row, why) for row in (1, 2, 3)),
            Rejected(4, "its topic is longer than 2048 bytes"),
        )
        assert far_side.items("r1") == items[:1]

    async def test_a_message_that_is_too_large_for_the_broker_is_rejected_alone(
        self, connect: Connect, far_side: Subscriber
    ) -> None:
        large, most = b'"%s"' % (b"x" * MAX_PACKET), MAX_PACKET - 8192
        async with connect() as sink:
            taken, _ = await send(sink, shipment(into()), batches([b"1", large, b"2"]))
            async with sink.open(shipment(into(), stream="records"), None) as writer:
                refused = await writer.document(document("A", "image/png", PNG, large))
        why = f"a message of {len(large)} bytes, and {most} is the most"
        assert (taken[0].rows, taken[0].rejected) == (2, (Rejected(1, why),))
        assert (refused.rows, len(refused.rejected)) == (0, 1)
        assert far_side.items("r1") == [b"1", b"2"]

    async def test_what_takes_long_is_left_for_another_call(
        self, connect: Connect, far_side: Subscriber, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_tally, "ENOUGH", 0.0)
        monkeypatch.setattr(_tally, "WINDOW", 2)
        (batch,) = batches(ALL)
        async with connect() as sink, sink.open(shipment(into()), None) as writer:
            first = await writer.items(batch)
            second = await writer.items(batch.after(2))
        assert [(one.rows, one.left) for one in (first, second)] == [(2, 3), (2, 1)]
        assert far_side.items("r1") == ALL[:4]

    async def test_the_log_says_that_nobody_has_subscribed(self, broker: Broker) -> None:
        with capture_logs() as logs:
            async with opened(broker.port) as sink:
                taken, _ = await send(sink, shipment(into(topic="nobody/here")), batches(*THREE[:1]))
        assert taken[0].rows == 2
        delivery = shipment(into()).delivery.id
        assert logs == [
            {
                "event": "mqtt.nobody",
                "log_level": "warning",
                "delivery_id": delivery,
                "topic": "nobody/here",
                "count": 2,
            }
        ]


class TestTrouble:
    @pytest.mark.parametrize(
        ("who", "kind", "reason", "line"),
        [
            (
                {"password": "wrong"},
                Unauthorized,
                Reason.TOKEN_REFUSED,
                'the broker refused the user "writer": mend `url` or `password`',
            ),
            (
                {"user": READER},
                Forbidden,
                Reason.TARGET_REFUSED,
                '"reader" may not publish to "results": allow it in the broker\'s access list',
            ),
        ],
    )
    async def test_each_mistake_has_its_verdict_and_its_cure(
        self, broker: Broker, who: dict[str, str], kind: type[WorkError], reason: Reason, line: str
    ) -> None:
        with pytest.raises(WorkError) as raised:
            async with opened(broker.port, **who) as sink:
                await send(sink, shipment(into()), batches(*THREE))
        assert (type(raised.value), raised.value.reason, raised.value.detail) == (kind, reason, line)

    @pytest.mark.parametrize(
        ("code", "meant"),
        [
            (0x00, None),
            (0x10, None),
            (0x80, "the broker did not take a message: Unspecified error"),
            (0x87, '"relay" may not publish to "a/b": allow it in the broker\'s access list'),
            (0x90, "the broker does not take its topic"),
            (0x97, "the broker has no room for more messages: raise its quota, or let somebody read"),
            (0x99, "the broker does not take its content"),
        ],
    )
    def test_each_reason_code_has_its_meaning(self, code: int, meant: str | None) -> None:
        found = _mqtt_broker.refusal(ReasonCode(PacketTypes.PUBACK, identifier=code), "a/b", "relay")
        assert (found.detail if isinstance(found, WorkError) else found) == meant

    @pytest.mark.parametrize(
        ("code", "kind", "reason"),
        [
            (0x84, Unauthorized, Reason.TARGET_REFUSED),
            (0x86, Unauthorized, Reason.TOKEN_REFUSED),
            (0x88, Transient, Reason.TARGET_UNAVAILABLE),
            (0x8A, Unauthorized, Reason.TARGET_REFUSED),
            (0x9F, Transient, Reason.TARGET_UNAVAILABLE),
        ],
    )
    def test_each_refusal_at_the_door_has_its_verdict(self, code: int, kind: type[WorkError], reason: Reason) -> None:
        link = _mqtt_broker.Link("h", 1, "relay", None, None)
        with pytest.raises(WorkError) as raised, link.trouble():
            raise MqttConnectError(ReasonCode(PacketTypes.CONNACK, identifier=code))
        assert (type(raised.value), raised.value.reason) == (kind, reason)

    async def test_a_broker_that_says_nothing_more_holds_nobody(
        self, broker: Broker, connect: Connect, far_side: Subscriber, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_mqtt_broker, "CONFIRMING", 0.2)
        monkeypatch.setattr(_mqtt_broker, "LEAVING", 0.2)
        first, second, _ = batches(*THREE)
        async with connect() as sink, sink.open(shipment(into()), None) as writer:
            await writer.items(first)
            with broker.service.asleep(), pytest.raises(Transient) as raised:
                await writer.items(second)
            assert raised.value.detail == (
                f"no connection to the broker 127.0.0.1:{broker.port} (no answer in time): is it up? If so, mend `url`"
            )
            await writer.items(second)
        assert far_side.items("r1") == ALL[:3]

    async def test_a_broker_that_was_restarted_is_found_again(
        self, broker: Broker, connect: Connect, far_side: Subscriber
    ) -> None:
        first, second, _ = batches(*THREE)
        async with connect() as sink, sink.open(shipment(into()), None) as writer:
            await writer.items(first)
            assert far_side.items("r1") == ALL[:2]
            broker.service.stop()
            with pytest.raises(Transient) as raised:
                await writer.items(second)
            assert raised.value.detail.startswith("no connection to the broker 127.0.0.1:")
            with pytest.raises(Transient) as raised:
                await writer.items(second)
            assert raised.value.detail == (
                f"no connection to the broker 127.0.0.1:{broker.port} (Connection refused): is it up? If so, mend `url`"
            )
            broker.service.start()
            far_side.back()
            await writer.items(second)
        assert far_side.items("r1") == ALL[:3]


class TestOptions:
    @pytest.mark.parametrize(
        "options", [{"topic": "{{ item.x }}", "per": "batch"}, {"expires": "0s"}, {"expires": "200000d"}]
    )
    def test_options_that_make_no_sense_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            into(**options)

    @pytest.mark.parametrize("url", ["http://a", "mqtt://", "mqtt://h/path", "mqtt://h?x=1", "mqtt://h:x"])
    def test_a_url_that_cannot_be_used_is_refused(self, url: str) -> None:
        with pytest.raises(ValidationError, match="write it as mqtt://user@host:1883"):
            mqtt.Config.model_validate({"url": url})
