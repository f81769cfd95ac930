"""A platform's API as a source sees it: how to behave there, what may be asked, and what comes back."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from config.contracts.errors import WorkError


@dataclass(frozen=True, slots=True)
class Rate:
    """How often one thing of the platform may be asked.

    Attributes:
        resource: what shares the limit, for instance `datasets/yTmKq0cVbNwX5zLp8`.
        per_second: requests a second.
    """

    resource: str
    per_second: float


@dataclass(frozen=True, slots=True)
class Patience:
    """How a refused request is tried again before its verdict is raised.

    Attributes:
        tries: in all, the first one included.
        first: seconds before the second try, stretched by up to as much again; each further wait is twice as long.
        longest: seconds after the first try within which the last one begins; a `Retry-After` beyond is left to the
            caller, for who waits here holds a worker's slot.
    """

    tries: int = 4
    first: float = 0.5
    longest: float = 20.0


def _unlimited(method: str, path: str) -> Rate:
    return Rate("", float("inf"))


@dataclass(frozen=True, slots=True)
class Manners:
    """How to behave towards one platform's API.

    Attributes:
        base_url: scheme, host and version prefix, e.g. `https://api.example.com/v2`; no trailing slash. Empty: the
            platform cannot be asked.
        token: sent to the host of `base_url` only. Empty: none is sent.
        token_header, token_prefix: how it is sent.
        headers: sent with every request to that host; no secrets.
        verdict: turns a refused answer (status, headers, at most 64 KiB of body) into what happens next.
        redirect_hosts: host suffixes a redirect may lead to, https only and without the token.
        file_origins: `scheme://host:port` of places within our own network that `Api.download` may ask, without the
            token; all other places must be public ones.
        rate: which limit a request (method, path below `base_url`) counts towards.
        in_all: requests a second for everything together.
        limit_header: answer header in which the platform names the limit of `rate` it just applied, in requests a
            second, lower case; empty: none. It counts where it is lower.
        patience: with requests that are refused for now.
    """

    base_url: str
    token: str
    verdict: Callable[[int, Mapping[str, str], bytes], WorkError]
    token_header: str = "Authorization"
    token_prefix: str = "Bearer "
    headers: Mapping[str, str] = field(default_factory=dict)
    redirect_hosts: tuple[str, ...] = ()
    file_origins: tuple[str, ...] = ()
    rate: Callable[[str, str], Rate] = _unlimited
    in_all: float = float("inf")
    limit_header: str = ""
    patience: Patience = Patience()


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer, read whole. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """A 2xx answer whose body is still to come."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Api(Protocol):
    """The platform's API with our manners. Every refused answer is raised as the verdict of `Manners`;
    connection trouble, a time-out or a truncated body as Transient. Before that it is tried again as `Patience` says,
    where that does no harm."""

    async def get(self, path: str, params: Mapping[str, str | int] | None = None, *, most: int | None = None) -> Answer:
        """`most`: bytes the decoded body may have; TooLarge is raised beyond. Tried again after a 429, a 5xx and any
        trouble on the wire; a body that breaks off is asked for anew, whole."""
        ...

    async def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A request that changes something: it is made once. Only a refusal that says that nothing happened (429) is
        followed by another try. DELETE is also tried again after a 5xx and trouble on the wire: NotFound may then mean
        that the first try did it."""
        ...

    def stream(
        self, path: str, params: Mapping[str, str | int] | None = None
    ) -> AbstractAsyncContextManager[StreamedAnswer]:
        """Tried again like `get`, but only until the body begins."""
        ...

    def download(
        self, url: str, verdict: Callable[[int, Mapping[str, str], bytes], WorkError]
    ) -> AbstractAsyncContextManager[StreamedAnswer]:
        """A file at an address that the platform gave, wherever that is: https at a public host, one of `file_origins`,
        or the API's own origin, which alone sees the token. Redirects are followed to such places. Tried again like
        `stream`.

        verdict: of a refused answer. A storage host that says no says nothing about the API's token.

        Raises Permanent (source_refused) if the address leads anywhere else.
        """
        ...


class TooLarge(Exception):
    """The body is larger than the caller is ready to hold. Ask for less at a time."""
