"""The platform's API over aiohttp, with manners. Knows no platform: a source's `Manners` say how to behave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector
from multidict import CIMultiDictProxy
from yarl import URL

from config.contracts.api import Answer, Manners, Rate, StreamedAnswer, TooLarge
from config.contracts.errors import Permanent, Transient, WorkError
from config.contracts.reasons import Reason
from workers.fence import Fenced, TrustedNames, fenced_session, public
from workers.fetch.rates import Rates, Sleep
from workers.fetch.retrying import Refused, Tries
from workers.fetch.unpacking import ENCODINGS, unpacked

#: Seconds to connect.
CONNECT_TIMEOUT = 10.0
#: Seconds until an answer begins, and between two chunks of it. A platform may hold an answer back for 60 s when asked
#: to wait for a run. A streamed body may take as long as it keeps coming.
READ_TIMEOUT = 90.0
#: Most bytes of an error body that anybody reads.
ERROR_BYTES = 64 * 1024
#: A shorter one is made up, for an emulator, and would be found in words.
SHORTEST_TOKEN = 8
#: Most bytes of the answer to a change: it tells of one thing.
ANSWER_BYTES = 8 * 1024 * 1024
CHUNK = 1024 * 1024
MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TOO_MANY = 429
_SEE_OTHER = 303
#: What an API says of who asks, not of what is asked for.
_OF_US = frozenset({401, 402})
_NO_CONTENT = 204
#: Characters of an origin that are told.
_LONGEST_ORIGIN = 80
_CURE = "if it is one of your own, set `file_origins` of the source (generic: `api.file_origins`)"

Params = Mapping[str, str | int]
Verdict = Callable[[int, Mapping[str, str], bytes], WorkError]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds.

    Attributes:
        whole: for one try of an answer that is read whole, its body and the waiting for its turn included: 12 MiB at
            40 KiB a second.
        error: for the body of a refusal.
        silence: until more of a body comes. The session's own watch ends when a chunked body turns out to be damaged:
            aiohttp closes the connection then, and leaves who reads waiting for ever.
    """

    whole: float = 300.0
    error: float = 10.0
    silence: float = READ_TIMEOUT


class Session(NamedTuple):
    """One per process, for every source: connections are reused, nothing is taken from the environment.

    Attributes:
        own: leads where the operator said.
        elsewhere: leads where an answer said, behind the fence.
    """

    own: ClientSession
    elsewhere: ClientSession


@asynccontextmanager
async def open_session(read_timeout: float = READ_TIMEOUT) -> AsyncIterator[Session]:
    options: dict[str, Any] = {
        "timeout": ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=read_timeout),
        "headers": {"User-Agent": "Runrelay"},
        "read_bufsize": CHUNK,
    }
    connector = TCPConnector(resolver=TrustedNames(), limit=100, limit_per_host=50)
    async with (
        ClientSession(connector=connector, trust_env=False, **options) as own,
        fenced_session(limit=100, limit_per_host=50, **options) as elsewhere,
    ):
        # Which requests are made again is ours to say (`workers.fetch.retrying`). aiohttp would repeat a PUT unasked,
        # and has no public switch for it.
        own._retry_connection = elsewhere._retry_connection = False
        yield Session(own, elsewhere)


class HttpApi:
    """See `config.contracts.api.Api`. One for each source and process: its requests share their limits."""

    def __init__(
        self,
        session: Session,
        manners: Manners,
        *,
        deadlines: Deadlines = Deadlines(),
        rates: Rates | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`sleep`: waits between two tries."""
        self.session = session
        self.manners = manners
        self._deadlines = deadlines
        self._rates = Rates(manners.in_all) if rates is None else rates
        self._sleep = sleep

    async def get(self, path: str, params: Params | None = None, *, most: int | None = None) -> Answer:
        async def once() -> Answer:
            async with self._in_time(), self._request("GET", path, params) as response:
                return await self._answer(response, most)

        return await self._tried("GET", once)

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
        typed = {**(headers or {}), **({"Content-Type": content_type} if body is not None else {})}

        async def once() -> Answer:
            async with self._in_time(), self._request(method, path, params, body=body, headers=typed) as response:
                return await self._answer(response, ANSWER_BYTES)

        try:
            return await self._tried(method, once)
        except TooLarge:
            raise Transient(Reason.SOURCE_UNAVAILABLE, f"what answers a {method} is too large for an answer") from None

    @asynccontextmanager
    async def stream(self, path: str, params: Params | None = None) -> AsyncIterator[StreamedAnswer]:
        async with AsyncExitStack() as stack:
            response = await self._tried("GET", lambda: stack.enter_async_context(self._request("GET", path, params)))
            yield StreamedAnswer(response.status, _lower(response.headers), self._chunks(response))

    @asynccontextmanager
    async def download(self, url: str, verdict: Verdict) -> AsyncIterator[StreamedAnswer]:
        async with AsyncExitStack() as stack:
            response = await self._tried("GET", lambda: stack.enter_async_context(self._file(url, verdict)))
            yield StreamedAnswer(response.status, _lower(response.headers), self._chunks(response))

    async def _tried(self, method: str, once: Callable[[], Awaitable[T]]) -> T:
        tries = Tries(method, self.manners.patience)
        while True:
            try:
                return await once()
            except (Refused, Transient) as exc:
                failure = exc
            await self._sleep(tries.pause(failure))

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        with _trouble():
            async with asyncio.timeout(self._deadlines.whole):
                yield

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
        """One answer inside 2xx; redirects are followed, elsewhere without the token; anything else raises Refused."""
        rate = self.manners.rate(method, path)
        await self._rates.turn(rate)
        # Paths come quoted; unquoting them again would turn a record called `..` into a step up.
        url, ours = URL(f"{self.manners.base_url}{path}", encoded=True), self._of_ours()
        for _ in range(MAX_REDIRECTS + 1):
            sent = {**(headers or {}), "Accept-Encoding": ENCODINGS, **ours}
            async with AsyncExitStack() as stack:
                with _trouble():
                    response = await stack.enter_async_context(
                        self._way(url).request(
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
                    self._learn(rate, response)
                    await self._judge(response, self.manners.verdict)
                    yield response
                    return
                if response.status == _SEE_OTHER:  # done; there it says how it went (RFC 9110, 15.4.4)
                    method, body, headers = "GET", None, None
                url, params = self._redirect(url, response), None
                ours = ours if self._is_own(url) else {}
        raise _too_many_redirects()

    @asynccontextmanager
    async def _file(self, address: str, verdict: Verdict) -> AsyncIterator[ClientResponse]:
        """The same of a file, wherever it lies. What is asked on somebody else's word is asked without the token."""
        url, own = self._reachable(address), True
        for _ in range(MAX_REDIRECTS + 1):
            own = own and self._is_own(url)
            if own:
                await self._rates.turn(self.manners.rate("GET", self._below(url)))
            sent = {"Accept-Encoding": ENCODINGS, **(self._of_ours() if own else {})}
            async with AsyncExitStack() as stack:
                with _trouble("" if self._is_near(url) else f"; {_CURE}"):
                    response = await stack.enter_async_context(
                        self._way(url).get(url, headers=sent, allow_redirects=False, auto_decompress=False)
                    )
                if response.status not in _REDIRECTS:
                    await self._judge(response, self._of_own(verdict) if own else verdict)
                    yield response
                    return
                url = self._reachable(response.headers.get("Location", ""), url)
        raise _too_many_redirects()

    def _of_own(self, verdict: Verdict) -> Verdict:
        """Of a file at the API's own origin. Who we are, what we owe and when to come again is the API's to say;
        whether the address of a file is still good is said as it is anywhere else."""

        def judged(status: int, headers: Mapping[str, str], body: bytes) -> WorkError:
            said = self.manners.verdict(status, headers, body)
            return said if status in _OF_US or isinstance(said, Transient) else verdict(status, headers, body)

        return judged

    def _of_ours(self) -> dict[str, str]:
        """Headers for the API's own origin."""
        manners = self.manners
        token = {manners.token_header: f"{manners.token_prefix}{manners.token}"} if manners.token else {}
        return {**manners.headers, **token}

    def _reachable(self, address: str, before: URL | None = None) -> URL:
        """Where a file may be fetched from. before: where a redirect to it was found."""
        try:
            url = _as_written(address) if before is None else before.join(_as_written(address))
            if self._is_near(url) and "@" not in url.raw_authority:
                return url
            origin = str(url.origin())[:_LONGEST_ORIGIN]
        except ValueError:
            raise _unreachable("it is no address of a host") from None
        if url.scheme != "https":
            raise _unreachable("it is not https", origin)
        try:
            public(str(url))
        except Fenced as no:
            raise _unreachable(str(no.strerror), origin) from None
        return url

    def _learn(self, rate: Rate, response: ClientResponse) -> None:
        """What an answer says about how often we may ask."""
        told = response.headers.get(self.manners.limit_header, "") if self.manners.limit_header else ""
        if told.isdecimal() and int(told[:9]) > 0:
            self._rates.told(rate, int(told[:9]))
        if response.status == _TOO_MANY:
            self._rates.refused(rate)

    async def _judge(self, response: ClientResponse, verdict: Verdict) -> None:
        if not 200 <= response.status < 300:
            said = await self._start(response)
            raise Refused(response.status, verdict(response.status, _lower(response.headers), said))

    async def _start(self, response: ClientResponse) -> bytes:
        """The first bytes of an error body, without our token should it be repeated there; what follows is not read.
        The status says enough when the body breaks off."""
        body = b""
        with suppress(Transient, Permanent, TimeoutError):
            async with asyncio.timeout(self._deadlines.error):
                async for chunk in self._chunks(response, ERROR_BYTES):
                    body += chunk
                    if len(body) >= ERROR_BYTES:
                        break
        token = self.manners.token.encode()
        return (body.replace(token, b"***") if len(token) >= SHORTEST_TOKEN else body)[:ERROR_BYTES]

    async def _answer(self, response: ClientResponse, most: int | None) -> Answer:
        return Answer(response.status, _lower(response.headers), await _whole(self._chunks(response), most))

    async def _chunks(self, response: ClientResponse, size: int = CHUNK) -> AsyncIterator[bytes]:
        """The body, unpacked. One that cannot be (204) has no packing either, whatever its headers say."""
        encoding = "" if response.status == _NO_CONTENT else response.headers.get("Content-Encoding", "")
        with _trouble():
            async for piece in unpacked(_arriving(response, size, self._deadlines.silence), encoding):
                yield piece

    def _redirect(self, url: URL, response: ClientResponse) -> URL:
        """Where a redirect leads, if it may: the API's own origin, or https at one of the platform's storage hosts.
        It brings no credentials of its own."""
        try:
            target = url.join(URL(response.headers.get("Location", "")))
        except ValueError:
            raise Permanent(Reason.SOURCE_REFUSED, "the platform redirects to something that is no address") from None
        host = target.host or ""
        known = any(host == suffix or host.endswith(f".{suffix}") for suffix in self.manners.redirect_hosts)
        if "@" not in target.raw_authority and (self._is_own(target) or (target.scheme == "https" and known)):
            return target
        raise Permanent(Reason.SOURCE_REFUSED, "the platform redirects to a host that is not one of its own")

    def _way(self, url: URL) -> ClientSession:
        return self.session.own if self._is_near(url) else self.session.elsewhere

    def _is_near(self, url: URL) -> bool:
        """Whether the operator wrote that it may be asked."""
        return self._is_own(url) or any(_origin(url) == _origin(URL(one)) for one in self.manners.file_origins)

    def _below(self, url: URL) -> str:
        """The path below `base_url`."""
        return url.raw_path.removeprefix(URL(self.manners.base_url).raw_path.rstrip("/"))

    def _is_own(self, url: URL) -> bool:
        return _origin(url) == _origin(URL(self.manners.base_url))


def _as_written(address: str) -> URL:
    """Signatures are over the very characters, so that none is written in another way, unless it could not be sent."""
    return URL(address, encoded=address.isascii() and address.isprintable() and " " not in address)


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.host, url.port


def _too_many_redirects() -> Permanent:
    return Permanent(Reason.SOURCE_REFUSED, f"more than {MAX_REDIRECTS} redirects")


def _unreachable(why: str, origin: str = "") -> Permanent:
    """origin: scheme, host and port of the address; what else it has may be secret."""
    where, cure = (f" at `{origin}`", f"; {_CURE}") if origin else ("", "")
    return Permanent(
        Reason.SOURCE_REFUSED, f"the platform names an address{where} that no file is fetched from: {why}{cure}"
    )


@contextmanager
def _trouble(cure: str = "") -> Iterator[None]:
    """Connection trouble, before or while a body comes, is worth another try. cure: of an address behind the fence."""
    try:
        yield
    except (ClientError, TimeoutError, OSError) as exc:
        cause = getattr(exc, "os_error", exc)
        why = f": {cause.strerror}{cure}" if isinstance(cause, Fenced) else ""
        raise Transient(Reason.SOURCE_UNAVAILABLE, f"{type(exc).__name__} while asking the platform{why}") from exc


async def _arriving(response: ClientResponse, size: int, silence: float) -> AsyncIterator[bytes]:
    """The body as it comes. Raises TimeoutError when nothing does."""
    while True:
        async with asyncio.timeout(silence):
            piece = await response.content.read(size)
        if not piece:
            return
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


def _lower(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
