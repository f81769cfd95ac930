"""Many webhooks: a steady rate while two workers deliver, then a burst. Nothing is broken here but the peace."""

import asyncio
from dataclasses import dataclass

from tests.faults.load import Finished
from tests.faults.rig import Rig

#: Every so many webhooks one is about a run of its own; the others announce finishes that were announced before.
FRESH = 5


@dataclass(frozen=True)
class Pressure:
    """Webhooks a second, and for how long. `copies`: how often each webhook of the burst comes at the same time."""

    rate: float
    seconds: float
    burst: float
    burst_seconds: float
    copies: int


async def play(rig: Rig, pressure: Pressure) -> None:
    fresh = [await rig.platform.run(10) for _ in range(int(pressure.rate * pressure.seconds / FRESH))]
    await asyncio.sleep(3.0)
    known: list[Finished] = []
    await _send(rig, "steady", pressure.rate, pressure.seconds, fresh, known)
    await _send(rig, "burst", pressure.burst, pressure.burst_seconds, [], known, copies=pressure.copies)
    seconds = await rig.drained(300.0)
    rig.say(f"  all done {seconds} s later")


async def _send(
    rig: Rig, name: str, rate: float, seconds: float, fresh: list[Finished], known: list[Finished], copies: int = 1
) -> None:
    """At moments that do not depend on the answers."""
    rig.announcer.phase = name
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(0, int(rate * seconds), copies):
        if (ahead := began + number / rate - loop.time()) > 0.001:
            await asyncio.sleep(ahead)
        elif number % 40 == 0:
            await asyncio.sleep(0)
        if number % FRESH == 0 and fresh:
            known.append(fresh.pop())
            rig.announcer.announce(known[-1])
        else:
            rig.announcer.announce(rig.random.choice(known), copies=copies)
    took = loop.time() - began
    rig.history.tell("pressed", name=name, rate=round(rate * seconds / took), asked=rate)
    rig.say(f"  {name}: {rate * seconds:.0f} webhooks in {took:.1f} s")
