"""Errors that platforms have, as ours: provoked at the real door, or the reference says why they are never sent."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import cast

import pytest
import pytest_asyncio

from config.contracts.event import Event
from config.contracts.source import Source
from config.settings import load_settings
from receiver.app import create_app
from receiver.limits import Gate
from tests.receiver.conftest import SECRET
from tests.receiver.plain import PlainSource, TestQueue, plain_source
from tests.receiver.wire import Reply, Wire, running
from tests.ships.repository import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: The words of a platform's page of error codes, and its statuses, with what they stand for there.
ROWS = {
    "token_missing": 401,
    "token_invalid": 401,
    "project_required": 403,
    "request_invalid": 400,
    "url_required": 400,
    "format_unsupported": 400,
    "task_not_found": 404,
    "run_not_found": 404,
    "automation_not_found": 404,
    "payment_required": 402,
    "internal_error": 500,
} | {str(status): status for status in (400, 401, 402, 403, 404, 405, 408, 429, 500, 502, 503)}

RUN = b'{"run": "r1"}'


class Broken(PlainSource):
    """A bug of ours."""

    def parse(self, headers: Mapping[str, str], body: bytes, /) -> Event:
        raise LookupError("nobody thought of this")


@dataclass(frozen=True)
class House:
    """A receiver, and what is behind its door."""

    wire: Wire
    queue: TestQueue
    gate: Gate


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    queue = TestQueue()
    sources = {"plain": plain_source("plain", SECRET), "broken": cast("Source", Broken("broken", SECRET))}
    app = create_app(sources, queue, settings=load_settings(receive_timeout=0.3))
    async with running(app) as wire:
        yield House(wire, queue, app.state.gate)


async def nothing_came_along(house: House) -> Reply:
    return await house.wire.post("/webhooks/plain", RUN)


async def a_wrong_secret(house: House) -> Reply:
    return await house.wire.post("/webhooks/plain", RUN, "wrong")


async def no_json(house: House) -> Reply:
    return await house.wire.post("/webhooks/plain", b"{", SECRET)


async def no_source(house: House) -> Reply:
    return await house.wire.post("/webhooks/another", RUN, SECRET)


async def another_method(house: House) -> Reply:
    return await house.wire.send("GET", "/webhooks/plain")


async def half_a_body(house: House) -> Reply:
    async with house.wire.socket() as socket:
        headers = (f"Authorization: {SECRET}", "Content-Type: application/json", "Content-Length: 9")
        await socket.begin("/webhooks/plain", *headers)
        return await socket.reply()


async def a_full_house(house: House) -> Reply:
    most, house.gate.most = house.gate.most, 0
    try:
        return await house.wire.post("/webhooks/plain", RUN, SECRET)
    finally:
        house.gate.most = most


async def a_bug(house: House) -> Reply:
    return await house.wire.post("/webhooks/broken", RUN, SECRET)


async def no_redis(house: House) -> Reply:
    house.queue.answer = lambda _: []
    try:
        return await house.wire.post("/webhooks/plain", RUN, SECRET)
    finally:
        house.queue.forget()


Provoked = Callable[[House], Awaitable[Reply]]
#: Row → how it comes about here, and our word for it.
SENT: dict[str, tuple[Provoked, str]] = {
    "token_missing": (nothing_came_along, "token_missing"),
    "token_invalid": (a_wrong_secret, "token_invalid"),
    "request_invalid": (no_json, "request_invalid"),
    "internal_error": (a_bug, "internal_error"),
    "400": (no_json, "request_invalid"),
    "401": (nothing_came_along, "token_missing"),
    "404": (no_source, "source_not_found"),
    "405": (another_method, "method_not_allowed"),
    "408": (half_a_body, "request_timeout"),
    "429": (a_full_house, "rate_limited"),
    "500": (a_bug, "internal_error"),
    "503": (no_redis, "queue_unavailable"),
}


def never_sent() -> list[str]:
    """The first column of the table in the reference."""
    page = (ROOT / "docs/reference/http-api.md").read_text(encoding="utf-8")
    section = page.partition("### Never sent\n")[2].partition("\n### ")[0]
    return re.findall(r"^\| `?([a-z_0-9]+)`? \| \w", section, re.MULTILINE)


async def test_every_row_is_sent_or_the_reference_says_why_not() -> None:
    assert sorted([*SENT, *never_sent()]) == sorted(ROWS)


@pytest.mark.parametrize("row", SENT)
async def test_what_is_sent_has_the_shape_and_the_status(row: str, house: House) -> None:
    provoked, kind = SENT[row]
    reply = await provoked(house)
    assert (reply.status, reply.headers["content-type"], set(reply.json)) == (
        ROWS[row],
        "application/json",
        {"kind", "message"},
    )
    assert reply.kind == kind
    assert SECRET not in reply.json["message"]
