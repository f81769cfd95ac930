"""What `sources.<name>` may say for `type: apify`."""

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, SecretStr

from config.addresses import is_underneath
from config.sources.apify.door import OWN_PATHS
from config.units import Duration


def _not_empty(token: SecretStr) -> SecretStr:
    if not token.get_secret_value().strip():
        raise ValueError("the token is empty: set the variable it is filled from (Apify Console, API & Integrations)")
    if not token.get_secret_value().isprintable():
        raise ValueError("the token holds a line break or another control character: no header can bring it")
    return token


def _one_at_least(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not any(secret.get_secret_value() for secret in secrets):
        raise ValueError("every secret is empty, so no webhook could come in: set one of them")
    return secrets


def _is_network(text: str) -> str:
    ip_network(text)
    return text


def _no_metadata_service(url: HttpUrl) -> HttpUrl:
    if is_underneath(url.host or ""):
        raise ValueError("link-local and metadata addresses are never asked")
    return url


Network = Annotated[str, AfterValidator(_is_network)]
EventPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", examples=["eventData.actorRunId"])]


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Webhook(Options):
    """How webhooks of this account are recognised."""

    secrets: Annotated[tuple[SecretStr, ...], AfterValidator(_one_at_least)] = Field(
        description="Any of them opens the door, two while one replaces the other; empty ones are ignored."
    )
    run_id: tuple[EventPath, ...] = Field(
        (*OWN_PATHS, "runId"),
        min_length=1,
        description="Where the run id may stand in the body: keys, and places in lists, joined by dots. The first path "
        "that holds one wins; the platform's default payload is always understood.",
    )
    allow_ips: Literal["any", "apify"] | tuple[Network, ...] = Field(
        "any", description="Addresses webhooks may come from: anybody's, Apify's published ones, or a list of networks."
    )


class SettleOptions(Options):
    """The platform's counts lag behind its data by 5-10 s: a read ends only when they have settled."""

    quiet: Duration = Field(10.0, description="Time after the finish before a count is believed.")
    timeout: Duration = Field(90.0, description="Longest wait for the counts in one attempt.")


class ReconcileOptions(Options):
    """Finished runs that no webhook announced are looked for, too."""

    every: Duration = Field(15 * 60.0, ge=1, description="Time between two looks.")
    lookback: Duration = Field(
        3 * 86400.0,
        ge=60,
        le=30 * 86400,
        description="How far back runs may have started; none that finished before this source's first start is taken.",
    )


class Config(Options):
    """One Apify account."""

    token: Annotated[SecretStr, AfterValidator(_not_empty)] = Field(
        description="API token; it only ever travels to the API's own host."
    )
    webhook: Webhook | None = Field(
        None, description="How webhooks are recognised. Without it none comes in; `reconcile` finds runs all the same."
    )
    reconcile: ReconcileOptions | None = Field(None, description="Look for runs that no webhook announced.")
    api_url: Annotated[HttpUrl, AfterValidator(_no_metadata_service)] = Field(
        HttpUrl("https://api.apify.com"), description="The platform's base URL, without `/v2`; an emulator's, say."
    )
    accounts: tuple[str, ...] = Field((), description="User ids whose runs are ours; default: the token's own.")
    settle: SettleOptions = SettleOptions()
    retention: Duration = Field(
        7 * 86400.0,
        ge=3600,
        description="How long the platform keeps what a run left, by your plan: so that it is said in time.",
    )
