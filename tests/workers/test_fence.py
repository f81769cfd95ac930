"""Addresses that data chooses lead out into the world, or nowhere."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import aiohappyeyeballs
import pytest
from aiohttp import ClientConnectorError, ClientError, ClientSession, TCPConnector
from hypothesis import given
from hypothesis import strategies as st

from config.addresses import is_global, is_underneath, parsed
from config.contracts.api import Manners
from config.contracts.errors import Transient
from tests.workers.fetch.far_platform import ONCE, TOKEN, far, http, verdict
from tests.workers.never_asked import CARRIED, INNER4, INNER6, URLS, compatible, mapped, nat64, six_to_four, teredo
from workers.fence import Fenced, TrustedNames, fenced_session, public
from workers.fetch.api import HttpApi, open_session

OUT = ["93.184.215.14", "2606:4700:4700::1111"]
HTTP = re.compile("https?:")
Names = dict[str, list[list[str]]]


class Wire:
    """Where this process dials to. At every address that is not out in the world it is the canary who picks up; nobody
    does elsewhere, unless a test says who."""

    def __init__(self, canary: int) -> None:
        self.canary = canary
        self.outside: int | None = None
        self.dialled: list[str] = []
        self.picked_up = 0

    async def start_connection(self, addr_infos: Sequence[Any], **how: Any) -> socket.socket:
        address = addr_infos[0][4][0]
        self.dialled.append(address)
        port = self.outside if is_global(ip_address(address)) else self.canary
        if port is None:
            raise ConnectionRefusedError
        return await _start_connection([(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))], **how)


_start_connection = aiohappyeyeballs.start_connection


@pytest.fixture
async def wire(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Wire]:
    async def pick_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        world.picked_up += 1
        writer.close()

    server = await asyncio.start_server(pick_up, "127.0.0.1", 0)
    world = Wire(server.sockets[0].getsockname()[1])
    monkeypatch.setattr(aiohappyeyeballs, "start_connection", world.start_connection)
    yield world
    server.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """What each name resolves to, the first time, the second, and ever after; others are as `inet_aton` has them."""
    answers: Names = {}

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[Any]:
        told = answers.get(host)
        found = [_dotted(host)] if told is None else told.pop(0) if len(told) > 1 else told[0]
        return [_info(address, port) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return answers


def _dotted(host: str) -> str:
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return "127.0.0.1"


def _info(address: str, port: int) -> tuple[Any, ...]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    rest = (0, 0) if family == socket.AF_INET6 else ()
    return family, socket.SOCK_STREAM, 6, "", (address, port, *rest)


async def ask(session: ClientSession, url: str, **how: Any) -> str:
    """How it ended: `fenced`, `invalid`, or the status."""
    try:
        async with session.get(url, **how) as answer:
            return str(answer.status)
    except Fenced:
        return "fenced"
    except ClientConnectorError as exc:
        return "fenced" if isinstance(exc.os_error, Fenced) else "invalid"
    except (ClientError, ValueError, OSError):
        return "invalid"


# what data never chooses


def test_the_list_is_long() -> None:
    assert len(set(URLS)) >= 300


@pytest.mark.parametrize("url", URLS, ids=lambda url: ascii(url)[1:60])
def test_data_never_chooses(url: str) -> None:
    with pytest.raises(Fenced) as caught:
        public(url)
    assert (url not in str(caught.value)) or not url


@pytest.mark.parametrize(
    "url",
    [
        "https://bucket.s3.eu-central-1.amazonaws.com/key?X-Amz-Signature=a%2Fb",
        "http://example.com",
        "https://xn--bcher-kva.example/a/b#c",
        "https://EXAMPLE.com:443/",
        "http://example.com:80/?q=1",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/",
        "https://under_score.example.com/",
        "https://1.2.3.4.example.com/",
    ],
)
def test_addresses_of_the_world_may_be_chosen(url: str) -> None:
    assert public(url).host


SHARDS = st.sampled_from(
    [
        *"/:@.#?[]%\\ 0179axé。１",
        "http://",
        "https://",
        "127.0.0.1",
        "::1",
        "::ffff:",
        "example.com",
        "localhost",
        "xn--",
        "0x",
    ]
)


@given(text=st.lists(SHARDS | st.text(max_size=2), max_size=8).map("".join) | st.text().map("http://{}".format))
def test_whatever_passes_names_a_host_out_in_the_world(text: str) -> None:
    try:
        url = public(text)
    except Fenced:
        return
    address = parsed(url.raw_host or "")
    assert (url.scheme in {"http", "https"}, url.is_default_port(), url.user) == (True, True, None)
    assert is_global(address) if address else "." in (url.raw_host or "")


async def test_none_of_them_is_ever_dialled(wire: Wire, names: Names) -> None:
    async with fenced_session() as session:
        for url in URLS:
            assert await ask(session, url) in {"fenced", "invalid"}
    assert wire.picked_up == 0
    # `8.8.8.8` in the digits of other scripts is that address by the time it is asked
    assert set(wire.dialled) <= {"8.8.8.8"}


async def test_without_the_fence_most_of_them_are(wire: Wire, names: Names) -> None:
    """The canary sings: the test above would hear it."""
    async with ClientSession() as session:
        for url in filter(HTTP.match, URLS):
            await ask(session, url)
    assert wire.picked_up > 150


# where names lead


@pytest.mark.parametrize("found", [*([address] for address in (*INNER4, *INNER6)), [*OUT, "127.0.0.1"], ["::1", *OUT]])
async def test_one_address_that_is_not_public_spoils_a_name(wire: Wire, names: Names, found: list[str]) -> None:
    names["inner.example"] = [found]
    async with fenced_session() as session:
        assert await ask(session, "https://inner.example/") == "fenced"
    assert wire.dialled == []


async def test_a_name_that_changes_its_mind_is_dialled_where_it_was_checked(wire: Wire, names: Names) -> None:
    names["rebinding.example"] = [[OUT[0]], ["127.0.0.1"]]
    async with far(http(200)) as place, fenced_session(cookies={}) as session:
        wire.outside = place.port
        assert await ask(session, "http://rebinding.example/") == "200"
        assert wire.dialled == [OUT[0]]
        assert isinstance(session.connector, TCPConnector)
        session.connector.clear_dns_cache()
        assert await ask(session, "http://rebinding.example/") == "fenced"
    assert (wire.dialled, wire.picked_up) == ([OUT[0]], 0)


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1/", "//[::1]/", "http://inner.example/", "http://2130706433/", "http://localhost/"]
)
async def test_a_redirect_does_not_lead_back_inside(wire: Wire, names: Names, location: str) -> None:
    names |= {"outer.example": [OUT], "inner.example": [["10.0.0.1"]]}
    async with far(http(302, Location=location)) as place, fenced_session() as session:
        wire.outside = place.port
        assert await ask(session, "http://outer.example/") in {"fenced", "invalid"}
    assert (len(place.requests), wire.picked_up) == (1, 0)


async def test_nothing_is_taken_from_the_environment(wire: Wire, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    names["outer.example"] = [OUT]
    async with far(http(200, Set_Cookie="a=b")) as place, fenced_session() as session:
        wire.outside = place.port
        for _ in range(2):
            assert await ask(session, "http://outer.example/") == "200"
    assert [request.headers.get("cookie") for request in place.requests] == [None, None]


# names the operator wrote


@pytest.mark.parametrize(("found", "left"), [(["10.0.0.1"], 1), (["fe80::1", "10.0.0.1"], 1), (["127.0.0.1"], 1)])
async def test_the_operators_names_lead_anywhere_but_underneath(names: Names, found: list[str], left: int) -> None:
    names["redis"] = [found]
    assert len(await TrustedNames().resolve("redis")) == left


@pytest.mark.parametrize(
    "found", ["169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200", "::ffff:a9fe:a9fe"]
)
async def test_the_operators_names_do_not_lead_underneath(names: Names, found: str) -> None:
    names["redis"] = [[found]]
    with pytest.raises(Fenced, match="link-local or metadata"):
        await TrustedNames().resolve("redis")


# the platform's redirects


async def test_a_storage_host_inside_is_not_asked_and_the_api_on_this_machine_is(wire: Wire, names: Names) -> None:
    names["bucket.storage.test"] = [["10.0.0.5"]]
    async with far(http(302, Location="https://bucket.storage.test/x")) as own, open_session() as session:
        wire.canary = own.port
        manners = Manners(own.url, TOKEN, verdict, redirect_hosts=("storage.test",), patience=ONCE)
        with pytest.raises(Transient) as caught:
            await HttpApi(session, manners).get("/record")
    assert caught.value.detail.endswith(": the name leads to an address that is not public")
    assert (wire.dialled, len(own.requests)) == (["127.0.0.1"], 1)


async def test_a_storage_host_outside_is_asked_at_the_address_that_was_checked(wire: Wire, names: Names) -> None:
    names["bucket.storage.test"] = [[OUT[1]], ["127.0.0.1"]]
    async with far(http(302, Location="https://bucket.storage.test/x")) as own, open_session() as session:
        wire.canary = own.port
        manners = Manners(own.url, TOKEN, verdict, redirect_hosts=("storage.test",), patience=ONCE)
        with pytest.raises(Transient):
            await HttpApi(session, manners).get("/record")
    assert wire.dialled == ["127.0.0.1", OUT[1]]


# what an address is


@pytest.mark.parametrize("address", [*INNER4, *INNER6])
def test_special_addresses_are_not_global(address: str) -> None:
    assert not is_global(ip_address(address))


@pytest.mark.parametrize("address", [*OUT, "1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.1", "2a00:1450:4001::1"])
def test_addresses_of_the_world_are_global(address: str) -> None:
    assert is_global(ip_address(address))


@pytest.mark.parametrize("carry", [mapped, compatible, nat64, six_to_four, teredo])
def test_an_address_that_carries_another_is_not_global_and_is_seen_through(carry: Callable[[str], str]) -> None:
    assert not any(is_global(ip_address(carry(address))) for address in CARRIED)
    assert [address for address in CARRIED if is_underneath(carry(address))] == ["169.254.169.254"]


@given(st.ip_addresses())
def test_what_python_calls_private_is_not_global_here_either(address: IPv4Address | IPv6Address) -> None:
    assert not (is_global(address) and (not address.is_global or address.is_multicast or address.is_reserved))


@pytest.mark.parametrize(
    ("host", "underneath"),
    [
        ("169.254.169.254", True),
        ("[fe80::1%25eth0]", True),
        ("Metadata.Google.Internal.", True),
        ("instance-data", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("hooks.example.com", False),
        ("", False),
    ],
)
def test_what_is_underneath(host: str, underneath: bool) -> None:
    assert is_underneath(host) is underneath
