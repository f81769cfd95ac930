"""Group commit: what many callers want to make durable at the same time goes in one flush.

One flush is under way at a time; whatever arrives meanwhile goes with the next, and with none under way the next begins
at once: nobody waits for a timer. So an fsync costs one flush, however many callers share it. A flush ends in time for
whoever waits in it the longest, so that no caller needs a timer of its own.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

#: Most items of one flush, and most bytes: a flush must not take so long that those behind it give up.
MOST = 500
MOST_BYTES = 4 * 1024 * 1024


class _Waiting(NamedTuple, Generic[Item, Answer]):
    items: Sequence[Item]
    size: int
    until: float
    answers: "asyncio.Future[Sequence[Answer]]"


class GroupCommit(Generic[Item, Answer]):
    """Hands items to `commit` in groups.

    commit: makes items durable, all or with an error, and gives one answer for each, in order.
    size: bytes of an item.
    seconds: within which each caller has its answers, or a TimeoutError.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        size: Callable[[Item], int],
        seconds: float,
    ) -> None:
        self._commit, self._size, self._seconds = commit, size, seconds
        self._waiting: deque[_Waiting[Item, Answer]] = deque()
        self._flushing: asyncio.Task[None] | None = None

    async def __call__(self, items: Sequence[Item]) -> Sequence[Answer]:
        """One answer for each item. Raises what `commit` raised for the group they were in.

        A caller that is cancelled before its flush began takes its items with it.
        """
        loop = asyncio.get_running_loop()
        answers: asyncio.Future[Sequence[Answer]] = loop.create_future()
        self._waiting.append(_Waiting(items, sum(map(self._size, items)), loop.time() + self._seconds, answers))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return await answers

    async def _flush(self) -> None:
        try:
            while group := self._next():
                await self._settle(group)
        finally:
            self._flushing = None
            for left in self._waiting:
                left.answers.cancel()
            self._waiting.clear()

    def _next(self) -> list[_Waiting[Item, Answer]]:
        """The longest waiting, as many as fit; one always does."""
        group: list[_Waiting[Item, Answer]] = []
        count, size = 0, 0
        while self._waiting:
            first = self._waiting[0]
            count, size = count + len(first.items), size + first.size
            if group and (count > MOST or size > MOST_BYTES):
                break
            self._waiting.popleft()
            if not first.answers.cancelled():
                group.append(first)
        return group

    async def _settle(self, group: list[_Waiting[Item, Answer]]) -> None:
        items = [item for one in group for item in one.items]
        try:
            async with asyncio.timeout_at(group[0].until):
                answers = await self._commit(items)
        except Exception as exc:
            for one in group:
                if not one.answers.done():
                    one.answers.set_exception(exc)
            return
        begin = 0
        for one in group:
            if not one.answers.done():
                one.answers.set_result(answers[begin : begin + len(one.items)])
            begin += len(one.items)
