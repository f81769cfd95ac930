"""Those that are told: an HTTP server that takes messages of any service, and a mail server."""

import asyncio
import email
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from aiohttp import web


@dataclass
class Phone:
    """`answers` are statuses for the next requests, 200 once they are used up; `pause` seconds pass before each, and
    each `says` something."""

    port: int = 0
    says: str = "ok"
    answers: list[int] = field(default_factory=list)
    pause: float = 0.0
    tried: int = 0
    told: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/?format=text"

    @property
    def messages(self) -> list[str]:
        return [one["message"] for one in self.told]

    def items(self, run: str) -> list[bytes]:
        return []

    def documents(self, run: str) -> list[bytes]:
        return [text.encode() for text in self.messages if f" {run} " in f" {text} "]

    async def take(self, request: web.Request) -> web.Response:
        self.tried += 1
        await asyncio.sleep(self.pause)
        body = await request.text()
        status = self.answers.pop(0) if self.answers else 200
        if status < 300:
            self.told.append(json.loads(body))
            self.headers.append(dict(request.headers))
        where = {"Location": "/elsewhere"} if 300 <= status < 400 else {}
        return web.Response(status=status, text=self.says, headers=where)


@asynccontextmanager
async def phone() -> AsyncIterator[Phone]:
    side = Phone()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", side.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    side.port = runner.addresses[0][1]
    try:
        yield side
    finally:
        await runner.cleanup()


@dataclass
class MailServer:
    """As much of RFC 5321 as a client needs that logs in and sends. `refuse`: command → answer, instead of its own."""

    port: int = 0
    mails: list[Message] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test ESMTP\r\n")
        while line := await reader.readline():
            word = line.split()[0].decode().upper() if line.split() else ""
            writer.write(await self.answer(word, reader, writer))
            if word == "QUIT":
                break
        writer.close()

    async def answer(self, word: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        if word in self.refuse:
            return f"{self.refuse[word]}\r\n".encode()
        if word == "EHLO":
            return b"250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n"
        if word == "AUTH":
            return b"235 welcome\r\n"
        if word == "DATA":
            writer.write(b"354 go on\r\n")
            text = await reader.readuntil(b"\r\n.\r\n")
            self.mails.append(email.message_from_bytes(text[:-5]))
        return b"221 bye\r\n" if word == "QUIT" else b"250 ok\r\n"


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    side = MailServer()
    server = await asyncio.start_server(side.talk, "127.0.0.1", 0)
    side.port = server.sockets[0].getsockname()[1]
    try:
        yield side
    finally:
        server.close()


def parts(mail: Message) -> dict[str, str]:
    """Content type → text of each part."""
    found = {}
    for part in mail.walk():
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            found[part.get_content_type()] = payload.decode()
    return found
