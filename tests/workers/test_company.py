"""A suspect runs by itself: what else the process does ends first, and what comes meanwhile waits."""

import asyncio

import pytest

from workers.company import Company
from workers.ledger.ledger import Suspect


class Turns:
    """Turns that last until they are told to end."""

    def __init__(self) -> None:
        self.company = Company()
        self.running: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}

    def begin(self, name: str, *, suspect: bool = False) -> asyncio.Task[None]:
        end = self.ends[name] = asyncio.Event()

        async def work(alone: bool) -> None:
            if suspect and not alone:
                raise Suspect(name)
            self.running.append(name)
            try:
                await end.wait()
            finally:
                self.running.remove(name)

        return asyncio.create_task(self.company.turn(work))

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await idle()


async def idle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_suspect_waits_until_it_is_alone_and_keeps_others_out() -> None:
    turns = Turns()
    tasks = [turns.begin("a"), turns.begin("b")]
    await idle()
    tasks.append(turns.begin("suspect", suspect=True))
    await idle()
    assert (turns.running, turns.company.wanted) == (["a", "b"], 1)
    tasks.append(turns.begin("late"))
    await idle()
    await turns.end("a")
    assert turns.running == ["b"]
    await turns.end("b")
    assert turns.running == ["suspect"]
    await turns.end("suspect")
    assert (turns.running, turns.company.wanted) == (["late"], 0)
    await turns.end("late")
    await asyncio.gather(*tasks)
    assert turns.company.turns == 0


async def test_two_suspects_run_one_after_the_other() -> None:
    turns = Turns()
    tasks = [turns.begin("one", suspect=True), turns.begin("two", suspect=True)]
    await idle()
    assert turns.running == ["one"]
    await turns.end("one")
    assert turns.running == ["two"]
    await turns.end("two")
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("running", [True, False])
async def test_a_suspect_that_is_cancelled_keeps_nobody_out(running: bool) -> None:
    turns = Turns()
    first = None if running else turns.begin("first")
    suspect = turns.begin("suspect", suspect=True)
    await idle()
    suspect.cancel()
    await idle()
    late = turns.begin("late")
    await idle()
    assert "late" in turns.running
    for name in turns.ends:
        await turns.end(name)
    await asyncio.gather(late, *([first] if first else []))
    assert (turns.company.turns, turns.company.wanted) == (0, 0)
