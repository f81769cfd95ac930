"""What becomes of a batch before it is written: what the route and the target make of it, what of that has changed, and
what is counted for a route that expects something."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from config.apart import Apart, StillRunning
from config.contracts.errors import Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Rejected
from config.route import Expect
from workers.ledger.changes import Changes, Notes
from workers.rejecting import Reject, with_items
from workers.routing.changes import Note
from workers.routing.clean import clean
from workers.routing.expect import NOTHING, count
from workers.routing.shaping import Shaper

#: Where functions of somebody's own run. One that did not return in time is not called again until it has.
_OWN = Apart(1)


class Part(NamedTuple):
    """What belongs to some of the rows of a batch."""

    rejected: Sequence[Rejected]
    rejects: Sequence[Reject]
    tally: Mapping[str, int]
    seen: Mapping[str, str]
    notes: Sequence[Note]


class Refined(NamedTuple):
    """A batch that is ready to be written.

    Attributes:
        end: one past the last row of the batch it was made of.
        rejected, rejects: items whose types did not fit, for a `strict` route or target, and those without a key.
        tally, seen: what was counted on the way: see `Checkpoint`.
        notes: what is remembered of each row once the target has it.
    """

    batch: Batch
    end: int
    rejected: Sequence[Rejected] = ()
    rejects: Sequence[Reject] = ()
    tally: Mapping[str, int] = MappingProxyType({})
    seen: Mapping[str, str] = MappingProxyType({})
    notes: Notes = MappingProxyType({})

    def part(self, begin: int, end: int, refused: Sequence[Rejected]) -> Part:
        """What belongs to the rows from `begin` to before `end`, of which the target refused some. What was counted
        belongs to the last part."""
        bad, last = {one.offset for one in refused}, end == self.end
        notes = ((row, note) for row, note in self.notes.items() if begin <= row < end)
        return Part(
            [one for one in self.rejected if begin <= one.offset < end],
            [one for one in self.rejects if begin <= one.row < end],
            self.tally if last else {},
            self.seen if last else {},
            [note.refused() if row in bad else note for row, note in notes],
        )


@dataclass(frozen=True, slots=True)
class Refining:
    """The way of one stream.

    Attributes:
        stream: what is counted is counted under its name.
        shaper: of `read`, then of the target.
        clean: whether empty items and hidden fields are dropped first.
        expect: what is counted.
        changes: what the target was last delivered; None if it is sent everything.
    """

    stream: str
    shaper: Shaper
    clean: bool = False
    expect: Expect | None = None
    changes: Changes | None = None

    async def refine(self, batch: Batch) -> Refined:
        """Raises Permanent, Transient while a function of somebody's own hangs, or what Redis raises."""
        end = batch.offset + batch.count
        if self.clean or not self.shaper.idle or self.expect:
            refined = await self._made(batch, end)
        else:
            refined = Refined(batch, end)
        if self.changes is None:
            return refined
        sifted = await self.changes.sift(refined.batch)
        return refined._replace(
            batch=sifted.batch,
            rejected=(*refined.rejected, *sifted.rejected),
            rejects=(*refined.rejects, *with_items(sifted.rejected, refined.batch)),
            notes=sifted.notes,
        )

    def counted(self, items: int) -> dict[str, int]:
        """The tally of items that nobody needs to look at."""
        return {f"{self.stream}|items": items}

    async def _made(self, batch: Batch, end: int) -> Refined:
        functions = " and ".join(self.shaper.functions)
        if not functions:
            return await asyncio.to_thread(self._refined, batch, end)
        try:
            return await _OWN.call(functions, self._refined, batch, end)
        except StillRunning:
            said = f"`{functions}` has not returned from an earlier turn, which still holds its thread"
            raise Transient(Reason.TOO_SLOW, f"{said}: mend it, then restart the worker") from None

    def _refined(self, batch: Batch, end: int) -> Refined:
        left = clean(batch)[0] if self.clean else batch
        began = time.perf_counter()
        shaped = self.shaper.shape(left)
        spent = {} if self.shaper.idle else {"micros": round((time.perf_counter() - began) * 1e6)}
        counted = count(self.expect, shaped.batch) if self.expect else NOTHING
        tally = {f"{self.stream}|{name}": number for name, number in {**shaped.tally, **counted.tally, **spent}.items()}
        rejects = with_items(shaped.rejected, left)
        return Refined(shaped.batch, end, shaped.rejected, rejects, tally, counted.seen)


def warnings_of(stream: str, tally: Mapping[str, int]) -> list[str]:
    """What is probably not meant, from what was counted of a stream."""
    counts = {name.partition("|")[2]: number for name, number in tally.items() if name.startswith(f"{stream}|")}
    seen, kept = counts.get("seen", 0), counts.get("kept", 0)
    if not seen:
        return []
    said = [f"`where` let none of {seen} items through"] if not kept else []
    if clashes := counts.get("clash"):
        said.append(f"the types of {clashes} of {seen} items did not fit an expression")
    made = (name.removeprefix("made:") for name in sorted(counts) if name.startswith("made:"))
    return [*said, *(f"`{name}` is null in every item" for name in made if not counts.get(f"has:{name}"))]
