"""Failpoints waiting to be dealt to processes that start. One that did not fire comes again."""

import random
from collections import deque
from collections.abc import Iterable
from pathlib import Path


class Deck:
    """`share`: how many starts are dealt one, while there are any."""

    def __init__(self, fired: Path, chance: random.Random, share: float = 1.0) -> None:
        self.fired, self.random, self.share = fired, chance, share
        self._waiting: deque[str] = deque()
        self._out: dict[str, str] = {}

    def add(self, specs: Iterable[str]) -> None:
        self._waiting.extend(specs)

    def clear(self) -> None:
        self._waiting.clear()
        self._out.clear()

    @property
    def left(self) -> list[str]:
        """Those that have not fired."""
        return [*self._waiting, *(each for each in self._out.values() if not (self.fired / each).exists())]

    def deal(self, name: str) -> str | None:
        before = self._out.pop(name, None)
        if before and not (self.fired / before).exists():
            self._waiting.append(before)
        if not self._waiting or self.random.random() >= self.share:
            return None
        self._out[name] = self._waiting.popleft()
        return self._out[name]
