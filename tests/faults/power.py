"""Power loss: every process dies at once, and Valkey's file loses whatever was written behind the last answer that a
webhook heard. Harsher than the real thing, which also keeps what workers were told."""

import asyncio
import signal

from tests.faults.rig import Rig, until
from tests.faults.valkey import lose_power

#: Webhooks that are on their way through when it happens.
IN_FLIGHT = 60


async def play(rig: Rig, times: int) -> None:
    for number in range(times):
        if number:
            await rig.drained(60.0)
        await _once(rig)


async def _once(rig: Rig) -> None:
    rig.stream.rate = 0
    for _ in range(IN_FLIGHT):
        rig.announcer.announce(await rig.stream.ripe())

    async def answered() -> bool:
        return rig.announcer.open == 0

    await until(answered)
    synced = rig.valkey.aof.stat().st_size
    await asyncio.sleep(rig.random.uniform(0.1, 0.6))
    rig.valkey.kill()
    for each in rig.ours:
        each.send(signal.SIGKILL)
    lost = lose_power(rig.valkey.aof, synced, rig.random)
    rig.history.tell("fault", kind="power")
    rig.history.tell("power", lost=lost)
    rig.say(f"  {lost} bytes of Valkey's file are lost")
    await rig.valkey.start()
    await rig.open_door()
