"""Somebody at the other end of the wire who writes exactly the bytes a test wants, and breaks off where it says."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from config.contracts.api import Manners, Patience
from config.contracts.errors import Permanent, WorkError
from config.contracts.reasons import Reason
from workers.fetch.api import Deadlines, HttpApi, Session

TOKEN = "token-0123456789"
ONCE = Patience(tries=1)


@dataclass(frozen=True)
class Say:
    """One answer. `then`: `close` the connection, `reset` it, or be `silent`; `pause` seconds between pieces."""

    raw: bytes
    then: str = "close"
    pieces: tuple[bytes, ...] = ()
    pause: float = 0.0


def http(status: int, body: bytes = b"", then: str = "close", **headers: object) -> Say:
    """A whole answer with a Content-Length; headers with `_` for `-`; None leaves one out."""
    named: dict[str, object] = {"Content_Length": len(body), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in named.items() if value is not None]
    head = "\r\n".join([f"HTTP/1.1 {status} As Told", "Connection: close", *lines, "", ""])
    return Say(head.encode() + body, then)


def chunked(*chunks: bytes, ended: bool = True, then: str = "close", **headers: object) -> Say:
    """An answer in chunks, with or without the last, empty one."""
    head = http(200, b"", "close", Content_Length=None, Transfer_Encoding="chunked", **headers).raw
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return Say(head + body + (b"0\r\n\r\n" if ended else b""), then)


@dataclass
class Request:
    """One request as it came."""

    line: str
    headers: Mapping[str, str]


@dataclass
class Far:
    """One listener. Answers in the order given, the last one for ever.

    Attributes:
        requests: whatever came.
        pieces: how many pieces of answers somebody has read, or the system keeps for them.
    """

    port: int = 0
    answers: list[Say] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    pieces: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        line, *rest = head.strip().split("\r\n")
        self.requests.append(
            Request(line, {name.lower(): value for name, _, value in (r.partition(": ") for r in rest)})
        )
        say = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            await self._write(writer, say)
        except ConnectionError:
            writer.close()

    async def _write(self, writer: asyncio.StreamWriter, say: Say) -> None:
        writer.write(say.raw)
        await writer.drain()
        for piece in say.pieces:
            await asyncio.sleep(say.pause)
            writer.write(piece)
            await writer.drain()
            self.pieces += 1
        if say.then == "reset":
            await asyncio.sleep(0.05)
            writer.transport.abort()
        elif say.then == "close":
            writer.close()


@asynccontextmanager
async def far(*answers: Say) -> AsyncIterator[Far]:
    place = Far(answers=list(answers))
    server = await asyncio.start_server(place.serve, "127.0.0.1", 0, limit=2**20)
    place.port = server.sockets[0].getsockname()[1]
    try:
        yield place
    finally:
        server.close()


class Refusal(Permanent):
    """The verdict of the tests: it keeps what it was shown."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(Reason.SOURCE_REFUSED, f"HTTP {status}")
        self.status, self.headers, self.body = status, headers, body


def verdict(status: int, headers: Mapping[str, str], body: bytes) -> WorkError:
    return Refusal(status, headers, body)


class Bare(TCPConnector):
    """Leaves out the encryption of https and takes every name for this machine, so that a test can listen in."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        super().__init__()
        self._ports = ports

    def _get_ssl_context(self, req: object) -> None:
        return None

    async def _resolve_host(self, host: str, port: int, traces: object = None) -> list[object]:  # type: ignore[override]  # its own types are private
        return [{"hostname": host, "host": "127.0.0.1", "port": self._ports[host], "family": 2, "proto": 0, "flags": 0}]


@asynccontextmanager
async def api(
    base_url: str,
    *hosts: str,
    ports: Mapping[str, int] | None = None,
    deadlines: Deadlines | None = None,
) -> AsyncIterator[HttpApi]:
    """A client of `base_url` that asks once. `hosts`: suffixes a redirect may lead to; `ports`: where each name really
    listens."""
    manners = Manners(base_url=base_url, token=TOKEN, verdict=verdict, redirect_hosts=hosts, patience=ONCE)
    connector = Bare(ports) if ports else None
    async with ClientSession(connector=connector, timeout=ClientTimeout(total=None, sock_read=0.3)) as session:
        yield HttpApi(Session(session, session), manners, deadlines=deadlines or Deadlines())
