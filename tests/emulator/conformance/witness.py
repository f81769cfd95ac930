"""Sees every answer of an emulator under test, and holds each against the platform's document."""

from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.emulator.conformance.document import faults, operation

#: Larger answers are not looked at: they are pages of items, whose shape is theirs.
MOST = 2_000_000


@dataclass
class Testimony:
    """What was seen: which operations succeeded, and everything that was wrong."""

    succeeded: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


class Witness:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, testimony: Testimony) -> None:
        self.app, self.testimony = app, testimony

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seen = _Seen()

        async def overhear(message: Message) -> None:
            seen.take(message)
            await send(message)

        await self.app(scope, receive, overhear)
        self._judge(scope, seen)

    def _judge(self, scope: Scope, seen: "_Seen") -> None:
        found = operation(scope["method"], scope["raw_path"].decode("latin-1"))
        if found is None or not seen.whole:
            return
        if 200 <= seen.status < 300:
            self.testimony.succeeded.add(found.name)
        if scope["method"] != "HEAD" and not seen.packed:
            self.testimony.wrong += faults(found, seen.status, seen.content_type, bytes(seen.body))


@dataclass
class _Seen:
    status: int = 0
    content_type: str = ""
    packed: bool = False
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False

    def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = {name.lower(): value for name, value in message["headers"]}
            self.status = message["status"]
            self.content_type = headers.get(b"content-type", b"").decode("latin-1")
            self.packed = b"content-encoding" in headers
        elif message["type"] == "http.response.body":
            if len(self.body) < MOST:
                self.body += message.get("body", b"")
            self.whole = not message.get("more_body", False) and len(self.body) < MOST
