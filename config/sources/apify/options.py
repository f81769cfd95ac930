"""What `sources.<name>` may say for `type: apify`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, HttpUrl, SecretStr

from config.sources.apify.door import OWN_PATHS
from config.units import Duration
from config.webhooks import options as webhooks
from config.webhooks.options import Options
from config.wire.options import ApiUrl, ReconcileOptions, SettleOptions, usable

EventPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", examples=["eventData.actorRunId"])]


class Webhook(webhooks.Webhook):
    """How webhooks of this account are recognised."""

    run_id: tuple[EventPath, ...] = Field(
        (*OWN_PATHS, "runId"),
        min_length=1,
        description="Where the run id may stand in the body: keys, and places in lists, joined by dots. The first path "
        "that holds one wins; the platform's default payload is always understood.",
    )
    allow_ips: Literal["any", "apify"] | tuple[webhooks.Network, ...] = Field(  # type: ignore[assignment]  # one word more
        "any", description="Addresses webhooks may come from: anybody's, Apify's published ones, or a list of networks."
    )


class Config(Options):
    """One Apify account."""

    token: Annotated[SecretStr, AfterValidator(usable("Apify Console, API & Integrations"))] = Field(
        description="API token; it only ever travels to the API's own host."
    )
    webhook: Webhook | None = Field(
        None, description="How webhooks are recognised. Without it none comes in; `reconcile` finds runs all the same."
    )
    reconcile: ReconcileOptions | None = Field(None, description="Look for runs that no webhook announced.")
    api_url: ApiUrl = Field(
        HttpUrl("https://api.apify.com"), description="The platform's base URL, without `/v2`; an emulator's, say."
    )
    accounts: tuple[str, ...] = Field((), description="User ids whose runs are ours; default: the token's own.")
    settle: SettleOptions = Field(SettleOptions(), description="When the platform's counts are believed.")
    retention: Duration = Field(
        7 * 86400.0,
        ge=3600,
        description="How long the platform keeps what a run left, by your plan: so that it is said in time.",
    )
