"""What `webhook` of any source may say about who is let in."""

import base64
import re
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from config.contracts.source import Capture
from config.units import Duration
from config.wire.forms import Form

#: What a template has from elsewhere, by the name of a header or of a part of the signature's own.
FIELD = re.compile(r"\{([^{}]*)\}")
#: What keys of Standard Webhooks begin with: symmetric ones, which we know, and both halves of the others.
KEY_PREFIX, KEY_PAIRS = "whsec_", ("whsk_", "whpk_")

_HEADER = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}"
#: No header that anybody signs has so short a name: `t` and `ts` are parts.
_SHORTEST_HEADER = 3
Name = Annotated[str, AfterValidator(str.lower)]
Header = Annotated[Name, Form(_HEADER, "the name of a header, such as `X-Signature`")]
Part = Annotated[Name, Form(r"[A-Za-z0-9_-]{1,32}", "a name of letters, digits, `_` and `-`, such as `v1`")]


def _one_at_least(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not any(secret.get_secret_value() for secret in secrets):
        raise ValueError("every secret is empty, so no webhook could come in: set one of them")
    return secrets


def key_of(secret: str) -> bytes:
    """The key that a secret of Standard Webhooks stands for. Raises ValueError, without the secret in it."""
    if secret.startswith(KEY_PAIRS):
        raise ValueError(
            "a secret is one of a key pair (`v1a`), which is not supported: ask for a symmetric one, `whsec_…`"
        )
    try:
        key = base64.b64decode(secret.removeprefix(KEY_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ValueError(f"a secret of Standard Webhooks is base64, mostly behind `{KEY_PREFIX}`: copy it whole")
    return key


def _is_key(secret: str, which: str) -> None:
    """Empty ones are ignored. Raises ValueError."""
    try:
        if secret:
            key_of(secret)
    except ValueError as exc:
        raise ValueError(f"{exc} ({which})") from None


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
        description="Where the signature stands; several may, behind commas, semicolons or blanks.",
        examples=["header: X-Hub-Signature-256"],
    )
    part: Part | None = Field(
        None,
        description="The header holds `name=value` behind commas or semicolons, and the signature is the value of this "
        "name.",
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
    timestamp: Name | None = Field(
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

    @field_validator("signed")
    @classmethod
    def _is_template(cls, signed: str, info: ValidationInfo) -> str:
        names = [name.lower() for name in FIELD.findall(signed)]
        if re.search(r"[{}]", FIELD.sub("", signed)):
            raise ValueError("a brace has no other half: names stand in `{…}`")
        if names.count("body") != 1:
            raise ValueError("`signed` must have `{body}` once: what is not signed could be anybody's")
        for name in names:
            _is_field(name, info.data.get("header"), info.data.get("part"))
        return FIELD.sub(lambda found: found[0].lower(), signed)

    @field_validator("timestamp")
    @classmethod
    def _is_signed(cls, timestamp: str | None, info: ValidationInfo) -> str | None:
        if timestamp is not None and f"{{{timestamp}}}" not in info.data.get("signed", f"{{{timestamp}}}"):
            raise ValueError(
                f"`signed` must have `{{{timestamp}}}`: a time that is not signed can be made up, and an old webhook "
                "sent again"
            )
        return timestamp

    @field_validator("tolerance")
    @classmethod
    def _is_of_timestamp(cls, tolerance: float, info: ValidationInfo) -> float:
        if info.data.get("timestamp", "") is None:
            raise ValueError("`tolerance` is about `timestamp`, which is not there: say where the time stands")
        return tolerance


def _is_field(name: str, header: str | None, part: str | None) -> None:
    """Raises ValueError for what a template cannot have."""
    if not re.fullmatch(_HEADER, name):
        raise ValueError("names in braces are those of headers, or of parts of the signature's header")
    if name in {header, part}:
        raise ValueError(f"`{{{name}}}` is the signature itself, which cannot sign itself")
    if part is None and len(name) < _SHORTEST_HEADER:
        raise ValueError(f"`{{{name}}}` looks like a part of the header: say with `part` which one is the signature")


class StandardWebhooks(Options):
    """As standardwebhooks.com specifies it, version 1.0.0, with symmetric keys (`v1`); the headers may begin with
    `svix-`, too."""

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

    verify: Verify = Field(
        Token(scheme="token"),
        description="How a webhook proves that it knows a secret: `token`, `hmac` or `standard_webhooks`; options "
        "stand beside `scheme`.",
        examples=["verify: standard_webhooks"],
    )
    secrets: Annotated[tuple[SecretStr, ...], AfterValidator(_one_at_least)] = Field(
        description="Any of them opens the door, two while one replaces the other; empty ones are ignored."
    )
    allow_ips: Literal["any"] | tuple[Network, ...] = Field(
        "any", description="Addresses webhooks may come from: anybody's, or those of a list of networks."
    )
    capture: CaptureOptions | None = Field(
        None,
        description="Keep webhooks that could not be verified, without their secrets, for `runrelay captured`.",
        examples=["capture: {keep: 20, for: 2h}"],
    )

    @field_validator("secrets")
    @classmethod
    def _are_keys(cls, secrets: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        if isinstance(info.data.get("verify"), StandardWebhooks):
            for number, secret in enumerate((each.get_secret_value() for each in secrets), 1):
                _is_key(secret, f"number {number} of the list")
        return secrets
