"""Who calls at the same time shares a flush; who calls alone does not wait."""

import asyncio
from collections.abc import Sequence

import pytest

from config import group_commit
from config.group_commit import GroupCommit


class Store:
    """Makes words durable, one flush after another, each once `gate` lets it."""

    def __init__(self) -> None:
        self.flushes: list[list[str]] = []
        self.under_way = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def commit(self, words: Sequence[str]) -> list[str]:
        self.flushes.append(list(words))
        assert not self.under_way, "one flush at a time"
        self.under_way = True
        try:
            await self.gate.wait()
        finally:
            self.under_way = False
        if "bad" in words:
            raise OSError("refused")
        return [word.upper() for word in words]

    def door(self, seconds: float = 60) -> GroupCommit[str, str]:
        return GroupCommit(self.commit, size=len, seconds=seconds)


async def settled() -> None:
    """Until everything that can go on has."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_whoever_comes_during_a_flush_goes_with_the_next() -> None:
    store = Store()
    door = store.door()
    store.gate.clear()
    first = asyncio.create_task(door(["a"]))
    await settled()
    later = [asyncio.create_task(door([word])) for word in "bcd"]
    await settled()
    assert store.flushes == [["a"]]
    store.gate.set()
    assert [await first, *[await one for one in later]] == [["A"], ["B"], ["C"], ["D"]]
    assert store.flushes == [["a"], ["b", "c", "d"]]


async def test_a_caller_alone_is_flushed_at_once() -> None:
    store = Store()
    door = store.door()
    assert [await door(["a"]), await door(["b", "c"])] == [["A"], ["B", "C"]]
    assert store.flushes == [["a"], ["b", "c"]]


async def test_each_gets_its_own_answers_however_many_it_brought() -> None:
    store = Store()
    door = store.door()
    answers = await asyncio.gather(door(["a", "b"]), door(["c"]), door([]), door(["d", "e", "f"]))
    assert list(answers) == [["A", "B"], ["C"], [], ["D", "E", "F"]]
    assert store.flushes == [["a", "b", "c", "d", "e", "f"]]


async def test_a_flush_that_fails_fails_those_in_it_and_nobody_else() -> None:
    store = Store()
    door = store.door()
    store.gate.clear()
    before = asyncio.create_task(door(["a"]))
    await settled()
    together = [asyncio.create_task(door([word])) for word in ("bad", "b")]
    await settled()
    store.gate.set()
    assert await before == ["A"]
    for one in together:
        with pytest.raises(OSError, match="refused"):
            await one
    assert await door(["c"]) == ["C"]


async def test_a_caller_that_gave_up_before_its_flush_is_left_out_of_it() -> None:
    store = Store()
    door = store.door()
    store.gate.clear()
    first = asyncio.create_task(door(["x"]))
    await settled()
    gone = asyncio.create_task(door(["y"]))
    last = asyncio.create_task(door(["z"]))
    await settled()
    gone.cancel()
    store.gate.set()
    assert [await first, await last] == [["X"], ["Z"]]
    assert store.flushes == [["x"], ["z"]]


async def test_a_caller_that_gives_up_during_its_flush_disturbs_nobody() -> None:
    store = Store()
    door = store.door()
    store.gate.clear()
    gone, stays = asyncio.create_task(door(["a"])), asyncio.create_task(door(["b"]))
    await settled()
    gone.cancel()
    await settled()
    store.gate.set()
    assert await stays == ["B"]
    assert await door(["c"]) == ["C"]


@pytest.mark.parametrize(
    ("most", "most_bytes", "flushes"), [(2, 99, ["ab", "cd", "exyz"]), (99, 2, ["ab", "cd", "e", "xyz"])]
)
async def test_a_flush_is_no_larger_than_those_behind_it_can_wait_for(
    most: int, most_bytes: int, flushes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MOST", most)
    monkeypatch.setattr(group_commit, "MOST_BYTES", most_bytes)
    store = Store()
    door = store.door()
    answers = await asyncio.gather(*[door([word]) for word in "abcde"], door(["xyz"]))
    assert list(answers) == [["A"], ["B"], ["C"], ["D"], ["E"], ["XYZ"]]
    assert ["".join(flush) for flush in store.flushes] == flushes


async def test_a_flush_that_takes_too_long_ends_for_all_in_it_and_those_behind_it_go_on() -> None:
    store = Store()
    door = store.door(seconds=0.1)
    store.gate.clear()
    first = asyncio.create_task(door(["a"]))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(door(["b"]))
    with pytest.raises(TimeoutError):
        await first
    store.gate.set()
    assert await second == ["B"]
    assert store.flushes == [["a"], ["b"]]


async def test_a_flush_has_the_time_that_is_left_to_whoever_waits_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines, timeout_at = [], asyncio.timeout_at

    def noted(when: float) -> asyncio.Timeout:
        deadlines.append(when)
        return timeout_at(when)

    monkeypatch.setattr(asyncio, "timeout_at", noted)
    store, now = Store(), asyncio.get_running_loop().time
    door = store.door(seconds=60)
    store.gate.clear()
    began = [now()]
    callers = [asyncio.create_task(door(["a"]))]
    await asyncio.sleep(0.01)
    began.append(now())
    callers.append(asyncio.create_task(door(["b"])))
    await asyncio.sleep(0.01)
    callers.append(asyncio.create_task(door(["c"])))
    await asyncio.sleep(0.01)
    store.gate.set()
    await asyncio.gather(*callers)
    assert store.flushes == [["a"], ["b", "c"]]
    assert [round(when - since, 2) for when, since in zip(deadlines, began, strict=True)] == [60, 60]
