"""Talking to a receiver: over aiohttp for what a decent client sends, over a bare socket for everything else."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import ClientSession
from starlette.applications import Starlette

from receiver.serve import serve


@dataclass(frozen=True)
class Reply:
    """An answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def kind(self) -> str:
        return str(self.json["kind"])


class Wire:
    """One running receiver, seen from outside."""

    def __init__(self, url: str, session: ClientSession, stop: asyncio.Event, serving: "asyncio.Task[None]") -> None:
        self.url = url
        self.session = session
        self.stop = stop
        self.serving = serving

    async def send(self, method: str, path: str, **how: Any) -> Reply:
        async with self.session.request(method, self.url + path, **how) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, headers, await response.read())

    async def post(self, path: str, body: bytes, secret: str | None = None, **headers: str) -> Reply:
        given = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        if secret is not None:
            given["Authorization"] = secret
        return await self.send("POST", path, data=body, headers=given)

    @asynccontextmanager
    async def socket(self) -> AsyncIterator["Socket"]:
        parts = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            yield Socket(reader, writer)
        finally:
            writer.close()


@dataclass(frozen=True)
class Socket:
    """A connection without manners."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def begin(self, path: str, *headers: str) -> None:
        await self.say("\r\n".join([f"POST {path} HTTP/1.1", "Host: here", *headers, "", ""]).encode("latin-1"))

    async def reply(self) -> Reply:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        return Reply(
            int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers.get("content-length", 0)))
        )

    def vanish(self) -> None:
        """Hang up in the middle, with a reset."""
        self.writer.transport.abort()

    async def closed(self) -> bool:
        """Waits for the far side to hang up."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True


@asynccontextmanager
async def running(app: Starlette, **how: Any) -> AsyncIterator[Wire]:
    """The app on a free port, for as long as the block lasts."""
    stop = asyncio.Event()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, address.set_result, stop=stop, **how))
    async with ClientSession() as session:
        yield Wire(await address, session, stop, serving)
    stop.set()
    await serving
