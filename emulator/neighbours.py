"""Who may ask an emulator that takes any token: programs of this machine, and no web page that a browser here shows.

A page can send requests to 127.0.0.1 as well. It is known by its `Origin` (Fetch standard) or, after DNS rebinding, by
a `Host` that is a name of its own.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.api.call import error_answer
from emulator.errors import ApiError


class Neighbours:
    """ASGI middleware: without a token of its own, the emulator turns away whoever is not from this machine."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._token or _is_from_here(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        message = "Without --token the emulator answers programs on this machine only, and no web pages."
        await error_answer(ApiError(403, "permission-denied", message))(scope, receive, send)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine to itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_from_here(headers: Headers) -> bool:
    host, origin = headers.get("host"), headers.get("origin")
    return (host is None or _names_us(f"//{host}")) and (origin is None or _names_us(origin))


def _names_us(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False
