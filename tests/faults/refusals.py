"""A Redis that answers, and says no. While it does the door must say 503; when it stops, all must be well again soon,
without anybody's help."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from redis.asyncio import Redis

from config.keys import Keys
from tests.faults.rig import Rig, free_port, until
from workers.ledger.ledger import Ledger

#: Seconds each refusal lasts, once answers of before it have died down.
LASTS = 4.0

#: What a webhook may hear meanwhile: 503, what is refused before Redis is asked, and `duplicate`, which writes nothing.
REFUSED = frozenset({"503", "400", "401", "422", "duplicate"})

Act = Callable[[Rig, Any], Awaitable[None]]


class Refusal(NamedTuple):
    """How to make Redis refuse, and how to end it. `settles`: seconds within which the door must have noticed."""

    begin: Act
    end: Act
    settles: float = 2.2


async def play(rig: Rig, rate: float, rounds: int) -> None:
    rig.stream.rate = rate
    for _ in range(rounds):
        for kind, refusal in REFUSALS.items():
            await _one(rig, kind, refusal)


async def _one(rig: Rig, kind: str, refusal: Refusal) -> None:
    probe = await rig.platform.run(3, kind="probe")
    rig.history.tell("fault", kind=f"refuse.{kind}")
    async with Redis.from_url(rig.valkey.url) as redis:
        await refusal.begin(rig, redis)
        await asyncio.sleep(refusal.settles)
        rig.announcer.listen()
        await asyncio.sleep(LASTS)
        heard = dict(rig.announcer.heard)
        unlike = {answer: number for answer, number in heard.items() if answer not in REFUSED}
        rig.history.tell("refused", kind=kind, heard=heard, unlike=unlike)
        await refusal.end(rig, redis)
        seconds = await _healed(rig, redis, probe.id, lambda: rig.announcer.announce(probe))
    for part, took in seconds.items():
        rig.history.tell("healed", kind=kind, part=part, seconds=took)
    rig.say(f"  {kind}: heard {heard}, well again after {seconds}")


async def _healed(rig: Rig, redis: Any, run: str, announce: Callable[[], None]) -> dict[str, float | None]:
    """Seconds until a new webhook is taken, and until its run is delivered."""
    ledger = Ledger(redis, Keys("rr"))
    began = time.monotonic()
    announce()

    async def taken() -> bool:
        return bool((await ledger.of_run("apify", run))[0])

    async def delivered() -> bool:
        _, found = await ledger.of_run("apify", run)
        return bool(found) and all(one.state.final for one in found)

    seconds: dict[str, float | None] = {}
    for part, ask in (("the door", taken), ("the workers", delivered)):
        try:
            await until(ask, 40.0)
            seconds[part] = round(time.monotonic() - began, 2)
        except TimeoutError:
            seconds[part] = None
    return seconds


async def _become_replica(rig: Rig, redis: Any) -> None:
    await redis.replicaof("127.0.0.1", free_port())


async def _become_primary(rig: Rig, redis: Any) -> None:
    await redis.replicaof("NO", "ONE")


async def _fill(rig: Rig, redis: Any) -> None:
    told = await redis.info("memory")
    await redis.config_set("maxmemory", told["used_memory"] // 2)


async def _empty(rig: Rig, redis: Any) -> None:
    await redis.config_set("maxmemory", "0")


async def _fail_to_save(rig: Rig, redis: Any) -> None:
    """A snapshot cannot be written: a folder lies where it should be."""
    (rig.valkey.folder / "taken").mkdir(exist_ok=True)
    await redis.config_set("dbfilename", "taken")
    await redis.config_set("save", "3600 1")
    await redis.bgsave()

    async def failed() -> bool:
        told = await redis.info("persistence")
        return bool(told["rdb_last_bgsave_status"] == "err")

    await until(failed)


async def _save_no_more(rig: Rig, redis: Any) -> None:
    await redis.config_set("save", "")
    await redis.config_set("dbfilename", "dump.rdb")


async def _load_slowly(rig: Rig, redis: Any) -> None:
    """It starts anew, and takes its time with each key."""
    await redis.bgrewriteaof()

    async def rewritten() -> bool:
        told = await redis.info("persistence")
        return not told["aof_rewrite_in_progress"] and not told["aof_rewrite_scheduled"]

    await until(rewritten)
    pause = int((LASTS + 5) * 1e6 / max(1, await redis.dbsize()))
    rig.valkey.kill()
    await rig.valkey.start(
        *("--key-load-delay", str(pause), "--loading-process-events-interval-bytes", "1024"), wait=False
    )


async def _have_loaded(rig: Rig, redis: Any) -> None:
    await rig.valkey.answers(60.0)
    await redis.config_set("key-load-delay", "0")


async def _evict(rig: Rig, redis: Any) -> None:
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    await rig.restart(rig.receiver)
    await rig.open_door()


async def _evict_no_more(rig: Rig, redis: Any) -> None:
    await redis.config_set("maxmemory-policy", "noeviction")


async def _sync_seldom(rig: Rig, redis: Any) -> None:
    await redis.config_set("appendfsync", "everysec")
    await rig.restart(rig.receiver)
    await rig.open_door()


async def _sync_always(rig: Rig, redis: Any) -> None:
    await redis.config_set("appendfsync", "always")


#: What it says or is. Being full it says only to scripts whose first write adds something: there the door's own look,
#: every 5 s, decides. The last two are looked at when a receiver starts.
REFUSALS = {
    "READONLY": Refusal(_become_replica, _become_primary),
    "OOM": Refusal(_fill, _empty, settles=6.0),
    "MISCONF": Refusal(_fail_to_save, _save_no_more),
    "LOADING": Refusal(_load_slowly, _have_loaded),
    "evicting": Refusal(_evict, _evict_no_more),
    "syncing seldom": Refusal(_sync_seldom, _sync_always),
}
