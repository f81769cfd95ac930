"""`per: item`: a request for each item, in order, one or a few under way at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import takewhile

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Rejected, Taken

#: Seconds after which no more items of a batch are begun: what is confirmed by then is checkpointed.
_STEP = 10.0
#: What keeps an item, and no other, from being taken.
OF_ITEM = frozenset({Reason.ITEM_REFUSED, Reason.TEMPLATE_FAILED})

#: Sends the item of a row; returns the bytes of its request.
Send = Callable[[int, bytes], Awaitable[int]]
Row = tuple[int, bytes]
#: Bytes of a request that was confirmed, or what was refused.
End = int | Rejected


class Each:
    """What is confirmed counts, also if what comes after it fails: the failure is raised at the next call."""

    def __init__(self, send: Send, parallel: int) -> None:
        self.send, self.parallel = send, parallel
        self.trouble: Exception | None = None

    async def items(self, batch: Batch) -> Taken:
        rows = list(zip(batch.numbers, batch.items(), strict=False))
        ends: dict[int, End] = {}
        if self.trouble is None:
            todo = enumerate(rows)
            until = asyncio.get_running_loop().time() + _STEP
            await asyncio.gather(*(self._work(todo, ends, until) for _ in range(self.parallel)))
        # Behind a gap nothing counts: it comes again, with the same ids.
        sure = [ends[at] for at in takewhile(ends.__contains__, range(len(rows)))]
        if self.trouble is not None and not sure:
            raise self.trouble
        return _taken(batch, rows, sure)

    async def _work(self, todo: Iterator[tuple[int, Row]], ends: dict[int, End], until: float) -> None:
        """One of those that share the batch: each takes the next item as soon as its last one is confirmed."""
        loop = asyncio.get_running_loop()
        for at, (number, item) in todo:
            try:
                ends[at] = await self._end(number, item)
            except Exception as exc:  # also of the pace, which is kept in Redis
                self.trouble = self.trouble or exc
            if self.trouble is not None or loop.time() >= until:
                return

    async def _end(self, number: int, item: bytes) -> End:
        try:
            return await self.send(number, item)
        except Permanent as no:
            if no.reason in OF_ITEM:
                return Rejected(number, no.detail)
            raise


def _taken(batch: Batch, rows: list[Row], sure: list[End]) -> Taken:
    sizes = [end for end in sure if isinstance(end, int)]
    return Taken(
        rows=len(sizes),
        out=len(sizes),
        bytes=sum(sizes),
        position={"row": rows[len(sure) - 1][0] + 1 if sure else batch.offset},
        rejected=tuple(end for end in sure if isinstance(end, Rejected)),
        left=len(rows) - len(sure),
    )
