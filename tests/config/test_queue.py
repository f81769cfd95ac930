"""The inbox on a real Valkey, its wake-ups decoded by arq itself."""

import asyncio
from collections.abc import Awaitable
from typing import cast

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job, deserialize_job
from redis.asyncio import Redis

from config.contracts.event import Event, event_id
from config.keys import Keys
from config.queue import Accepted, Duplicate, QueueUnavailable, RunQueue, unpack_job
from config.settings import Settings, load_settings


def event(run_id: str = "run1", body: bytes = b'{"a":1}') -> Event:
    return Event(id=event_id("apify", None, body), source="apify", run_id=run_id, kind="ACTOR.RUN.SUCCEEDED", body=body)


NOT_FSYNCED = (
    "appendfsync is everysec: the last second of webhooks is lost when the machine dies; set `appendfsync always`"
)


@pytest.fixture
def queue(redis: Redis) -> RunQueue:
    return RunQueue(redis, Keys("rr"))


async def test_accepting_commits_the_record_the_due_entry_and_the_wake_up(queue: RunQueue, redis: Redis) -> None:
    one = event()
    assert await queue.accept([one]) == [Accepted(one.id)]

    record = await cast("Awaitable[dict[bytes, bytes]]", redis.hgetall(f"rr:ev:{one.id}"))
    at = int(record.pop(b"at"))
    assert record == {
        b"v": b"1",
        b"state": b"accepted",
        b"source": b"apify",
        b"run": b"run1",
        b"kind": b"ACTOR.RUN.SUCCEEDED",
        b"via": b"webhook",
        b"body": b'{"a":1}',
        b"seq": b"1",
        b"missed": b"1",
    }
    assert await redis.zrange("rr:due", 0, -1, withscores=True) == [(f"ev:{one.id}".encode(), at + 30_000)]
    assert await redis.zrange("rr:queue", 0, -1, withscores=True) == [(f"{one.id}:1".encode(), at - 86_400_000)]


async def test_arq_itself_reads_the_wake_up(queue: RunQueue, redis: Redis) -> None:
    one = event()
    await queue.accept([one])
    raw = await redis.get(f"arq:job:{one.id}:1")
    job = deserialize_job(raw, deserializer=unpack_job)
    assert [job.function, list(job.args), job.kwargs, job.job_try] == ["plan", [one.id, 1], {}, None]

    pool = ArqRedis(redis.connection_pool, job_deserializer=unpack_job, default_queue_name="rr:queue")
    info = await Job(f"{one.id}:1", pool, _queue_name="rr:queue", _deserializer=unpack_job).info()
    assert info is not None
    assert info.function == "plan"


async def test_the_same_event_is_accepted_once(queue: RunQueue, redis: Redis) -> None:
    one = event()
    assert await queue.accept([one, one]) == [Accepted(one.id), Duplicate(one.id)]
    assert await queue.accept([one]) == [Duplicate(one.id)]
    assert await redis.zcard("rr:queue") == 1


async def test_many_events_are_committed_by_one_call(queue: RunQueue, redis: Redis) -> None:
    events = [event(f"run{n}", b'{"n":%d}' % n) for n in range(50)]
    before = (await redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0)
    assert await queue.accept(events) == [Accepted(one.id) for one in events]
    after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after - before <= 2  # one more when the server does not know the script yet
    assert await redis.zcard("rr:due") == 50


async def test_a_server_that_forgot_the_script_is_told_again(queue: RunQueue, redis: Redis) -> None:
    await queue.accept([event()])
    await redis.script_flush()
    assert await queue.accept([event("run2", b"2")]) == [Accepted(event("run2", b"2").id)]


async def test_a_caller_that_gives_up_leaves_no_answer_to_the_next(queue: RunQueue, redis: Redis) -> None:
    await queue.accept([event()])
    await redis.client_pause(300)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await queue._commit([event("run2", b"2"), event("run3", b"3")])
    assert await queue.accept([event("run4", b"4")]) == [Accepted(event("run4", b"4").id)]


async def test_nothing_to_accept_asks_nobody(queue: RunQueue) -> None:
    assert await queue.accept([]) == []


async def test_concurrent_senders_of_one_event_get_one_accepted(queue: RunQueue) -> None:
    one = event()
    answers = await asyncio.gather(*(queue.accept([one]) for _ in range(20)))
    assert sorted(type(answer).__name__ for (answer,) in answers) == ["Accepted"] + ["Duplicate"] * 19


async def test_an_unreachable_redis_is_unavailable_never_accepted() -> None:
    settings = load_settings(redis_url="unix:///nonexistent/v.sock")
    async with RunQueue.connect(settings) as queue:
        with pytest.raises(QueueUnavailable):
            await queue.accept([event()])
        assert await queue.ready() == [
            "Redis does not answer (ConnectionError); check REDIS_URL and that it is running"
        ]


@pytest.mark.parametrize("places", [1, 10])
async def test_a_redis_that_refuses_writes_is_unavailable(queue: RunQueue, redis: Redis, places: int) -> None:
    """Also when its lane is full: looking for room must not count as the write that Redis refuses or lets pass."""
    await redis.set("rr:breadth", places)
    await queue.accept([event()])
    await redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(QueueUnavailable, match="OutOfMemoryError"):
            await queue.accept([event("run2", b"2")])
    finally:
        await redis.config_set("maxmemory", "0")
    assert await redis.zcard("rr:due") == 1


async def test_a_commit_that_broke_off_half_way_has_promised_nothing(queue: RunQueue, redis: Redis) -> None:
    one = event()
    await redis.set("rr:run:apify:run1", "not a set")
    with pytest.raises(QueueUnavailable):
        await queue.accept([one])
    await redis.delete("rr:run:apify:run1")
    assert await queue.accept([one]) == [Accepted(one.id)]
    assert await redis.zcard("rr:due") == 1


@pytest.mark.parametrize("reply", [None, [], [2], [True], ["1"], [1, 1], b"OK", 1])
async def test_an_odd_reply_is_unavailable(queue: RunQueue, reply: object, monkeypatch: pytest.MonkeyPatch) -> None:
    async def odd(*_: object) -> list[object]:
        return [reply]

    monkeypatch.setattr("config.queue.ask", odd)  # stands for a proxy or a server that answers nonsense
    with pytest.raises(QueueUnavailable):
        await queue.accept([event()])


@pytest.mark.parametrize(
    ("name", "good", "bad", "said"),
    [
        ("appendonly", "yes", "no", "appendonly is no: acknowledged webhooks are lost when Redis dies"),
        ("appendfsync", "always", "everysec", NOT_FSYNCED),
        ("maxmemory-policy", "noeviction", "allkeys-lru", "maxmemory-policy is allkeys-lru: Redis would evict"),
    ],
)
async def test_strict_durability_names_each_cure(redis: Redis, name: str, good: str, bad: str, said: str) -> None:
    await redis.config_set(name, bad)
    try:
        (doubt,) = await RunQueue(redis, Keys("rr")).ready()
        assert doubt.startswith(said)
        assert f"set `{name} {good}`" in doubt
    finally:
        await redis.config_set(name, good)
        while (await redis.info("persistence"))["aof_rewrite_in_progress"]:  # until then it refuses to stop
            await asyncio.sleep(0.01)
    assert await RunQueue(redis, Keys("rr")).ready() == []


async def test_a_policy_that_turns_bad_later_is_a_warning(queue: RunQueue, redis: Redis) -> None:
    assert (await queue.ready(), queue.warnings) == ([], [])
    await redis.config_set("appendfsync", "everysec")
    try:
        assert (await queue.ready(), queue.warnings) == ([], [NOT_FSYNCED])
        assert await queue.accept([event()]) == [Accepted(event().id)]
    finally:
        await redis.config_set("appendfsync", "always")
    assert (await queue.ready(), queue.warnings) == ([], [])


async def test_relaxed_durability_takes_any_primary(settings: Settings, redis: Redis) -> None:
    queue = RunQueue(redis, Keys("rr"), durability="relaxed")
    await redis.config_set("appendfsync", "no")
    try:
        assert await queue.ready() == []
    finally:
        await redis.config_set("appendfsync", "always")


async def test_a_redis_that_would_lose_it_is_given_nothing(settings: Settings, redis: Redis) -> None:
    await redis.config_set("appendfsync", "everysec")
    try:
        async with RunQueue.connect(settings) as queue:
            with pytest.raises(QueueUnavailable, match="appendfsync is everysec"):
                await queue.accept([event()])
            await redis.config_set("appendfsync", "always")
            assert await queue.accept([event()]) == [Accepted(event().id)]
            await redis.config_set("appendfsync", "everysec")
            assert await queue.accept([event("later", b"later")]), "what changes later is a warning"
    finally:
        await redis.config_set("appendfsync", "always")
