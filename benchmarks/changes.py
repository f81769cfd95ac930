"""What `only: {change: …}` costs: bytes of Redis for each key, microseconds for each item.

`python -m benchmarks.changes [--keys 10000 …]` prints them, for a route that wants new and changed items and for one
that wants removed ones, too, whose keys (URLs of 40 bytes) must be known by name. Three runs of as many items follow
each other through a Valkey of its own: all new; the same in another order; one in a hundred changed. Nothing is read or
sent: it is the comparing alone, with its checkpoints.
"""

import argparse
import asyncio
import json
import resource
import time
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import NamedTuple

from redis.asyncio import Redis

from config.contracts.delivery import Checkpoint, Delivery
from config.contracts.sink import Batch
from config.keys import Keys
from config.route import CHANGES, Change, Only
from console.embedded import embedded_valkey
from workers.ledger.changes import Changes
from workers.ledger.ledger import Ledger
from workers.ledger.records import Lease

#: items of one batch, as they are delivered
BATCH = 1000
KEYS = (10_000, 100_000, 1_000_000)
#: one in so many items of the third run is another than before
EVERY = 100
KINDS: Sequence[tuple[Change, ...]] = (("new", "changed"), CHANGES)


class Figures(NamedTuple):
    """`first`, `same`, `few`: microseconds for each item of the three runs. `sent`: items of each that were sent."""

    keys: int
    removed: bool
    bytes: float
    first: float
    same: float
    few: float
    sent: tuple[int, ...]


async def measured(redis: Redis, keys: int, change: tuple[Change, ...]) -> Figures:
    await redis.flushall()
    ledger, only = Ledger(redis, Keys("rr")), Only(change, ("url",), 10_000_000)
    took, sent = [], []
    for number in range(3):
        began = time.perf_counter()
        sent.append(await _deliver(ledger, only, keys, number))
        took.append((time.perf_counter() - began) / keys * 1e6)
    used = await redis.memory_usage(ledger.keys.last("route", "target"), samples=0)
    first, same, few = took
    return Figures(keys, "removed" in change, (used or 0) / keys, first, same, few, tuple(sent))


async def _deliver(ledger: Ledger, only: Only, keys: int, number: int) -> int:
    """The delivery of one run. Returns how many items were sent."""
    one = Delivery(
        id=f"d{number}", event_id="e", source="s", run_id=f"r{number}", life="", route="route", target="target",
        sink="k", cfg="", streams=("items:default",), turn=1e9 + number,
    )  # fmt: skip
    lease, sent = Lease("dl", one.id, 1), 0
    await ledger.redis.set(ledger.keys.lease(one.id), "1")
    changes = Changes(ledger, lease, one, only)
    await changes.begin()
    async for batch in _batches(keys, number):
        sifted = await changes.sift(batch)
        sent += sifted.batch.count
        await ledger.checkpoint(lease, Checkpoint(), None, await changes.parts(sifted.notes.values()))
    async for gone in changes.gone(keys, 0, BATCH):
        sent += gone.batch.count
    async for parts in changes.rest(keep=not changes.tells_of_gone):
        await ledger.checkpoint(lease, Checkpoint(), None, parts)
    # what the script does that ends a delivery
    await ledger.redis.rename(ledger.keys.next(one.id), ledger.keys.last(one.route, one.target))
    await ledger.redis.delete(ledger.keys.turns(one.route, one.target))
    return sent


async def _batches(keys: int, number: int) -> AsyncIterator[Batch]:
    order = list(range(keys))
    Random(number).shuffle(order)
    for index, begin in enumerate(range(0, keys, BATCH)):
        some = order[begin : begin + BATCH]
        yield Batch(index, begin, b"".join(_item(key, number) for key in some), len(some))


def _item(key: int, number: int) -> bytes:
    price = key % 1000 + (number == len(KINDS) and key % EVERY == 0)
    item = {"url": f"https://shop.example.com/products/{key:07}", "title": f"Product {key}", "price": price}
    return json.dumps(item | {"text": "x" * 200}).encode() + b"\n"


async def main(sizes: Sequence[int]) -> None:
    with embedded_valkey() as url:
        redis = Redis.from_url(url)
        for keys in sizes:
            for change in KINDS:
                one = await measured(redis, keys, change)
                print(
                    f"{one.keys:>9,} keys, {'with' if one.removed else 'without'} removed: "
                    f"{one.bytes:.0f} bytes a key; µs an item: {one.first:.0f} all new, {one.same:.0f} all the same, "
                    f"{one.few:.0f} one in {EVERY} changed; sent {', '.join(f'{sent:,}' for sent in one.sent)}"
                )
        await redis.aclose()
    print(f"most memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    wanted = argparse.ArgumentParser(prog="python -m benchmarks.changes", description=__doc__)
    wanted.add_argument("--keys", type=int, nargs="+", default=KEYS, help="how many")
    asyncio.run(main(wanted.parse_args().keys))
