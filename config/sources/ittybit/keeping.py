"""A few things kept in memory, up to a number of bytes."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Those that were used last. most: bytes of all together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._things: OrderedDict[K, tuple[int, V]] = OrderedDict()

    def get(self, name: K) -> V | None:
        if name not in self._things:
            return None
        self._things.move_to_end(name)
        return self._things[name][1]

    def put(self, name: K, thing: V, size: int) -> None:
        """Others go for it; one that is too large by itself is not kept."""
        before, _ = self._things.pop(name, (0, None))
        self._held -= before
        if size > self._most:
            return
        self._things[name] = (size, thing)
        self._held += size
        while self._held > self._most:
            self._held -= self._things.popitem(last=False)[1][0]
