"""Options that sources of most platforms have."""

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field, HttpUrl, SecretStr

from config.addresses import is_underneath
from config.contracts.source import Reconcile, Settle
from config.units import Duration
from config.webhooks.options import Options


def usable(where: str) -> Callable[[SecretStr], SecretStr]:
    """A check of a token that must be there. where: a person finds it."""

    def check(token: SecretStr) -> SecretStr:
        if not token.get_secret_value().strip():
            raise ValueError(f"the token is empty: set the variable it is filled from ({where})")
        if not token.get_secret_value().isprintable():
            raise ValueError("the token holds a line break or another control character: no header can bring it")
        return token

    return check


def _no_metadata_service(url: HttpUrl) -> HttpUrl:
    if is_underneath(url.host or ""):
        raise ValueError("link-local and metadata addresses are never asked")
    return url


ApiUrl = Annotated[HttpUrl, AfterValidator(_no_metadata_service)]
FileOrigins = Annotated[
    tuple[ApiUrl, ...],
    Field(
        description="Places within your own network that files may be fetched from, without the token; all others must "
        "be public, and https.",
        examples=["file_origins: [http://minio.internal:9000]"],
    ),
]


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
