"""Cuts the connections to Valkey at each kind of round trip, on either side of it."""

import asyncio
import random
import time
from collections import Counter
from hashlib import sha1

from redis.asyncio import Redis

from config.keys import Keys
from config.scripts import script
from tests.faults.failpoints import LEDGER
from tests.faults.history import History
from tests.faults.kills import LATE
from tests.faults.proxy import Proxy
from tests.faults.rig import Rig
from workers.ledger.ledger import Ledger

#: Round trips that every run must have cut: the scripts of the door and the ledger, and what arq does to find and to
#: begin a job and to end it. Whatever else is seen is cut as well.
KINDS = (
    "accept",
    *LEDGER,
    *("ZRANGEBYSCORE", "WATCH", "EXISTS", "ZSCORE", "UNWATCH"),
    *("MULTI+PSETEX+EXEC", "MULTI+GET+INCRBY+EXPIRE+EXEC", "MULTI+ZREM+DEL+EXEC"),
)
#: Seconds between two cuts of the same kind, so that work goes on in between.
GAP = 1.0
#: Seconds for each cut of a kind, after which one that nobody comes to is waited for no longer.
LONGEST = 8.0


class Cuts:
    """Chooses what is cut: `each` times every kind, both sides in turn."""

    def __init__(self, each: int, chance: random.Random, history: History) -> None:
        self.each, self.random, self.history = each, chance, history
        self.done: Counter[str] = Counter()
        self._last: dict[str, float] = {}

    def choose(self, kind: str) -> str | None:
        now = time.monotonic()
        if self.done[kind] >= self.each or now - self._last.get(kind, 0.0) < GAP * (0.5 + self.random.random()):
            return None
        side = ("before", "after")[self.done[kind] % 2]
        self.done[kind] += 1
        self._last[kind] = now
        self.history.tell("fault", kind=f"cut:{kind}", side=side)
        return side

    @property
    def left(self) -> list[str]:
        return [kind for kind in KINDS if self.done[kind] < self.each]


async def play(rig: Rig, rate: float, each: int) -> None:
    cuts = Cuts(each, rig.random, rig.history)
    proxy = Proxy(rig.valkey.port, cuts.choose, _scripts())
    server = await proxy.serve()
    try:
        await rig.all_anew(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
        rig.stream.rate = rate
        began = time.monotonic()
        while cuts.left and time.monotonic() < began + LONGEST * each:
            rig.say(f"  cut {sum(cuts.done.values())} times, left: {', '.join(cuts.left)}")
            await rig.trouble("500", 0.2, 8.0)  # so that leases are handed back, too,
            if "renew" in cuts.left:
                await _last_long(rig)
            await asyncio.sleep(10)
    finally:
        await rig.platform.mend()
        await rig.all_anew()
        server.close()
    rig.history.tell("seen", kinds=dict(proxy.seen))


async def _last_long(rig: Rig) -> None:
    """Deliveries that have to renew their lease, announced whatever waits already."""
    await rig.platform.fault(LATE % 18)
    for _ in range(6):
        rig.announcer.announce(await rig.stream.ripe())


def _scripts() -> dict[str, str]:
    """sha1 → name, as our processes call them."""
    ledger = Ledger(Redis(), Keys("rr"))
    door = sha1(script("config", "accept").encode(), usedforsecurity=False).hexdigest()
    return {one.sha: name for name, one in ledger._scripts.items()} | {door: "accept"}
