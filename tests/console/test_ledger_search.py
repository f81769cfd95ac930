"""Records are found by the id of a run, whatever its platform calls runs."""

import pytest
from redis.asyncio import Redis

from config.contracts.event import Event, event_id
from config.keys import Keys
from config.queue import RunQueue
from console.failures import CommandFailed
from console.ledger_search import find, run_named
from workers.ledger.ledger import Ledger

#: Of Apify, ittybit, Replicate, GitHub, Firecrawl, and two that nobody has seen yet.
RUNS = [
    "HG7ML7M8z78YcAPEB",
    "run_2b9x-Q",
    "ufawqhfynnddngldkgtslldrkq",
    "30433642",
    "12345678-1234-1234-1234-123456789012",
    "2026.11~20",
    "urn:run:7",
]


async def heard(redis: Redis, *runs: tuple[str, str]) -> Ledger:
    """A ledger that heard of these runs: source and id."""
    events = [Event(id=event_id(source, run, b""), source=source, run_id=run) for source, run in runs]
    await RunQueue(redis, Keys("rr")).accept(events)
    return Ledger(redis, Keys("rr"))


async def found(ledger: Ledger, id: str) -> list[tuple[str, str]]:
    return [(event.source, event.run_id) for event in (await find(ledger, id)).events]


@pytest.mark.parametrize("run", RUNS)
async def test_a_run_is_found_by_its_id(redis: Redis, run: str) -> None:
    ledger = await heard(redis, *(("videos", one) for one in RUNS))
    assert await found(ledger, run) == [("videos", run)]
    assert await found(ledger, f"videos:{run}") == [("videos", run)]
    assert await run_named(ledger, run) == ("videos", run)


async def test_the_end_of_an_id_is_none(redis: Redis) -> None:
    ledger = await heard(redis, ("videos", "urn:run:7"))
    for part in ("7", "run:7"):
        with pytest.raises(CommandFailed) as caught:
            await find(ledger, part)
        assert caught.value.kind == "not_found"


async def test_of_two_sources_with_the_same_id_one_must_be_named(redis: Redis) -> None:
    ledger = await heard(redis, ("crawls", "42"), ("builds", "42"))
    with pytest.raises(CommandFailed, match="say builds:42 or crawls:42") as caught:
        await find(ledger, "42")
    assert caught.value.kind == "ambiguous"
    assert await found(ledger, "crawls:42") == [("crawls", "42")]
    assert [event.source for event in (await find(ledger, "42", "builds")).events] == ["builds"]


@pytest.mark.parametrize("word", ["*", "run_*", "[a-z]", "a b", "", "x" * 201])
async def test_what_is_no_id_finds_nothing(redis: Redis, word: str) -> None:
    ledger = await heard(redis, ("videos", "run_1"))
    with pytest.raises(CommandFailed) as caught:
        await find(ledger, word)
    assert caught.value.kind == "not_found"
