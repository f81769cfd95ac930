"""What is promised when Redis has a replica: two real servers."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from config import durability
from config import queue as module
from config.keys import Keys
from config.queue import Accepted, Duplicate, QueueUnavailable, RunQueue
from config.settings import Durability
from tests.config.replicated import Pair, pair
from tests.config.test_queue import event

KEYS = Keys("rr")


@pytest.fixture
async def both() -> AsyncIterator[Pair]:
    async with pair() as servers:
        yield servers


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPLICA_MS", 200)


async def has_waited(redis: Redis) -> bool:
    return "cmdstat_wait" in await redis.info("commandstats")


@pytest.mark.parametrize("asked", ["strict", "replicated"])
async def test_a_replica_has_it_before_the_answer(both: Pair, asked: Durability) -> None:
    queue = RunQueue(both.primary, KEYS, durability=asked)
    assert await queue.accept([event()]) == [Accepted(event().id)]
    assert await both.replica.exists(KEYS.record("ev", event().id)) == 1
    assert await has_waited(both.primary)


async def test_relaxed_waits_for_nobody(both: Pair) -> None:
    assert await RunQueue(both.primary, KEYS, durability="relaxed").accept([event()]) == [Accepted(event().id)]
    assert not await has_waited(both.primary)


@pytest.mark.parametrize("asked", ["strict", "replicated"])
async def test_what_no_replica_confirms_is_unavailable_also_when_it_is_sent_again(
    both: Pair, asked: Durability
) -> None:
    queue = RunQueue(both.primary, KEYS, durability=asked)
    assert await queue.ready() == []
    await both.silence()
    with pytest.raises(QueueUnavailable, match="no replica"):
        await queue.accept([event()])
    with pytest.raises(QueueUnavailable, match="no replica"):  # the primary has it, and would call it a duplicate
        await RunQueue(Redis(connection_pool=both.primary.connection_pool), KEYS, durability="replicated").accept(
            [event()]
        )
    both.wake()
    assert await queue.accept([event()]) == [Duplicate(event().id)]


async def test_strict_goes_on_alone_with_a_warning_once_the_replica_is_seen_to_be_gone(both: Pair) -> None:
    queue = RunQueue(both.primary, KEYS)
    await queue.accept([event()])
    await both.leave()
    with pytest.raises(QueueUnavailable, match="no replica"):  # the last look saw one
        await queue.accept([event("run2", b"2")])
    assert await queue.ready() == []
    assert await queue.accept([event("run3", b"3")]) == [Accepted(event("run3", b"3").id)]
    [warning] = queue.warnings
    assert "no replica of Redis is connected any longer" in warning


@pytest.mark.parametrize("asked", ["strict", "replicated", "relaxed"])
async def test_a_replica_is_given_nothing(both: Pair, asked: Durability) -> None:
    queue = RunQueue(both.replica, KEYS, durability=asked)
    said = "Redis is a slave, not a primary; point REDIS_URL at the primary"
    assert said in await queue.ready()
    with pytest.raises(QueueUnavailable, match=said):
        await queue.accept([event()])


async def test_replicated_takes_nothing_without_a_replica(both: Pair) -> None:
    queue = RunQueue(both.primary, KEYS, durability="replicated")
    await queue.accept([event()])
    await both.leave()
    [reason] = await queue.ready()
    assert "RUNRELAY_DURABILITY=replicated" in reason
    with pytest.raises(QueueUnavailable, match="replicated"):
        await queue.accept([event("run2", b"2")])


async def test_replicated_asks_for_no_append_only_file_and_no_config(both: Pair) -> None:
    await both.primary.config_set("appendonly", "no")
    await both.primary.acl_setuser("default", enabled=True, nopass=True, commands=["-config"])
    queue = RunQueue(both.primary, KEYS, durability="replicated")
    assert await queue.ready() == []
    assert await queue.accept([event()]) == [Accepted(event().id)]


async def test_the_server_is_not_looked_at_for_each_webhook(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    look = durability.look

    async def counted(*given: object) -> durability.Standing:
        nonlocal looks
        looks += 1
        return await look(*given)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(durability, "look", counted)
    queue = RunQueue(redis, KEYS)
    for n in range(50):
        await queue.accept([event(f"run{n}", b"%d" % n)])
    assert looks == 1


async def test_later_looks_keep_nobody_waiting_and_are_believed(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durability, "EVERY", 0)
    queue = RunQueue(redis, KEYS)
    await queue.accept([event()])
    await redis.config_set("maxmemory", int((await redis.info("memory"))["used_memory"] / 0.95))
    try:
        with pytest.raises(QueueUnavailable, match="maxmemory"):
            await until_refused(queue)
    finally:
        await redis.config_set("maxmemory", 0)


async def until_refused(queue: RunQueue) -> None:
    for n in range(1000):
        await queue.accept([event(f"run{n}", b"%d" % n)])
