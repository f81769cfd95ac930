"""The way out to addresses that data chose, for instance a redirect: global ones only, and the address that was checked
is the one connected to.

What the operator wrote is trusted to lead anywhere but to link-local and metadata addresses.
"""

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, ClientSession, DummyCookieJar, TCPConnector
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from config.addresses import is_global, is_underneath, parsed

#: Labels of letters, digits, hyphens and underscores; the last begins with a letter, so that no number in any base is
#: a name, and there are two at least, so that none means a neighbour.
_NAME = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_AUTHORITY = re.compile(r"https?://(?:\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]+)?(?:[/?#][!-~]*)?\Z")


class Fenced(OSError):
    """Nobody is sent there. `strerror` says why; it names no address, which may be somebody's secret."""

    def __init__(self, why: str) -> None:
        super().__init__(None, why)


def public(text: str) -> URL:
    """The http(s) URL in `text`, if data may choose it: a host name or a global address in plain ASCII, the
    scheme's own port, no user info. Where a name leads is seen when it is resolved: in a `fenced_session`.

    Raises Fenced.
    """
    if not _AUTHORITY.match(text):
        raise Fenced("not a plain http or https address")
    try:
        url = URL(text)
    except ValueError:
        raise Fenced("not a plain http or https address") from None
    if not url.is_default_port():
        raise Fenced("a port of its own choice")
    if not _leads_out(url.raw_host or ""):
        raise Fenced("not a public host")
    return url


def _leads_out(host: str) -> bool:
    address = parsed(host)
    if address is not None:
        return is_global(address)
    return _NAME.match(host) is not None and not is_underneath(host)


class TrustedNames(ThreadedResolver):
    """Names the operator wrote resolve as usual, except to addresses nobody may be sent to."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = [entry for entry in await super().resolve(host, port, family) if not is_underneath(entry["host"])]
        if not found:
            raise Fenced("the name leads to a link-local or metadata address")
        return found


class PublicNames(ThreadedResolver):
    """Names that data chose: one address that is not global spoils the name. What is answered here is connected to, so
    that a name cannot lead elsewhere between the look and the connection."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        addresses = [parsed(entry["host"]) for entry in found]
        if not all(address is not None and is_global(address) for address in addresses):
            raise Fenced("the name leads to an address that is not public")
        return found


@asynccontextmanager
async def fenced_session(*, limit: int = 100, limit_per_host: int = 0, **options: Any) -> AsyncIterator[ClientSession]:
    """A session whose every request, redirects included, stays outside the fence. Takes nothing from the environment,
    keeps no cookies.

    Args:
        options: further ones of `aiohttp.ClientSession`.

    Its requests raise Fenced, or aiohttp's ClientConnectorError with Fenced as `os_error`.
    """
    connector = TCPConnector(resolver=PublicNames(), limit=limit, limit_per_host=limit_per_host)
    async with ClientSession(
        connector=connector, middlewares=(_guard,), cookie_jar=DummyCookieJar(), trust_env=False, **options
    ) as session:
        yield session


async def _guard(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Addresses written as numbers never come to the resolver."""
    public(str(request.url))
    return await handler(request)
