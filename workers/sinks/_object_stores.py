"""Where objects lie, from what the options say: a bucket of S3 and what speaks like it, of Google, or of Azure."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store
from pydantic import AfterValidator, BaseModel, Field, SecretStr

from config.addresses import is_underneath
from config.contracts.errors import Permanent, Unauthorized
from config.contracts.reasons import Reason
from config.units import Duration
from workers.routing.paths import fenced

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Credential

Cloud = Literal["s3", "gs", "az"]

_SCHEMES: dict[str, Cloud] = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "azure": "az", "abfs": "az"}
_BLOBS = ".blob.core.windows.net"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}", re.ASCII)
_TRIES = 2


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL names.

    Attributes:
        bucket: or the container of Azure.
        prefix: what all keys begin with, without slashes around it.
        endpoint: `https://host`, if the URL is one; account: of Azure, if the URL has it.
    """

    cloud: Cloud
    bucket: str
    prefix: str
    endpoint: str | None = None
    account: str | None = None

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return "/".join(filter(None, (f"{self.cloud}://{self.bucket}", self.prefix)))

    @property
    def called(self) -> str:
        """What people call it."""
        return f"container `{self.bucket}`" if self.cloud == "az" else f"bucket `{self.bucket}`"


def _usable_endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.query:
        raise ValueError("an endpoint is https://host or http://host, without credentials")
    if is_underneath(parts.hostname):
        raise ValueError("link-local and metadata addresses are never written to")
    return url.rstrip("/")


class Access(BaseModel, frozen=True):
    """The options that say how to get in."""

    endpoint: Annotated[str, AfterValidator(_usable_endpoint)] | None = Field(
        None,
        description="Where the store is, if it is not the provider's own: MinIO, R2, Ceph, …",
        examples=["endpoint: https://minio.example.com"],
    )
    region: str | None = Field(None, description="Of the bucket, for S3. By default `AWS_REGION`, or us-east-1.")
    access_key: str | None = Field(None, description="Of S3; goes with `secret_key`.")
    secret_key: SecretStr | None = Field(None, description="Of S3.", examples=['secret_key: "${S3_SECRET}"'])
    session_token: SecretStr | None = Field(None, description="Of S3, if the keys are temporary.")
    account: str | None = Field(None, description="The storage account of Azure.")
    account_key: SecretStr | None = Field(None, description="Of Azure.")
    sas_token: SecretStr | None = Field(None, description="Of Azure, instead of `account_key`.")
    service_account_key: SecretStr | None = Field(None, description="Of Google: the JSON of a service account's key.")
    timeout: Duration = Field(
        20.0, gt=0, le=60, description="For one request and its answer. Large objects are sent in parts of 5 MiB."
    )


def placed(url: str) -> Place:
    """`s3://bucket/prefix/`, `gs://…`, `az://container/…`, or `https://host/bucket/prefix/`. Raises ValueError."""
    parts = urlsplit(url)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("a URL here is a bucket and a prefix, without credentials, `?` and `#`")
    if parts.scheme in _SCHEMES:
        return _checked(Place(_SCHEMES[parts.scheme], parts.netloc, parts.path.strip("/")))
    if parts.scheme in {"http", "https"}:
        return _checked(_of_host(parts.scheme, parts.netloc, parts.path))
    raise ValueError("a URL here begins with s3://, gs://, az:// or https://")


def _of_host(scheme: str, host: str, path: str) -> Place:
    bucket, _, prefix = path.strip("/").partition("/")
    if host.endswith(".amazonaws.com"):
        raise ValueError("write s3://bucket/prefix/, and the region as `region`")
    if host.endswith(_BLOBS):
        return Place("az", bucket, prefix, account=host.removesuffix(_BLOBS))
    if host == "storage.googleapis.com":
        return Place("gs", bucket, prefix)
    return Place("s3", bucket, prefix, endpoint=_usable_endpoint(f"{scheme}://{host}"))


def _checked(place: Place) -> Place:
    if not _BUCKET.fullmatch(place.bucket):
        raise ValueError("no bucket of that name can be: three letters or more, digits, `.`, `_` and `-`")
    try:
        if place.prefix:
            fenced(place.prefix)
    except Permanent as exc:
        raise ValueError(exc.detail) from None
    return place


def opened(place: Place, access: Access) -> ObjectStore:
    """The store, without asking it anything yet. What the options leave out, the environment may say, or the machine's
    role. Raises Unauthorized for credentials that cannot be read."""
    endpoint = access.endpoint or place.endpoint
    client: ClientConfig = {
        "allow_http": bool(endpoint and endpoint.startswith("http://")),
        "timeout": timedelta(seconds=access.timeout),
        "connect_timeout": timedelta(seconds=min(5.0, access.timeout)),
    }
    # A request that timed out has used up the time for retries; one that was refused at once has not.
    retry: RetryConfig = {
        "max_retries": _TRIES,
        "retry_timeout": timedelta(seconds=access.timeout),
        "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=2), "base": 2},
    }
    try:
        match place.cloud:
            case "s3":
                return _s3(place, access, endpoint, client, retry)
            case "gs":
                return _gcs(place, access, endpoint, client, retry)
            case "az":
                return _azure(place, access, endpoint, client, retry)
    except Exception as exc:  # obstore raises various classes for credentials that are no such thing
        why = f"the credentials of the {place.called} cannot be read: see how the provider writes them"
        raise Unauthorized(Reason.TOKEN_REFUSED, why) from exc


def _s3(place: Place, access: Access, endpoint: str | None, client: "ClientConfig", retry: "RetryConfig") -> S3Store:
    return S3Store(
        place.bucket,
        prefix=place.prefix or None,
        config=_said(endpoint=endpoint, region=access.region),
        client_options=client,
        retry_config=retry,
        credential_provider=_StaticKeys(access) if access.access_key else None,
    )


def _gcs(place: Place, access: Access, endpoint: str | None, client: "ClientConfig", retry: "RetryConfig") -> GCSStore:
    return GCSStore(
        place.bucket,
        prefix=place.prefix or None,
        config=_said(service_account_key=access.service_account_key, base_url=endpoint),
        client_options=client,
        retry_config=retry,
    )


def _azure(
    place: Place, access: Access, endpoint: str | None, client: "ClientConfig", retry: "RetryConfig"
) -> AzureStore:
    return AzureStore(
        place.bucket,
        prefix=place.prefix or None,
        config=_said(
            account_name=access.account or place.account,
            account_key=access.account_key,
            sas_key=access.sas_token,
            endpoint=endpoint,
        ),
        client_options=client,
        retry_config=retry,
    )


def _said(**options: str | SecretStr | None) -> Any:  # each store has its own class of options
    """What is not said is left to the environment."""
    shown = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in options.items()
    }
    return {name: value for name, value in shown.items() if value is not None}


class _StaticKeys:
    """The keys of the file and nothing of the environment: half of one and half of the other would fit nowhere."""

    def __init__(self, access: Access) -> None:
        self.access = access

    def __call__(self) -> "S3Credential":
        secret, token = self.access.secret_key, self.access.session_token
        return {
            "access_key_id": self.access.access_key or "",
            "secret_access_key": secret.get_secret_value() if secret else "",
            "token": token.get_secret_value() if token else None,
            "expires_at": None,
        }
