"""Stands between our processes and Valkey, and cuts connections: before a request goes through, or after it went
through and before its answer comes back. Knows the requests by what they do, so that each kind is cut in turn."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

#: kind → "before", "after", or None to let it pass.
Choose = Callable[[str], str | None]


class Proxy:
    """`choose` decides about each request; `seen` counts them by kind. `names`: sha1 → script, as EVALSHA calls it."""

    def __init__(self, port: int, choose: Choose, names: dict[str, str]) -> None:
        self.port, self.choose, self.names = port, choose, names
        self.seen: Counter[str] = Counter()

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=1 << 20)

    async def _connected(self, ours: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            theirs, forth = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        except OSError:
            back.transport.abort()
            return
        answering = asyncio.create_task(_pass_on(theirs, back))
        try:
            with suppress(OSError):
                await self._requests(ours, forth, answering)
        finally:
            answering.cancel()
            for each in (back, forth):
                each.transport.abort()

    async def _requests(
        self, ours: asyncio.StreamReader, forth: asyncio.StreamWriter, answering: "asyncio.Task[None]"
    ) -> None:
        request = b""
        while piece := await ours.read(1 << 16):
            request += piece
            if (words := commands(request)) is None or answering.done():
                continue
            kind = self._kind(words)
            self.seen[kind] += 1
            side = self.choose(kind)
            if side == "before":
                return
            if side == "after":
                answering.cancel()
            forth.write(request)
            await forth.drain()
            if side == "after":
                await asyncio.sleep(0.02)  # long enough for it to be done, and nobody hears of it
                return
            request = b""

    def _kind(self, words: list[str]) -> str:
        named = [self.names.get(word, word) for word in words]
        return "+".join(dict.fromkeys(named))


def commands(data: bytes) -> list[str] | None:
    """The name of each command, a script's by its sha1; None while the last one has not come whole."""
    words, at = [], 0
    while at < len(data):
        parts, at = _array(data, at)
        if at > len(data) or not parts:
            return None
        name = parts[0].decode().upper()
        words.append(parts[1].decode() if name == "EVALSHA" else name)
    return words


def _array(data: bytes, at: int) -> tuple[list[bytes], int]:
    """The strings of one RESP array and where it ends, beyond the data if it is not all there."""
    parts = []
    end = data.find(b"\r\n", at)
    for _ in range(int(data[at + 1 : end]) if end > 0 else 0):
        at, end = end + 2, data.find(b"\r\n", end + 2)
        if end < 0:
            return [], at
        begin = end + 2
        end = begin + int(data[at + 1 : end])
        parts.append(data[begin:end])
    return parts, end + 2


async def _pass_on(theirs: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await theirs.read(1 << 16):
            back.write(piece)
            await back.drain()
    back.transport.abort()
