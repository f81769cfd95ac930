"""Options that sources of most platforms have."""

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

from pydantic import AfterValidator, Field, HttpUrl, SecretStr

from config.addresses import is_underneath
from config.contracts.source import Reconcile, Settle
from config.units import Duration
from config.webhooks.options import Header, Options

#: Headers that say how a request is sent, not what it asks for (RFC 9110, 7; RFC 9112, 6).
_OURS = frozenset(
    {
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer"),
        *("expect", "proxy-connection", "proxy-authorization", "accept-encoding", "content-encoding", "range"),
    }
)


def usable(where: str) -> Callable[[SecretStr], SecretStr]:
    """A check of a token that must be there. where: a person finds it."""

    def check(token: SecretStr) -> SecretStr:
        if not token.get_secret_value().strip():
            raise ValueError(f"the token is empty: set the variable it is filled from ({where})")
        if not token.get_secret_value().isprintable():
            raise ValueError("the token holds a line break or another control character: no header can bring it")
        if not token.get_secret_value().isascii():
            raise ValueError("the token holds a character beyond ASCII, which none has: copy it once more")
        return token

    return check


def _left_to_us(name: str) -> str:
    if name in _OURS:
        raise ValueError(f"`{name}` is made by whoever sends a request: leave it out")
    return name


def _sendable(value: str) -> str:
    if not value.isprintable() or not value.isascii():
        raise ValueError("no header can bring this value: ASCII without line breaks")
    return value


#: A header that is sent with every request, and what it holds.
SentHeader = Annotated[Header, AfterValidator(_left_to_us)]
SentValue = Annotated[str, AfterValidator(_sendable)]


def _no_metadata_service(url: HttpUrl) -> HttpUrl:
    if is_underneath(url.host or ""):
        raise ValueError("link-local and metadata addresses are never asked")
    return url


def _only_a_base(url: HttpUrl) -> HttpUrl:
    """Whatever is asked for is put behind it."""
    if url.username is not None or url.password is not None:
        raise ValueError("no name and no password stand in this address: a token has a key of its own")
    if url.query is not None:
        raise ValueError("an address without `?` and what follows it: paths are put behind it")
    if url.fragment is not None:
        raise ValueError("an address without `#` and what follows it: paths are put behind it")
    return url


ApiUrl = Annotated[HttpUrl, AfterValidator(_no_metadata_service), AfterValidator(_only_a_base)]
FileOrigins = Annotated[
    tuple[ApiUrl, ...],
    Field(
        description="Places within your own network that files may be fetched from, without the token; all others must "
        "be public, and https.",
        examples=["file_origins: [http://minio.internal:9000]"],
    ),
]


def origins(written: Iterable[HttpUrl]) -> tuple[str, ...]:
    """`FileOrigins` as `Manners` has them."""
    return tuple(str(one).rstrip("/") for one in written)


def unheard(webhook: object, reconcile: object, finds: str = "`reconcile`") -> Iterator[str]:
    """What is wrong with a source of which nothing finds the runs. finds: what does, besides webhooks."""
    if webhook is None and reconcile is None:
        yield f"nothing is ever heard of it: add `webhook`, or {finds}"


class SettleOptions(Options):
    """A platform's counts may lag behind its data: a read ends only when they have settled."""

    quiet: Duration = Field(10.0, description="Time after the finish before a count is believed.")
    timeout: Duration = Field(90.0, description="Longest wait for the counts in one attempt.")

    @property
    def settle(self) -> Settle:
        return Settle(quiet=self.quiet, timeout=self.timeout)


class ReconcileOptions(Options):
    """Finished runs that no webhook announced are looked for, too."""

    every: Duration = Field(15 * 60.0, ge=1, description="Time between two looks.")
    lookback: Duration = Field(
        3 * 86400.0,
        ge=60,
        le=30 * 86400,
        description="How far back runs may have started; none that finished before this source's first start is taken.",
    )

    def reconcile(self, *, announced: bool) -> Reconcile:
        """announced: whether webhooks are expected, too."""
        return Reconcile(every=self.every, lookback=self.lookback, announced=announced)
