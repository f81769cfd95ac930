"""The platform's API over aiohttp, with manners. Knows no platform: a source's `Manners` say how to behave."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector
from multidict import CIMultiDictProxy
from yarl import URL

from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.source import Answer, Manners, StreamedAnswer, TooLarge
from workers.fetch.unpacking import ENCODINGS, unpacked

#: Seconds to connect, and between two chunks of a body. A whole body may take as long as it keeps coming.
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
#: Most bytes of an error body that anybody reads, and most seconds.
ERROR_BYTES = 64 * 1024
ERROR_TIMEOUT = 10.0
CHUNK = 1024 * 1024
MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Params = Mapping[str, str | int]


@asynccontextmanager
async def open_session(read_timeout: float = READ_TIMEOUT) -> AsyncIterator[ClientSession]:
    """One session per process, for every source: connections are reused, nothing is taken from the environment."""
    session = ClientSession(
        connector=TCPConnector(limit=100, limit_per_host=50),
        timeout=ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=read_timeout),
        headers={"User-Agent": "Runrelay"},
        read_bufsize=CHUNK,
        trust_env=False,
    )
    async with session:
        yield session


class HttpApi:
    """See `config.contracts.source.Api`."""

    def __init__(self, session: ClientSession, manners: Manners) -> None:
        self.session = session
        self.manners = manners

    async def get(self, path: str, params: Params | None = None, *, most: int | None = None) -> Answer:
        async with self.stream(path, params) as answer:
            return Answer(answer.status, answer.headers, await _whole(answer.chunks, most))

    async def send(
        self,
        method: str,
        path: str,
        params: Params | None = None,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        typed = {"Content-Type": content_type} if body is not None else {}
        async with self._request(method, path, params, body=body, headers={**(headers or {}), **typed}) as response:
            return Answer(response.status, _lower(response.headers), await _whole(_chunks(response), None))

    @asynccontextmanager
    async def stream(self, path: str, params: Params | None = None) -> AsyncIterator[StreamedAnswer]:
        async with self._request("GET", path, params) as response:
            yield StreamedAnswer(response.status, _lower(response.headers), _chunks(response))

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        params: Params | None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[ClientResponse]:
        """One answer inside 2xx; redirects are followed, elsewhere without the token; anything else raises its
        verdict."""
        # Paths come quoted; unquoting them again would turn a record called `..` into a step up.
        url, token = URL(f"{self.manners.base_url}{path}", encoded=True), self.manners.token
        for _ in range(MAX_REDIRECTS + 1):
            sent = {
                **(headers or {}),
                "Accept-Encoding": ENCODINGS,
                **({"Authorization": f"Bearer {token}"} if token else {}),
            }
            async with AsyncExitStack() as stack:
                with _trouble():
                    response = await stack.enter_async_context(
                        self.session.request(
                            method,
                            url,
                            params=params,
                            data=body,
                            headers=sent,
                            allow_redirects=False,
                            auto_decompress=False,
                        )
                    )
                if response.status not in _REDIRECTS:
                    await self._judge(response)
                    yield response
                    return
                url, params = self._redirect(url, response), None
                token = token if self._is_own(url) else ""
        raise Permanent(Reason.SOURCE_REFUSED, f"more than {MAX_REDIRECTS} redirects")

    async def _judge(self, response: ClientResponse) -> None:
        if not 200 <= response.status < 300:
            raise self.manners.verdict(response.status, _lower(response.headers), await _start(response, ERROR_BYTES))

    def _redirect(self, url: URL, response: ClientResponse) -> URL:
        """Where a redirect leads, if it may: the API's own origin, or https at one of the platform's storage hosts."""
        try:
            target = url.join(URL(response.headers.get("Location", "")))
        except ValueError:
            raise Permanent(Reason.SOURCE_REFUSED, "the platform redirects to something that is no address") from None
        host = target.host or ""
        known = any(host == suffix or host.endswith(f".{suffix}") for suffix in self.manners.redirect_hosts)
        if self._is_own(target) or (target.scheme == "https" and known):
            return target
        raise Permanent(Reason.SOURCE_REFUSED, "the platform redirects to a host that is not one of its own")

    def _is_own(self, url: URL) -> bool:
        own = URL(self.manners.base_url)
        return (url.scheme, url.host, url.port) == (own.scheme, own.host, own.port)


@contextmanager
def _trouble() -> Iterator[None]:
    """Connection trouble, before or while a body comes, is worth another try."""
    try:
        yield
    except (ClientError, TimeoutError, OSError, zlib.error) as exc:
        raise Transient(Reason.SOURCE_UNAVAILABLE, f"{type(exc).__name__} while asking the platform") from exc


async def _chunks(response: ClientResponse, size: int = CHUNK) -> AsyncIterator[bytes]:
    pieces = response.content.iter_chunked(size)
    with _trouble():
        async for piece in unpacked(pieces, response.headers.get("Content-Encoding", "")):
            yield piece


async def _whole(chunks: AsyncIterator[bytes], most: int | None) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if most is not None and size > most:
            raise TooLarge(size)
        parts.append(chunk)
    return b"".join(parts)


async def _start(response: ClientResponse, most: int) -> bytes:
    """The first bytes of an error body; what follows is not read. The status says enough when the body breaks off."""
    body = b""
    with suppress(Transient, Permanent, TimeoutError):
        async with asyncio.timeout(ERROR_TIMEOUT):
            async for chunk in _chunks(response, most):
                body += chunk
                if len(body) >= most:
                    break
    return body[:most]


def _lower(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
