"""Connections to a receiver: whom we trust, who we are, and a look at whether it is there."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from yarl import URL

from config.contracts.errors import Unauthorized
from config.contracts.reasons import Reason
from workers.fence import TrustedNames
from workers.sinks._http_answers import trouble, wants_ours

#: Seconds for which a receiver may think about our certificate: TLS 1.3 lets it answer after the handshake.
_SECOND_THOUGHTS = 1.0

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def tls_context(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """None: nothing is set, and the system's authorities are trusted.

    Raises Unauthorized: a person has to mend a file.
    """
    if ca is None and cert is None:
        return None
    with _files("`ca`"):
        context = ssl.create_default_context(cafile=ca)
    if cert is not None:
        with _files("`cert` and `key`"):
            # An encrypted key must fail: without a password OpenSSL would ask the terminal for one.
            context.load_cert_chain(cert, key, password="")
    return context


async def reach(url: URL, context: ssl.SSLContext | None, timeout: float) -> None:
    """Connect and hang up, without a request: any would be a delivery.

    Raises what a delivery would that finds nobody there.
    """
    host, port = url.host or "", url.port or 0
    tls = (context or True, host) if url.scheme == "https" else (None, None)
    with trouble():
        async with asyncio.timeout(timeout):
            addresses = [found["host"] for found in await TrustedNames().resolve(host, port)]
            reader, writer = await _connected(addresses, port, *tls)
    try:
        if url.scheme == "https" and await _hung_up(reader):
            raise wants_ours()
    finally:
        writer.close()


async def _hung_up(reader: asyncio.StreamReader) -> bool:
    """Whether the receiver is gone before it was asked anything."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_SECOND_THOUGHTS):
            return await reader.read(1) == b""
    return False


async def _connected(
    addresses: list[str], port: int, secure: ssl.SSLContext | bool | None, name: str | None
) -> Connection:
    """To the first address that takes a connection. Raises OSError of the last one."""
    for address in addresses[:-1]:
        with suppress(ConnectionError):
            return await asyncio.open_connection(address, port, ssl=secure, server_hostname=name)
    return await asyncio.open_connection(addresses[-1], port, ssl=secure, server_hostname=name)


@contextmanager
def _files(options: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError as exc:
        said = f"{options}: {exc.reason or 'not usable'}: they must be PEM, belong together, and have no password"
        raise Unauthorized(Reason.TARGET_REFUSED, said) from None
    except OSError as exc:
        said = f"{options}: {exc.strerror}: put the file where the worker can read it"
        raise Unauthorized(Reason.TARGET_REFUSED, said) from None
