"""Turns of the janitor: one worker at a time, in bounded steps, whatever happens to Redis."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisAway
from structlog.testing import capture_logs

from config.contracts.delivery import DeliveryState
from config.routes import load
from config.settings import Settings
from tests.workers.ledger.books import Books, delivery
from workers.care import janitor
from workers.care.janitor import Janitor
from workers.ledger.forgetting import Lifetimes
from workers.worker import run_worker

KEEP = Lifetimes(ended=0.0, dead=0.0)
DOCUMENT_MS = 31 * 86_400_000


@pytest.fixture
def books(redis: Redis) -> Books:
    return Books(redis)


async def fill(books: Books, number: int) -> None:
    """So many runs, each with an event and a delivery."""
    for n in range(number):
        one = replace(delivery(), run_id=f"run{n}", id=f"{n:064}")
        await books.plan(one, body=b"%d" % n)
        await books.end(one)
    await asyncio.sleep(0.002)


def of(books: Books, **options: float) -> Janitor:
    return Janitor(books.ledger, KEEP, most=int(options.pop("most", 100)), **options)


async def left(books: Books) -> tuple[int, int]:
    """Deliveries and events."""
    return await books.redis.zcard(books.keys.deliveries), await books.redis.zcard(books.keys.events)


async def test_a_turn_forgets_all_there_is_to_forget(books: Books) -> None:
    await fill(books, 7)
    assert await of(books, most=2).turn() == Counter(deliveries=7, events=7)
    held = {key.decode() async for key in books.redis.scan_iter("rr:*")}
    assert {key for key in held if ":seen:" not in key} == {"rr:tidied", "rr:cfgs", "rr:cfg:sha1"}


async def test_documents_go_once_their_deliveries_are_gone(books: Books) -> None:
    await fill(books, 2)
    await books.redis.zadd("rr:cfgs", {"sha1": await books.now() - DOCUMENT_MS, "sha2": 1, "sha3": 2})
    assert await of(books, most=1).turn() == Counter(deliveries=2, events=2, documents=3)
    assert not await books.redis.exists("rr:cfgs", "rr:cfg:sha1")


async def test_of_all_workers_one_at_a_time(books: Books) -> None:
    await fill(books, 20)
    turns = await asyncio.gather(*(of(books, most=1).turn() for _ in range(4)))
    assert sorted(turn["deliveries"] for turn in turns) == [0, 0, 0, 20]
    assert await of(books).turn() == Counter()
    left: int = await books.redis.pttl(books.keys.tidied)
    assert 290_000 < left <= 300_000


async def test_a_turn_that_lasts_too_long_is_gone_on_with_in_the_next(books: Books) -> None:
    await fill(books, 5)
    await books.set("dl", f"{0:064}", state=DeliveryState.PAUSED.value)
    assert await of(books, most=2, longest=0.0, every=0.001).turn() == Counter(deliveries=1)
    assert await left(books) == (4, 5)
    assert await books.redis.hgetall("rr:tidying") == {b"dl": b"1"}  # type: ignore[misc]  # one signature for both clients
    await asyncio.sleep(0.002)
    assert await of(books, most=2).turn() == Counter(deliveries=3, events=4)
    assert await left(books) == (1, 1)


async def test_a_worker_that_died_in_its_turn_is_followed_by_another(books: Books) -> None:
    await fill(books, 30)
    task = asyncio.create_task(of(books, most=1, every=0.05).turn())
    while (await left(books))[0] > 25:
        await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await left(books))[0] > 0
    await asyncio.sleep(0.06)
    await of(books).turn()
    assert await left(books) == (0, 0)


async def test_every_worker_has_one(books: Books, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "runrelay.yaml"
    file.write_text("""\
version: 1
sources: {apify: {token: t0ken-t0ken, webhook: {secrets: [s3cret]}}}
sinks: {out: {type: stdout}}
routes: [{name: all, to: [{sink: out}]}]
""")
    working = asyncio.create_task(run_worker(settings, load(file, {}), host="127.0.0.1", port=0))
    while not await books.redis.exists(books.keys.tidied):
        await asyncio.sleep(0.01)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def test_redis_being_away_is_waited_out(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    done, tries = asyncio.Event(), 0

    async def turn(self: Janitor) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RedisAway
        if tries == 2:
            raise ValueError("a bug")
        done.set()

    monkeypatch.setattr(Janitor, "turn", turn)
    monkeypatch.setattr(janitor, "ASK", 0.001)
    monkeypatch.setattr(janitor, "lifetimes", lambda _: KEEP)
    with capture_logs() as logs:
        task = asyncio.create_task(janitor.tidy_forever(books.ledger, None))  # type: ignore[arg-type]  # nobody looks at it
        async with asyncio.timeout(5):
            await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [line["event"] for line in logs] == ["janitor.redis_away", "janitor.broke"]
