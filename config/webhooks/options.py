"""What `webhook` of any source may say about who is let in."""

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from config.contracts.source import Capture
from config.units import Duration

#: Names that a template may use beside `body`: headers, or parts of the signature's own header.
_HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$"
Header = Annotated[str, Field(pattern=_HEADER), AfterValidator(str.lower)]


def _one_at_least(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not any(secret.get_secret_value() for secret in secrets):
        raise ValueError("every secret is empty, so no webhook could come in: set one of them")
    return secrets


def _is_network(text: str) -> str:
    ip_network(text)
    return text


def _named(written: object) -> object:
    """A scheme without options may be written as its name."""
    return {"scheme": written} if isinstance(written, str) else written


Network = Annotated[str, AfterValidator(_is_network)]


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Token(Options):
    """A secret that comes along as it is."""

    scheme: Literal["token"]
    header: Header | None = Field(
        None,
        description="Where it stands; without it in `Authorization`, with or without `Bearer`, or as the last part of "
        "the path.",
        examples=["header: X-Webhook-Secret"],
    )


class Hmac(Options):
    """A hash of what is sent, made with the secret (RFC 2104)."""

    scheme: Literal["hmac"]
    header: Header = Field(
        description="Where the signature stands; several may, behind commas or blanks.",
        examples=["header: X-Hub-Signature-256"],
    )
    part: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_]{1,32}$",
        description="The header holds `name=value` behind commas, and the signature is the value of this name.",
        examples=["part: v1"],
    )
    prefix: str = Field(
        "", max_length=32, description="What stands before each signature.", examples=['prefix: "sha256="']
    )
    encoding: Literal["hex", "base64"] = Field("hex", description="How it is written.", examples=["encoding: base64"])
    digest: Literal["sha1", "sha256", "sha512"] = Field("sha256", description="The hash.", examples=["digest: sha512"])
    signed: str = Field(
        "{body}",
        max_length=200,
        description="What is signed: `{body}`, as it came, and around it whatever else, with the values of headers, or "
        "of the other parts of the signature's header, by name.",
        examples=['signed: "{x-timestamp}.{body}"'],
    )
    timestamp: str | None = Field(
        None,
        max_length=64,
        description="The header or part that says when it was signed, as Unix time or ISO 8601; `signed` must have it.",
        examples=["timestamp: x-timestamp"],
    )
    tolerance: Duration = Field(
        300.0,
        ge=1,
        le=86400,
        description="How far `timestamp` may be from our clock, before or behind.",
        examples=["tolerance: 5m"],
    )


class StandardWebhooks(Options):
    """As standardwebhooks.com specifies it, version 1.0.0, with symmetric keys (`v1`)."""

    scheme: Literal["standard_webhooks"]
    tolerance: Duration = Field(
        300.0, ge=1, le=86400, description="How far `webhook-timestamp` may be from our clock, before or behind."
    )


Verify = Annotated[Annotated[Token | Hmac | StandardWebhooks, Field(discriminator="scheme")], BeforeValidator(_named)]


class CaptureOptions(Options):
    """Webhooks that could not be verified are kept, so that a person can learn how they are signed."""

    keep: int = Field(10, ge=1, le=100, description="How many, the newest.", examples=["keep: 20"])
    for_seconds: Duration = Field(
        86400.0, alias="for", ge=60, le=7 * 86400, description="For how long.", examples=["for: 2h"]
    )

    @property
    def capture(self) -> Capture:
        return Capture(keep=self.keep, seconds=self.for_seconds)


class Webhook(Options):
    """How webhooks of a source are recognised."""

    secrets: Annotated[tuple[SecretStr, ...], AfterValidator(_one_at_least)] = Field(
        description="Any of them opens the door, two while one replaces the other; empty ones are ignored."
    )
    verify: Verify = Field(
        Token(scheme="token"),
        description="How a webhook proves that it knows a secret: `token`, `hmac` or `standard_webhooks`; options "
        "stand beside `scheme`.",
        examples=["verify: standard_webhooks"],
    )
    allow_ips: Literal["any"] | tuple[Network, ...] = Field(
        "any", description="Addresses webhooks may come from: anybody's, or those of a list of networks."
    )
    capture: CaptureOptions | None = Field(
        None,
        description="Keep webhooks that could not be verified, without their secrets, for `runrelay captured`.",
        examples=["capture: {keep: 20, for: 2h}"],
    )
