"""How much one sender may ask of us: body size, time to send it, and requests at the same time. Pure ASGI."""

import asyncio
from typing import Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.contracts.errors import Refused
from config.contracts.kinds import Kind
from receiver.answers import draining

#: bytes of the largest body that is read
MOST_BYTES = 1024 * 1024

#: bytes of the largest request line and headers together
MOST_HEAD_BYTES = 16 * 1024

#: seconds for the headers to arrive, and again for the body
RECEIVE_SECONDS = 10.0

#: webhooks under way at the same time
MOST_AT_ONCE = 1000

#: bytes of all bodies under way together; one sender's burst of large ones must not fill the memory
MOST_BYTES_AT_ONCE = 64 * MOST_BYTES

#: key of a scope whose request has come whole: nobody has to wait for any of it
WHOLE = "runrelay.whole"

#: seconds a sender should wait when we are full
BUSY_RETRY_AFTER = 5


class Gate:
    """Counts who is inside, lets in no more than fit, and nobody once it is closing.

    Attributes:
        inside: requests under way.
        held: bytes of their bodies.
        draining: set by `drain`; whoever is inside may finish.
        empty: set while nobody is inside.
    """

    def __init__(self, most: int = MOST_AT_ONCE, most_bytes: int = MOST_BYTES_AT_ONCE) -> None:
        self.most = most
        self.most_bytes = most_bytes
        self.inside = 0
        self.held = 0
        self.draining = False
        self.empty = asyncio.Event()
        self.empty.set()

    def drain(self) -> None:
        self.draining = True

    def entered(self) -> "Visit":
        """A visit, to be ended as a context. Raises Refused: draining, or rate_limited when full."""
        self.check_open()
        self.check_room(self.inside < self.most)
        self.inside += 1
        self.empty.clear()
        return Visit(self)

    def check_room(self, room: bool) -> None:
        if not room:
            headers = {"Retry-After": str(BUSY_RETRY_AFTER)}
            raise Refused(Kind.RATE_LIMITED, "too many webhooks at the same time; send it again later", headers)

    def check_open(self) -> None:
        """Raises Refused (draining) once the process is stopping."""
        if self.draining:
            raise draining()


class Visit:
    """One request inside the gate, and how many bytes it holds."""

    __slots__ = ("gate", "held")

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.held = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.inside -= 1
        self.gate.held -= self.held
        if not self.gate.inside:
            self.gate.empty.set()

    def hold(self, size: int) -> None:
        """Raises Refused (rate_limited) when all bodies together would be too much."""
        self.gate.check_room(self.gate.held + size <= self.gate.most_bytes)
        self.held += size
        self.gate.held += size


class Limits:
    """ASGI middleware: what is inside sees a body that is small enough and came in time, or never sees its end."""

    def __init__(self, app: ASGIApp, *, gate: Gate, seconds: float, most_bytes: int = MOST_BYTES) -> None:
        self.app = app
        self.gate = gate
        self.seconds = seconds
        self.most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.gate.entered() as visit:
            await self.app(scope, self.limited(visit, scope, receive), send)

    def limited(self, visit: Visit, scope: Scope, receive: Receive) -> Receive:
        declared = int(dict(scope["headers"]).get(b"content-length", 0))
        deadline = asyncio.get_running_loop().time() + self.seconds

        async def receive_within() -> Message:
            self.check_size(declared)
            # most bodies come with their head, and a timer costs more than all that is done here
            message = await (receive() if scope.get(WHOLE) else self.in_time(receive, deadline))
            visit.hold(len(message.get("body", b"")))
            self.check_size(visit.held)
            return message

        return receive_within

    async def in_time(self, receive: Receive, deadline: float) -> Message:
        try:
            async with asyncio.timeout_at(deadline):
                return await receive()
        except TimeoutError:
            raise Refused(Kind.REQUEST_TIMEOUT, f"send the whole body within {self.seconds:g} seconds") from None

    def check_size(self, size: int) -> None:
        if size > self.most_bytes:
            raise Refused(Kind.PAYLOAD_TOO_LARGE, f"send at most {self.most_bytes} bytes; trim the payload template")
