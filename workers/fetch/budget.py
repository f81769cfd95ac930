"""How many bytes of pages all readers of one process hold together."""

import asyncio
from collections import deque

#: For everything that is beyond each reader's own small page.
BYTES = 64 * 1024 * 1024


class Budget:
    """Bytes to share, for readers of one event loop. Whoever waits is served in turn and must hold nothing meanwhile:
    then whoever does hold something can always finish, and nobody waits for ever."""

    def __init__(self, most: int = BYTES) -> None:
        self.most = most
        self.free = most
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def take(self, size: int) -> bool:
        """At once or not at all; nobody is overtaken."""
        if self._waiting or size > self.free:
            return False
        self.free -= size
        return True

    async def wait(self, size: int) -> None:
        """Until `size` bytes are there; at most all there are."""
        size = min(size, self.most)
        if self.take(size):
            return
        turn = (size, asyncio.get_running_loop().create_future())
        self._waiting.append(turn)
        try:
            await turn[1]
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
                self._serve()
            else:
                self.give(turn[0])
            raise

    def give(self, size: int) -> None:
        """Back to the others."""
        self.free += size
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.free:
            size, turn = self._waiting.popleft()
            self.free -= size
            turn.set_result(None)
