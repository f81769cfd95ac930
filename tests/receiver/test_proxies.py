"""Whose address counts when somebody stands in between: the last one on the way that is no proxy of ours."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from starlette.applications import Starlette

from config.settings import load_settings
from receiver.app import create_app
from receiver.serve import serve
from tests.receiver.conftest import SECRET
from tests.receiver.plain import TestQueue, plain_source
from tests.receiver.wire import Wire, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROXIES = load_settings(proxies="127.0.0.1, 10.0.0.0/8, 2001:db8:1::/48").trusted_proxies


@pytest.fixture(scope="module")
def app() -> Starlette:
    fenced = plain_source("fenced", SECRET, networks=["192.0.2.0/24", "2001:db8:2::/48"])
    return create_app({"fenced": fenced}, TestQueue(), settings=load_settings())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wire(app: Starlette) -> AsyncIterator[Wire]:
    async with running(app, proxies=PROXIES) as opened:
        yield opened


async def status(wire: Wire, *headers: str) -> int:
    async with wire.socket() as socket:
        given = [*headers, f"Authorization: Bearer {SECRET}", "Content-Type: application/json", "Content-Length: 13"]
        await socket.begin("/webhooks/fenced", *given)
        await socket.say(b'{"run": "r1"}')
        return (await socket.reply()).status


@pytest.mark.parametrize(
    "told",
    [
        "192.0.2.7",
        "192.0.2.7, 10.0.0.2",
        "192.0.2.7,10.0.0.2 , 10.255.255.255",
        "203.0.113.9, 192.0.2.7",
        "192.0.2.7:4711, 10.0.0.2:80",
        "::ffff:192.0.2.7",
        "192.0.2.7, ::ffff:10.0.0.2",
        "2001:db8:2::7",
        "[2001:db8:2::7]:4711, 2001:db8:1::1",
        "2001:0DB8:0002:0000::7",
        "nonsense, 192.0.2.7",
    ],
)
async def test_the_last_address_that_is_no_proxy_of_ours_counts(wire: Wire, told: str) -> None:
    assert await status(wire, f"X-Forwarded-For: {told}") == 200


@pytest.mark.parametrize(
    "told",
    [
        "192.0.2.7, 203.0.113.9",
        "192.0.2.7, 203.0.113.9, 10.0.0.2",
        "192.0.2.7, 2001:db8:3::1",
        "192.0.2.7, nonsense",
        "192.0.2.7, unknown, 10.0.0.2",
        "192.0.2.7,",
        "192.0.2.7, , 10.0.0.2",
        ", 192.0.2.7,",
        "10.0.0.2",
        "",
        '"192.0.2.7"',
        "for=192.0.2.7",
        "192.0.2.7 203.0.113.9",
        "192.0.2.7\t",
        "0xc0000207",
        "3221225991",
        "192.0.2.007",
        "192.0.2.0/24",
    ],
)
async def test_an_address_a_sender_made_up_does_not(wire: Wire, told: str) -> None:
    trimmed = told.strip() == "192.0.2.7"  # white space at the end is none of the value (RFC 9110, 5.5)
    assert await status(wire, f"X-Forwarded-For: {told}") == (200 if trimmed else 403)


async def test_several_headers_are_one_list_in_their_order(wire: Wire) -> None:
    assert await status(wire, "X-Forwarded-For: 192.0.2.7", "X-Forwarded-For: 203.0.113.9") == 403
    assert await status(wire, "X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 192.0.2.7") == 200


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded: for=192.0.2.7",
        "X-Real-IP: 192.0.2.7",
        "X-Client-IP: 192.0.2.7",
        "CF-Connecting-IP: 192.0.2.7",
        "True-Client-IP: 192.0.2.7",
        "X-Forwarded-Host: 192.0.2.7",
        "X-Forwarded_For: 192.0.2.7",
    ],
)
async def test_no_other_header_names_an_address(wire: Wire, header: str) -> None:
    assert await status(wire, header) == 403


async def test_a_proxy_is_known_on_a_socket_that_takes_ipv6_too(app: Starlette, wire: Wire) -> None:
    """There 127.0.0.1 is `::ffff:127.0.0.1`."""
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(app, "::", 0, url.set_result, stop=stop, proxies=PROXIES))
    over_ipv4 = (await url).replace("[::]", "127.0.0.1")
    both = Wire(over_ipv4, wire.session, stop, serving)
    assert await status(both, "X-Forwarded-For: 192.0.2.7") == 200
    assert await status(both, "X-Forwarded-For: 192.0.2.7, 203.0.113.9") == 403
    stop.set()
    await serving
