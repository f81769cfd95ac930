"""A producer for Kafka that many deliveries share, and what the brokers' answers mean."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    IllegalOperation,
    InvalidTopicError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    PolicyViolationError,
    ProducerClosed,
    ProducerFenced,
    RecordListTooLargeError,
    RequestTimedOutError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownError,
    UnknownProducerId,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)

from config.contracts.errors import Forbidden, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from workers.sinks._message import Message

# What the client has to say comes as verdicts; it would say it on every try.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

#: Seconds for a connection, for the answer of a broker, for a window of messages, and to take leave.
CONNECTING, ANSWERING, CONFIRMING, LEAVING = 10.0, 15.0, 25.0, 3.0

#: What the broker says of one message, or a list of items, that is too large for it.
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_NOT_US = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
#: After these a producer is of no more use.
_SPENT = (ProducerFenced, ProducerClosed, OutOfOrderSequenceNumber, UnknownProducerId, IllegalOperation)
#: Whether anybody is there at all is not known.
_SILENT = (KafkaConnectionError, KafkaTimeoutError, RequestTimedOutError, OSError)
_NO_TOPIC = (UnknownTopicOrPartitionError, InvalidTopicError)
_NO_RIGHT = (TopicAuthorizationFailedError, ClusterAuthorizationFailedError)


class Link:
    """Connected when it is first used, and anew once its producer is spent."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """`settings`: of `aiokafka.AIOKafkaProducer`."""
        self.settings = dict(settings)
        self._turn = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None

    @asynccontextmanager
    async def producer(self, topic: str) -> AsyncIterator[AIOKafkaProducer]:
        """For one step, which comes to its end in time. What goes wrong in it becomes a WorkError."""
        try:
            async with asyncio.timeout(CONFIRMING):
                yield await self._started()
        except (KafkaError, OSError) as exc:
            if isinstance(exc, _SPENT):
                await self.close()
            raise verdict(await self._really(exc), topic, self.settings["bootstrap_servers"]) from exc

    async def send(self, window: Sequence[Message], topic: str) -> list[Exception | None]:
        """Send messages in order. For each: None once all brokers that must have it do, or why they do not take it.

        Raises WorkError.
        """
        async with self.producer(topic) as producer:
            sent = [
                await producer.send(
                    topic,
                    message.body,
                    key=message.key.encode() or None,
                    headers=[(name, value.encode()) for name, value in message.headers.items()],
                )
                for message in window
            ]
            said = await asyncio.gather(*sent, return_exceptions=True)
            for trouble in said:
                if isinstance(trouble, BaseException) and not isinstance(trouble, TOO_LARGE):
                    raise trouble
        return [one if isinstance(one, Exception) else None for one in said]

    async def topics(self) -> set[str]:
        """Those we may see. Asking makes none. Raises WorkError."""
        async with self.producer("") as producer:
            return set((await producer.client.fetch_all_metadata()).topics())

    async def _started(self) -> AIOKafkaProducer:
        async with self._turn:
            if self._producer is None:
                producer = AIOKafkaProducer(**self.settings)
                try:
                    async with asyncio.timeout(CONNECTING):
                        await producer.start()
                except KeyError:  # the client looks for the proof in an answer that only says what is wrong
                    raise AuthenticationFailedError("SCRAM was refused") from None
                except UnknownError as exc:
                    raise UnsupportedVersionError("no idempotent producers") from exc
                finally:
                    if not producer.client.cluster.brokers():
                        await _leave(producer)
                self._producer = producer
            return self._producer

    async def _really(self, exc: Exception) -> Exception:
        """The client says the same of a topic that is not there as of brokers that are not, and does not tell why it
        could not connect: ask."""
        if isinstance(exc, KafkaConnectionError) and self._producer is None:
            return await self._refusal() or exc
        if isinstance(exc, UnknownTopicOrPartitionError) and not await self._reaches():
            return OSError("no broker answers")
        return exc

    async def _reaches(self) -> bool:
        with suppress(KafkaError, OSError):
            async with asyncio.timeout(LEAVING):
                return self._producer is not None and bool(await self._producer.client.fetch_all_metadata())
        return False

    async def _refusal(self) -> Exception | None:
        """Why the first server does not let us in, if that is why."""
        host, _, port = self.settings["bootstrap_servers"][0].rpartition(":")
        names = ("ssl_context", "security_protocol", "sasl_mechanism", "sasl_plain_username", "sasl_plain_password")
        given = {name: self.settings[name] for name in names if name in self.settings}
        refusal: Exception | None = None
        try:
            async with asyncio.timeout(LEAVING):
                connection = await create_conn(host.strip("[]"), int(port), request_timeout_ms=1000, **given)
                connection.close()
        except _NOT_US as exc:
            refusal = exc
        except (KafkaError, OSError):
            pass
        return refusal

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _leave(producer)


async def _leave(producer: AIOKafkaProducer) -> None:
    with suppress(KafkaError, OSError):
        async with asyncio.timeout(LEAVING):
            await producer.stop()


def verdict(exc: Exception, topic: str, servers: Sequence[str]) -> WorkError:
    """What happens next after a broker said no, or nothing. `servers`: each host:port."""
    if isinstance(exc, _NOT_US):
        cure = "mend `username`, `password` and `mechanism`"
        return Unauthorized(Reason.TOKEN_REFUSED, f"the broker refuses our credentials: {cure}")
    if isinstance(exc, _NO_TOPIC):
        return no_topic(topic)
    if isinstance(exc, _NO_RIGHT):
        cure = f"kafka-acls.sh --add --allow-principal User:… --operation Write --topic {topic}"
        return Forbidden(Reason.TARGET_REFUSED, f"we may not write to {topic!a}: {cure}"[:300])
    if isinstance(exc, UnsupportedVersionError):
        cure = "say `idempotent: false`"
        return Unauthorized(Reason.TARGET_REFUSED, f"the broker has no idempotent producers: {cure}")
    if isinstance(exc, PolicyViolationError) or (isinstance(exc, BrokerResponseError) and not exc.retriable):
        return _final(exc, topic)
    return _passing(exc, servers)


def _passing(exc: Exception, servers: Sequence[str]) -> Transient:
    said = f"the brokers cannot take it now: {_said(exc)}"
    if isinstance(exc, _SILENT):
        asked = ", ".join(servers)[:120]
        said = f"no answer of the brokers at {asked}: {_said(exc)[:100]}: are they up? If so, mend `servers`"
    return Transient(Reason.TARGET_UNAVAILABLE, said)


def no_topic(topic: str) -> Unauthorized:
    cure = f"kafka-topics.sh --create --topic {topic}, or name another `topic`"
    return Unauthorized(Reason.TARGET_REFUSED, f"there is no topic {topic!a}: {cure}"[:300])


def _final(exc: Exception, topic: str) -> WorkError:
    if isinstance(exc, _SPENT):
        return Transient(Reason.TARGET_UNAVAILABLE, f"the producer has to begin anew: {_said(exc)}")
    return Permanent(Reason.TARGET_REFUSED, f"the broker refuses what goes to {topic!a}: {_said(exc)}"[:300])


def _said(exc: Exception) -> str:
    if isinstance(exc, KafkaConnectionError):
        return "none of `servers` takes a connection"
    said = str(exc) or ("it took too long" if isinstance(exc, TimeoutError) else type(exc).__name__)
    return " ".join(said.split())[:200]
