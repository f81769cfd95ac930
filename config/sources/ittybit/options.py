"""What `sources.<name>` may say for `type: ittybit`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, HttpUrl, SecretStr, model_validator

from config.webhooks.options import Options, Webhook
from config.wire.options import ApiUrl, FileOrigins, ReconcileOptions, SettleOptions, unheard, usable


class Config(Options):
    """One ittybit project."""

    token: Annotated[SecretStr, AfterValidator(usable("ittybit dashboard, API keys"))] = Field(
        description="API key of the project; it only ever travels to the API's own host."
    )
    webhook: Webhook | None = Field(
        None, description="How webhooks are recognised. Without it none comes in; `reconcile` finds runs all the same."
    )
    reconcile: ReconcileOptions | None = Field(
        None, description="Look for runs that no webhook announced. Nothing else tells of runs that were cancelled."
    )
    work: Literal["runs", "jobs"] = Field(
        "runs", description="What the account's API calls a piece of work; `reconcile` lists these."
    )
    api_url: ApiUrl = Field(HttpUrl("https://api.ittybit.com"), description="The platform's base URL.")
    version: str | None = Field(
        None,
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        description="Sent as `Accept-Version`; without it the account's own version answers.",
        examples=["version: '2025-12-01'"],
    )
    file_origins: FileOrigins = ()
    settle: SettleOptions = Field(
        SettleOptions(quiet=0.0), description="When what the platform says of a run's outputs is believed."
    )

    @model_validator(mode="after")
    def _is_heard_of(self) -> "Config":
        for misfit in unheard(self.webhook, self.reconcile):
            raise ValueError(misfit)
        return self
