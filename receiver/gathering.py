"""One packet an answer: uvicorn writes head and body apart, and each would be a system call, a packet and a wake-up."""

import asyncio


class Gathering:
    """The part of a transport that answers are written to. What is written in one turn of the loop leaves together."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self.loop = loop
        self.pieces: list[bytes] = []

    def write(self, piece: bytes) -> None:
        if not self.pieces:
            self.loop.call_soon(self.flush)
        self.pieces.append(piece)

    def flush(self) -> None:
        if self.pieces and not self.transport.is_closing():  # uvloop raises where nobody is left to write to
            self.transport.write(b"".join(self.pieces))
        self.pieces.clear()

    def write_eof(self) -> None:
        self.flush()
        self.transport.write_eof()

    def close(self) -> None:
        self.flush()
        self.transport.close()

    def abort(self) -> None:
        self.pieces.clear()
        self.transport.abort()

    def is_closing(self) -> bool:
        return self.transport.is_closing()
