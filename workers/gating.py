"""The gate of a route that expects something: reads a run as its targets would, and tells nobody but the ledger.

It is a delivery like any other, to a sink that only counts, so it has slices, checkpoints, retries and a receipt. It
ends by creating the deliveries it leads to: waiting if the run is as expected, in quarantine if not.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic import BaseModel

from config.contracts.delivery import Checkpoint, Delivery, DeliveryState
from config.contracts.document import Document
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.sink import Batch, Shipment, Taken, Writer
from config.route import GATE, BatchSize, Retry, Route, Target
from workers.ledger.records import Born
from workers.routing.expect import objections

#: What is said of a run in one line.
_MOST_SAID = 500


class _Nothing(BaseModel):
    """The gate has no options."""


def target_of(route: Route) -> Target:
    """The gate as a target."""
    retry = route.to[0].retry if route.to else Retry()
    return Target(GATE, "", None, "items", BatchSize(), retry, _Nothing())


def counts_only(route: Route) -> bool:
    """Whether the platform's own count says how many items `read` yields, and nothing else is asked."""
    read, expect = route.read, route.expect
    untouched = not read.clean and read.transform.where is None and read.transform.function is None
    return expect is not None and untouched and not read.transform.strict and not expect.reads


class Counting:
    """A sink that takes everything and keeps nothing."""

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        yield _Writer()


class _Writer:
    takes_pages = True

    @property
    def position(self) -> dict[str, Any] | None:
        return {}

    async def items(self, batch: Batch) -> Taken:
        return Taken(rows=batch.count, out=0, bytes=0, position={})

    async def document(self, document: Document) -> Taken:
        raise NotImplementedError("a gate looks at items only")

    async def publish(self) -> Taken:
        return Taken(rows=0, out=0, bytes=0)


def judged(
    route: Route, run: Run, at: Checkpoint, leads_to: Sequence[Delivery], usual: Sequence[int]
) -> tuple[list[Born], str]:
    """What a gate leads to, and what is not as expected; nothing if all is well.

    usual: how many items the last runs had that were as expected.
    """
    assert route.expect is not None, "a gate has something to expect"
    tally = _summed(at)
    said = "; ".join(objections(route.expect, run, tally, at.seen, usual))[:_MOST_SAID]
    facts: dict[str, Any] = {"items_read": tally.get("items", 0)}
    told = {target.name for target in route.expect.to}
    wanted = [one for one in leads_to if one.target not in told]
    if not said:
        return [Born(one, DeliveryState.WAITING, facts=facts) for one in wanted], ""
    facts |= {"held": said}
    held = [Born(one, DeliveryState.QUARANTINED, Reason.NOT_AS_EXPECTED.value, said, facts) for one in wanted]
    others = [one for one in leads_to if one.target in told]
    return [*held, *(Born(one, DeliveryState.WAITING, facts=facts) for one in others)], said


def _summed(at: Checkpoint) -> dict[str, int]:
    """The tally of all datasets together."""
    found: dict[str, int] = {}
    for name, number in at.tally.items():
        what = name.partition("|")[2]
        found[what] = found.get(what, 0) + number
    return found


def items_of(at: Checkpoint) -> int:
    return _summed(at).get("items", 0)
