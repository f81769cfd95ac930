"""`bisect: true`: a batch that is refused is halved, down to the items the receiver cannot take.

A request's id is the rows in it, so no two pieces share one. Where a batch was cut is kept with the checkpoint, each
cut and each piece by itself: a process that goes on sends the piece it would have sent, although its reader cuts
batches at other places by then, and no row is ever confirmed under two ids.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from config.contracts.errors import Permanent
from config.contracts.sink import Batch, Rejected, Taken
from workers.sinks._http_each import OF_ITEM

#: Sends a piece; returns the bytes of its request.
Send = Callable[[Batch], Awaitable[int]]


class Halves:
    """One request a call.

    Attributes:
        cuts: row numbers that a piece must not reach over, the next one last.
    """

    def __init__(self, send: Send, position: Mapping[str, Any] | None) -> None:
        self.send = send
        self.cuts: list[int] = list((position or {}).get("cuts", ()))

    async def items(self, batch: Batch) -> Taken:
        cuts = [cut for cut in self.cuts if cut > batch.numbers[0]]
        if not cuts or cuts[0] < _end(batch):
            cuts.insert(0, _end(batch))
        piece = _before(batch, cuts[-1])
        try:
            size = await self.send(piece)
        except Permanent as no:
            if no.reason not in OF_ITEM:
                raise
            return self._refused(batch, piece, cuts, no.detail)
        rows = _count(piece)
        return self._through(batch, piece, cuts, Taken(rows=rows, out=1, bytes=size))

    def _refused(self, batch: Batch, piece: Batch, cuts: list[int], why: str) -> Taken:
        if (count := _count(piece)) == 1:
            nothing = Taken(rows=0, out=0, bytes=0, rejected=(Rejected(piece.offset, why),))
            return self._through(batch, piece, cuts, nothing)
        self.cuts = [*cuts, piece.numbers[count // 2]]
        return Taken(rows=0, out=0, bytes=0, position={"cuts": self.cuts}, left=_count(batch))

    def _through(self, batch: Batch, piece: Batch, cuts: list[int], taken: Taken) -> Taken:
        self.cuts = [cut for cut in cuts if cut > piece.numbers[_count(piece) - 1] + 1]
        left = _count(batch) - _count(piece)
        return replace(taken, position={"cuts": self.cuts}, left=left)


def _count(batch: Batch) -> int:
    return batch.lines.count(b"\n")


def _end(batch: Batch) -> int:
    return batch.numbers[_count(batch) - 1] + 1


def _before(batch: Batch, cut: int) -> Batch:
    """Its rows below that number."""
    count = sum(number < cut for number in batch.numbers[: _count(batch)])
    lines = b"".join(item + b"\n" for item in batch.items()[:count])
    kept = None if batch.kept is None else batch.kept[:count]
    return Batch(batch.index, batch.numbers[0], lines, count, kept)
