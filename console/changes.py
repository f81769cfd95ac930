"""What is remembered of the targets that are told of changes only, and forgetting it."""

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import msgspec

from config.contracts.errors import ConfigInvalid
from config.routes import RouteTable
from config.settings import Settings
from console.failures import CommandFailed
from console.opening import open_table
from workers.ledger.changes import META, Meta
from workers.ledger.ledger import Ledger

#: Buckets that are measured, for the size of all.
_SAMPLES = 500


@dataclass(frozen=True)
class Memory:
    """What one target was last delivered.

    Attributes:
        target: `route/target`.
        keys: how many items are known by their key.
        bytes: of Redis' memory.
        source, run: the run that was delivered last; empty before the first.
        finished: when it finished, in ms; 0 before the first.
        waiting: deliveries that wait for their turn or have it.
        orphan: whether the file has no such target, or none that asks for changes; None if it cannot be read.
    """

    target: str
    keys: int
    bytes: int
    source: str
    run: str
    finished: int
    waiting: int
    orphan: bool | None


class Forgot(StrEnum):
    """What became of the wish to forget: `known` is nothing that was remembered."""

    DONE = "done"
    KNOWN = "known"
    UNDER_WAY = "under_way"


def asking_targets(settings: Settings) -> frozenset[str] | None:
    """Those that the file has; None if it cannot be used."""
    try:
        return frozenset(_asking(open_table(settings)))
    except ConfigInvalid:
        return None


def _asking(table: RouteTable) -> list[str]:
    routes = (*table.routes, *((table.unmatched,) if table.unmatched else ()))
    return [f"{route.name}/{target.name}" for route in routes for target in route.targets if target.only]


async def memories(ledger: Ledger, asking: frozenset[str] | None) -> AsyncIterator[Memory]:
    """All there are, by name."""
    prefix = ledger.keys.last("", "")[:-1]
    found = [raw.decode() async for raw in ledger.redis.scan_iter(f"{prefix}*", count=1000)]
    for key in sorted(found):
        yield await _memory(ledger, key, key.removeprefix(prefix), asking)


async def _memory(ledger: Ledger, key: str, target: str, asking: frozenset[str] | None) -> Memory:
    route, _, name = target.partition("/")
    text = await cast("Awaitable[bytes | None]", ledger.redis.hget(key, META))
    meta = msgspec.json.decode(text, type=Meta) if text else Meta("")
    return Memory(
        target=target,
        keys=meta.count,
        bytes=await ledger.redis.memory_usage(key, samples=_SAMPLES) or 0,
        source=meta.source,
        run=meta.run,
        finished=round(meta.finished * 1000),
        waiting=await ledger.redis.zcard(ledger.keys.turns(route, name)),
        orphan=None if asking is None else target not in asking,
    )


async def remembered(ledger: Ledger, target: str, asking: frozenset[str] | None) -> Memory:
    """Of one target. Raises CommandFailed if nothing is."""
    known = [one async for one in memories(ledger, asking)]
    for one in known:
        if one.target == target:
            return one
    names = ", ".join(one.target for one in known) or "none"
    raise CommandFailed("not_found", f"nothing is remembered of {target!r}: known are {names}")


async def forget(ledger: Ledger, target: str) -> Forgot:
    """The next run is delivered as if it were the first."""
    return Forgot((await ledger.run("unlearn", target)).decode())
