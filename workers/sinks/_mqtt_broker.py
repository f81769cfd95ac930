"""A connection to an MQTT 5 broker that many deliveries share, and what its reason codes mean.

Reason codes and properties: docs.oasis-open.org/mqtt/mqtt/v5.0, chapters 2.4, 3.2 and 3.4.
"""

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any

import aiomqtt
from aiomqtt import MqttCodeError, MqttError
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.client import MQTT_ERR_SUCCESS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from config.contracts.errors import Forbidden, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason

#: Seconds for a connection, for a window of messages to be confirmed, and to take leave.
CONNECTING = 10.0
CONFIRMING = 20.0
LEAVING = 2.0
#: Messages of all deliveries that are not confirmed yet; a broker may say less.
_UNCONFIRMED = 100
#: Nobody has subscribed to the topic.
NOBODY = 0x10


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message. `expires`: seconds that the broker keeps it; None: for ever."""

    topic: str
    body: bytes
    id: str
    content_type: str
    headers: Sequence[tuple[str, str]]
    retain: bool
    expires: int | None

    def properties(self) -> Properties:
        said = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's has no types
        said.ContentType = self.content_type
        said.CorrelationData = self.id.encode()
        said.UserProperty = list(self.headers)
        if self.expires is not None:
            said.MessageExpiryInterval = self.expires
        return said


class _Client(aiomqtt.Client):
    """aiomqtt waits for the broker's answer to a message and forgets what it said; this one tells.

    Attributes:
        largest: bytes of the largest packet the broker takes; None if it did not say.
        room: how many messages may be without an answer.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.largest: int | None = None
        self.room = asyncio.Semaphore(_UNCONFIRMED)
        self._answers: dict[int, asyncio.Future[ReasonCode]] = {}

    @property
    def lost(self) -> bool:
        """Whether the connection is gone. Asking takes note of why: an error that nobody asks for is printed."""
        gone = self._disconnected.done()
        if gone:
            self._disconnected.exception()
        return gone

    async def send(self, out: Outgoing) -> ReasonCode:
        """Publish at QoS 1; returns what the broker says. Raises MqttError if the connection goes away meanwhile."""
        async with self.room:
            info = self._client.publish(out.topic, out.body, 1, out.retain, out.properties())
            if info.rc != MQTT_ERR_SUCCESS:
                raise MqttCodeError(info.rc, "not connected")
            answer: asyncio.Future[ReasonCode] = self._loop.create_future()
            self._answers[info.mid] = answer
            try:
                either: set[asyncio.Future[Any]] = {answer, self._disconnected}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not answer.done():
                    raise MqttError("the connection was lost") from self._disconnected.exception()
                return answer.result()
            finally:
                self._answers.pop(info.mid, None)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        self.largest = getattr(properties, "MaximumPacketSize", None)
        self.room = asyncio.Semaphore(min(_UNCONFIRMED, getattr(properties, "ReceiveMaximum", _UNCONFIRMED)))
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: ReasonCode, properties: Any) -> None:
        answer = self._answers.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(reason_code)


class Link:
    """The connection. It is opened when it is first used, and anew after it broke."""

    def __init__(self, host: str, port: int, user: str | None, password: str | None, tls: SSLContext | None) -> None:
        self.host, self.port, self.user, self.password, self.tls = host, port, user, password, tls
        self._turn = asyncio.Lock()
        self._client: _Client | None = None

    async def client(self) -> _Client:
        """Raises WorkError."""
        with self.trouble():
            async with self._turn:
                if self._client is None or self._client.lost:
                    await self.close()
                    self._client = await self._connected()
                return self._client

    async def _connected(self) -> _Client:
        client = _Client(
            self.host,
            self.port,
            identifier=f"relay-{uuid.uuid4().hex[:16]}",
            username=self.user,
            password=self.password,
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=self.tls,
            timeout=CONNECTING,
            max_inflight_messages=_UNCONFIRMED,
        )
        async with asyncio.timeout(CONNECTING):
            return await client.__aenter__()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None and not client.lost:
            with suppress(MqttError, TimeoutError):
                async with asyncio.timeout(LEAVING):
                    await client.__aexit__(None, None, None)

    @contextmanager
    def trouble(self) -> Iterator[None]:
        try:
            yield
        except (MqttError, OSError, ValueError) as exc:
            raise self._verdict(exc) from exc

    def _verdict(self, exc: Exception) -> WorkError:
        code = exc.rc.value if isinstance(exc, MqttCodeError) and isinstance(exc.rc, ReasonCode) else None
        who = f'the user "{self.user}"' if self.user else "clients without a user"
        if isinstance(exc, MqttConnectError) and code in {0x86, 0x87, 0x8C}:
            return Unauthorized(Reason.TOKEN_REFUSED, f"the broker refused {who}: mend `url` or `password`")
        if isinstance(exc, MqttConnectError) and code in _AT_THE_DOOR:
            return Unauthorized(Reason.TARGET_REFUSED, f"the broker lets nobody in: {_AT_THE_DOOR[code]}")
        said = f"no connection to the broker {self.host}:{self.port} ({_why(exc)}): is it up? If so, mend `url`"
        return Transient(Reason.TARGET_UNAVAILABLE, said[:300])


#: What a person mends, by the reason code of CONNACK.
_AT_THE_DOOR = {
    0x01: "it speaks no MQTT 5, which is needed for ids and reason codes",
    0x84: "it speaks no MQTT 5, which is needed for ids and reason codes",
    0x85: "it takes no client ids of ours, which are `relay-` and 16 letters: allow them",
    0x8A: "it has banned us: mend its list",
    0x9C: "it sends us to another server: mend `url`",
    0x9D: "it has moved: mend `url`",
}


def refusal(code: ReasonCode, topic: str, user: str | None) -> WorkError | str | None:
    """What an answer to a message means: None if it was taken, a text if the message itself was refused."""
    match code.value:
        case value if value < 0x80:
            return None
        case 0x87:
            who = f'"{user}"' if user else "a client without a user"
            cure = "allow it in the broker's access list"
            return Forbidden(Reason.TARGET_REFUSED, f'{who} may not publish to "{topic}": {cure}')
        case 0x90:
            return "the broker does not take its topic"
        case 0x99:
            return "the broker does not take its content"
        case 0x97:
            said = "the broker has no room for more messages: raise its quota, or let somebody read"
            return Transient(Reason.TARGET_UNAVAILABLE, said)
        case _:
            return Transient(Reason.TARGET_UNAVAILABLE, f"the broker did not take a message: {code}")


def _why(exc: BaseException) -> str:
    """The kind of trouble. aiomqtt hides the system's error, which says more than its own."""
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    cause = exc.__cause__ or (exc.__context__ if isinstance(exc.__context__, OSError) else exc)
    if isinstance(cause, MqttCodeError) and isinstance(cause.rc, ReasonCode):
        return str(cause.rc)
    return getattr(cause, "strerror", None) or type(cause).__name__
