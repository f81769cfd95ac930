"""The options of an HTTP sink: `Config` says who the receiver is and how it is spoken to, `Target` what it gets."""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, HttpUrl, SecretStr, model_validator

from config.addresses import is_underneath
from config.language.values import Value
from config.units import Duration, Rate, Size
from workers.routing import batches
from workers.sinks._http_signing import signing_key

HEADER_TEXT = re.compile(r"[\x20-\x7e]{0,8192}", re.ASCII)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}", re.ASCII)
_OURS = re.compile(
    r"content-.*|host|connection|transfer-encoding|expect|te|trailer|upgrade|idempotency-key|webhook-.*|x-runrelay-.*"
)


def _listed(written: object) -> object:
    """One secret, or several of which empty ones are ignored: `${OLD_SECRET:-}` may stay there."""
    if not isinstance(written, list | tuple):
        return () if written is None else (written,)
    return [one for one in written if one != ""] or written


def _usable_secret(secret: SecretStr) -> SecretStr:
    signing_key(secret)
    return secret


def _usable_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not HEADER_TEXT.fullmatch(value.get_secret_value()):
            raise ValueError("a header's name is letters, digits and hyphens, its value printable ASCII")
        if _OURS.fullmatch(name.lower()):
            raise ValueError(f"the header {name} is set by Runrelay itself")
    return headers


def _usable_url(url: HttpUrl) -> HttpUrl:
    if is_underneath(url.host or ""):
        raise ValueError("link-local and metadata addresses are never posted to")
    return url


Secret = Annotated[SecretStr, AfterValidator(_usable_secret)]


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of an HTTP sink."""

    url: Annotated[HttpUrl, AfterValidator(_usable_url)] = Field(description="Where every request goes.")
    method: Literal["POST", "PUT", "PATCH"] = Field("POST", description="Of every request.")
    sign: Annotated[tuple[Secret, ...], BeforeValidator(_listed), Field(max_length=5)] = Field(
        (),
        description="Secret of Standard Webhooks: `whsec_` and base64, or any text. Of a list, every one signs: "
        "that is how a secret is replaced. Unsigned without.",
        examples=['sign: ["${CRM_SECRET}", "${CRM_SECRET_OLD:-}"]'],
    )
    headers: Annotated[dict[str, SecretStr], AfterValidator(_usable_headers)] = Field(
        {},
        description="Sent with every request, for instance `Authorization`.",
        examples=['headers: {Authorization: "Bearer ${CRM_TOKEN}"}'],
    )
    rate: Rate | None = Field(
        None, description="Requests that all workers together send at most.", examples=["rate: 5/s"]
    )
    timeout: Duration = Field(30.0, gt=0, le=90, description="For one request and its answer.")
    max_body: Size = Field(16 * 1024**2, gt=0, description="A request with a larger body, unpacked, is not sent.")
    compress: Literal["none", "gzip", "zstd"] = Field(
        "none", description="How bodies are packed; `Content-Encoding` says it. Signatures are of the body unpacked."
    )
    ca: Path | None = Field(None, description="PEM file of the authorities to trust instead of the system's.")
    cert: Path | None = Field(
        None, description="PEM file of our certificate, for a receiver that asks for one; it may hold the key as well."
    )
    key: Path | None = Field(None, description="PEM file of its key, without a password.")

    @model_validator(mode="before")
    @classmethod
    def _verified(cls, given: Any) -> Any:
        if isinstance(given, dict) and "verify" in given:
            raise ValueError("certificates are always verified: leave out `verify`, name a CA of your own with `ca`")
        return given

    @model_validator(mode="after")
    def _tls_fits(self) -> "Config":
        if self.url.scheme == "http" and (self.ca or self.cert or self.key):
            raise ValueError("`ca`, `cert` and `key` have no meaning with http://: write `url` with https://")
        if self.key and not self.cert:
            raise ValueError("`key` belongs to a certificate: name it with `cert`")
        return self


class Body(Value):
    """What a request carries. `item` is the item, `items` the batch, and `batch` says which it is."""

    names: ClassVar[frozenset[str]] = Value.names | batches.NAMES

    @property
    def kind(self) -> str:
        """Its media type: of a text with `{{ }}` in it plain text; all else is JSON."""
        return "text/plain; charset=utf-8" if self.prints else "application/json"


class Target(BaseModel, extra="forbid", frozen=True):
    """Options of a target."""

    per: Literal["item", "batch", "run"] | None = Field(
        None,
        description="One request for each item, for each batch of items, or one for the run and no items. "
        "By default `batch` where items go.",
    )
    body: Body | None = Field(
        None,
        description="The body, with templates, instead of the item, the envelope or the document: JSON, or a text.",
        examples=['body: {sku: "{{ item.id }}", price: "{{ item.price }}"}', 'body: "{{ run.id }} has ended"'],
    )
    content_type: Annotated[str, Field(pattern=r"^[!-~][ -~]{0,126}[!-~]$")] | None = Field(
        None, description="Instead of `application/json`, or of `text/plain` for a text.", examples=["text/csv"]
    )
    parallel: int = Field(1, ge=1, le=50, description="Requests under way at a time, with `per: item`; 1 keeps order.")
    bisect: bool = Field(
        False,
        description="Halve a batch that is refused (400, 413, 422) down to the items the receiver cannot take; "
        "without, the delivery ends there.",
    )

    @model_validator(mode="after")
    def _fits_per(self) -> "Target":
        if self.body is not None:
            batches.no_others(self.body.roots, self.per or "batch")
        if self.parallel > 1 and self.per != "item":
            raise ValueError("`parallel` needs `per: item`: batches go one after the other")
        if self.bisect and self.per not in {None, "batch"}:
            raise ValueError("`bisect` halves batches: leave it out, or `per`")
        return self
