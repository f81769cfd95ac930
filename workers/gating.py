"""The gate of a route that expects something: reads a run as its targets would, and tells nobody but the ledger.

It is a delivery like any other, to a sink that only counts, so it has slices, checkpoints, retries and a receipt. It
ends by creating the deliveries it leads to: waiting if the run is as expected, in quarantine if not.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from pydantic import BaseModel

from config.contracts.delivery import Checkpoint, DeliveryState
from config.contracts.document import Document
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.sink import Batch, Shipment, Taken, Writer
from config.route import GATE, BatchSize, Retry, Route, Target
from workers.ledger.records import Born, LeadsTo
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


class Verdict(NamedTuple):
    """What a gate says of a run.

    Attributes:
        born: the deliveries it leads to.
        items: how many it has.
        held: what is not as expected; empty if all is well.
        facts: names that the templates of those deliveries know.
    """

    born: list[Born]
    items: int
    held: str
    facts: dict[str, Any]


def judged(route: Route, run: Run, at: Checkpoint, leads_to: LeadsTo, usual: Sequence[int]) -> Verdict:
    """usual: how many items the last runs had that were as expected."""
    assert route.expect is not None, "a gate has something to expect"
    tally = _summed(at)
    items = tally.get("items", 0)
    held = "; ".join(objections(route.expect, run, tally, at.seen, usual))[:_MOST_SAID]
    facts: dict[str, Any] = {"items_read": items, "held": held or None}
    if held:
        kept = (DeliveryState.QUARANTINED, Reason.NOT_AS_EXPECTED.value, held, facts)
        born = [Born(one, *kept) for one in leads_to.wanted]
        born += [Born(one, DeliveryState.WAITING, facts=facts) for one in leads_to.told]
    else:
        born = [Born(one, DeliveryState.WAITING, facts=facts) for one in leads_to.wanted]
    return Verdict(born, items, held, facts)


def _summed(at: Checkpoint) -> dict[str, int]:
    """The tally of all datasets together."""
    found: dict[str, int] = {}
    for name, number in at.tally.items():
        what = name.partition("|")[2]
        found[what] = found.get(what, 0) + number
    return found
