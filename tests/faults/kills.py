"""Random kills of everything inside one loaded run: workers, the receiver at its commit, Valkey, and a far side in
trouble. Every worker that starts may carry a failpoint."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.faults.failpoints import STEPS, WHENS
from tests.faults.far_side import MODES
from tests.faults.rig import Rig

#: Trouble of the platform: what the emulator is told to do wrong. YAML as `docs/reference/emulator-faults.md` has it.
_ITEMS = "faults: [{match: GET /v2/datasets/*/items, %s}]"
UPSTREAM = {
    "503": _ITEMS % "answer: {status: 503}",
    "429": _ITEMS % "rate_limit: 60",
    "html": _ITEMS % "answer: {status: 200, body: <html>at your service</html>}",
    "truncated": _ITEMS % "truncate: 100",
    "empty": _ITEMS % "empty_page: true",
    "slow": _ITEMS % "slow: {pause: 0.2}",
    "late": _ITEMS % "delay: 1.5",
    "run": "faults: [{match: GET /v2/actor-runs/*, answer: {status: 502}}]",
}

#: Steps that few lives of a worker come to.
RARE = ("renew", "hand_back")
#: Deliveries that last so long that their lease has to be renewed.
LATE = "faults: [{match: GET /v2/datasets/*/items, delay: 11, times: %d}]"


@dataclass(frozen=True)
class Numbers:
    """How much of it. `seconds`: over which it is spread."""

    seconds: float
    rate: float
    workers: int
    receivers: int
    valkeys: int
    sinks: int
    upstream: int
    large: int
    rounds: int


async def play(rig: Rig, numbers: Numbers) -> None:
    _deal(rig, numbers)
    await rig.restart(rig.receiver, signal.SIGTERM)  # the next one carries the first failpoint
    rig.stream.rate = numbers.rate
    for _ in range(numbers.large):
        rig.announcer.announce(await rig.platform.run(100_000, kind="large"))
    began = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        group.create_task(_progress(rig, numbers))
        for at, fault in _schedule(rig, numbers):
            await asyncio.sleep(max(0.0, began + at - asyncio.get_running_loop().time()))
            group.create_task(fault())
    await _played_out(rig)
    await rig.platform.mend()
    for deck in rig.decks.values():
        deck.clear()


def _deal(rig: Rig, numbers: Numbers) -> None:
    chance = rig.random
    points = [
        f"{when}:{step}:{1 if step in RARE else chance.randint(1, 3)}"
        for _ in range(numbers.rounds)
        for step in STEPS
        for when in WHENS[step]
    ]
    chance.shuffle(points)
    rig.decks["worker"].share = 0.6
    rig.decks["worker"].add(_different(points))
    commits = [f"{chance.choice(WHENS['commit'])}:commit:{chance.randint(1, 12)}" for _ in range(numbers.receivers)]
    rig.decks["receiver"].add(_different(commits))


def _different(specs: list[str]) -> list[str]:
    """A failpoint's name is what it is known by: `take:2` and `take:2.1` are two of the same kind."""
    return [f"{spec}.{number}" for number, spec in enumerate(specs)]


def _schedule(rig: Rig, numbers: Numbers) -> list[tuple[float, Callable[[], Coroutine[Any, Any, None]]]]:
    chance = rig.random
    planned: list[tuple[float, Callable[[], Coroutine[Any, Any, None]]]] = []

    def spread(count: int, make: Callable[[], Callable[[], Coroutine[Any, Any, None]]]) -> None:
        planned.extend((chance.uniform(0, numbers.seconds), make()) for _ in range(count))

    spread(numbers.workers, lambda: partial(_kill_worker, rig, chance.randrange(2), chance.random() < 0.7))
    spread(numbers.valkeys, lambda: partial(_kill_valkey, rig))
    spread(numbers.sinks, lambda: partial(rig.trouble, chance.choice(MODES), 0.25, chance.uniform(1, 3)))
    upstream = sorted(UPSTREAM) * numbers.upstream
    chance.shuffle(upstream)
    spread(len(upstream), lambda: partial(_trouble_upstream, rig, upstream.pop()))
    return sorted(planned, key=lambda each: each[0])


async def _kill_worker(rig: Rig, number: int, hard: bool) -> None:
    worker = rig.workers[number]
    await worker.up()
    rig.history.tell("fault", kind="worker.kill" if hard else "worker.term", pid=worker.pid)
    worker.send(signal.SIGKILL if hard else signal.SIGTERM)


_valkey = asyncio.Lock()


async def _kill_valkey(rig: Rig) -> None:
    async with _valkey:
        rig.history.tell("fault", kind="valkey.kill")
        rig.valkey.kill()
        await rig.valkey.start()


async def _trouble_upstream(rig: Rig, name: str) -> None:
    rig.history.tell("fault", kind=f"upstream.{name}")
    await rig.platform.fault(UPSTREAM[name])


async def _progress(rig: Rig, numbers: Numbers) -> None:
    for second in range(0, int(numbers.seconds), 20):
        left = {name: len(deck.left) for name, deck in rig.decks.items()}
        rig.say(f"  {second:4d} s  webhooks {rig.announcer.number}, open {rig.backlog}, failpoints left {left}")
        await asyncio.sleep(20)


async def _played_out(rig: Rig) -> None:
    """The load goes on, and workers come and go more slowly, until every failpoint has fired. One that nobody comes to
    is given up; the checker will say so."""
    rig.decks["worker"].share = 1.0
    for turn in range(30):
        if not (left := [point for deck in rig.decks.values() for point in deck.left]):
            return
        rig.say(f"  waiting for {', '.join(left[:8])}")
        await _kill_worker(rig, turn % 2, hard=False)
        await rig.trouble("500", 0.2, 2.0)
        late = [point for point in left if ":renew:" in point]
        if late:
            await rig.platform.fault(LATE % 10)
        await asyncio.sleep(14 if late and len(late) == len(left) else 2)
