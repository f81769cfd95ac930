"""The inbox: where the receiver puts an event so that nothing can lose it any more.

arq carries the wake-up, never the truth: the event record and its `due` entry are written by the same script, so a
lost wake-up is only a delay. `enqueue_job()` is not used: it answers None for a broken connection as well as for a
duplicate.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1
from typing import Any, NamedTuple, Self

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from config.asking import ask
from config.contracts.errors import RunrelayError
from config.contracts.event import Event
from config.durability import Trust
from config.group_commit import GroupCommit
from config.keys import Keys
from config.scripts import script
from config.settings import Durability, Settings
from config.webhooks.captured import Captured

#: Seconds one commit may take in all. Beyond it the sender is told to come back.
COMMIT_TIMEOUT = 2.0
#: Milliseconds of it that a replica has to confirm; one that has just come in step takes a second for its first word.
REPLICA_MS = 1500
#: Longer than the platform's 34 h of retries; later repeats collapse on the delivery id.
SEEN_MS = 72 * 3600 * 1000


class Accepted(NamedTuple):
    """The event is committed. From now on it ends delivered, or visible with a reason."""

    id: str


class Duplicate(NamedTuple):
    """The same event was accepted before."""

    id: str


class QueueUnavailable(RunrelayError):
    """Redis did not confirm the commit: down, slow, read-only, out of memory, or an answer that makes no sense."""


def pack_job(value: Any) -> bytes:
    """arq's job serializer: JSON, never pickle, because whoever writes to Redis would run code here."""
    return msgspec.json.encode(value)


def unpack_job(raw: bytes) -> Any:
    """arq's job deserializer."""
    return msgspec.json.decode(raw)


class RunQueue:
    """The way in, for whoever announces finished runs."""

    def __init__(self, redis: Redis, keys: Keys, *, durability: Durability = "strict") -> None:
        self.redis = redis
        self.keys = keys
        self.durability = durability
        self._trust = Trust(redis, durability)
        self._script = script("config", "accept")
        self._sha = sha1(self._script.encode(), usedforsecurity=False).hexdigest()
        self._together = GroupCommit(self._commit, size=lambda event: len(event.body), seconds=COMMIT_TIMEOUT)

    @classmethod
    @asynccontextmanager
    async def connect(cls, settings: Settings) -> AsyncIterator[Self]:
        """A queue with a pool of its own that never retries by itself: the sender does that better. Nor does it time
        what it does: that costs as much again, and every commit and every look has its deadline."""
        pool = BlockingConnectionPool.from_url(
            settings.redis_url,
            max_connections=64,
            timeout=COMMIT_TIMEOUT,
            socket_connect_timeout=COMMIT_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        redis = Redis.from_pool(pool)
        try:
            yield cls(redis, Keys(settings.namespace), durability=settings.durability)
        finally:
            await redis.aclose()

    async def accept(self, events: Sequence[Event]) -> list[Accepted | Duplicate]:
        """Commit events: dedupe, record, `due` entry and arq wake-up, together with those of whoever calls meanwhile.

        Returns: one answer per event, in order.
        Raises QueueUnavailable unless Redis confirmed each with an integer, and a replica did where one is waited for.
        """
        if not events:
            return []
        if doubts := await self._trust.doubts():
            raise QueueUnavailable("; ".join(doubts))
        try:
            return list(await self._together(events))
        except (RedisError, OSError, TimeoutError) as exc:
            raise QueueUnavailable(type(exc).__name__) from exc

    async def capture(self, captured: Captured, keep: int) -> None:
        """Keep a webhook that could not be verified, as the newest of at most `keep` of its source.

        Raises QueueUnavailable where an event would not be taken either, for the room is for those; and RedisError,
        OSError or TimeoutError.
        """
        key = self.keys.captured(captured.source)
        async with asyncio.timeout(COMMIT_TIMEOUT):
            if await self._trust.doubts():
                raise QueueUnavailable("in doubt")
            async with self.redis.pipeline() as together:
                together.lpush(key, msgspec.json.encode(captured))
                together.ltrim(key, 0, keep - 1)
                together.pexpire(key, max(1, round((captured.until - captured.at) * 1000)))
                await together.execute()

    async def ready(self) -> Sequence[str]:
        """Why webhooks must not be taken now, one sentence each; empty when all is well."""
        return await self._trust.look()

    @property
    def warnings(self) -> Sequence[str]:
        """What was seen at the last look that somebody should mend, though webhooks are taken."""
        return self._trust.warnings

    async def _commit(self, events: Sequence[Event]) -> list[Accepted | Duplicate]:
        """All in one script; behind it, in the same packet, the wait for a replica."""
        arguments = [0, self.keys.namespace, SEEN_MS, *_arguments(events)]
        further = [("WAIT", 1, REPLICA_MS)] if self._waits() else []
        reply, *replicas = await ask(self.redis.connection_pool, ("EVALSHA", self._sha, *arguments), *further)
        if isinstance(reply, NoScriptError):
            reply, *replicas = await ask(self.redis.connection_pool, ("EVAL", self._script, *arguments), *further)
        if isinstance(reply, RedisError):
            raise reply
        if not all(type(count) is int and count > 0 for count in replicas):
            self._trust.look_soon()
            raise QueueUnavailable("no replica confirmed it")
        return _answers(events, reply)

    def _waits(self) -> bool:
        return self.durability == "replicated" or (self.durability == "strict" and self._trust.replicas > 0)


def _arguments(events: Sequence[Event]) -> list[str | bytes]:
    return [
        part for event in events for part in (event.id, event.source, event.run_id, event.kind, event.via, event.body)
    ]


def _answers(events: Sequence[Event], reply: object) -> list[Accepted | Duplicate]:
    if not isinstance(reply, list) or len(reply) != len(events):
        raise QueueUnavailable("odd reply")
    if not all(type(answer) is int and answer in {0, 1} for answer in reply):
        raise QueueUnavailable("odd reply")
    return [Accepted(event.id) if answer else Duplicate(event.id) for event, answer in zip(events, reply, strict=True)]
