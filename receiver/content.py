"""What the head of a webhook says: its headers by name, the secret in it, and whether its body is read at all."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from config.contracts.errors import Refused
from config.contracts.kinds import Kind

#: JSON, or a format made of it (RFC 6839, "+json"): `application/cloudevents+json`, for instance.
_JSON = re.compile(r"application/(?:[a-z0-9!#$&^_.+-]{1,100}\+)?json")

RawHeaders = Sequence[tuple[bytes, bytes]]


def by_name(raw: RawHeaders) -> dict[str, str]:
    """Names are lower case already (ASGI); of several headers of a name, the first."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(raw)}


def secret_in(headers: Mapping[str, str]) -> str | None:
    """What `Authorization` brings, with or without `Bearer`."""
    header = headers.get("authorization", "").strip()
    scheme, _, rest = header.partition(" ")
    return (rest.strip() if scheme.lower() == "bearer" else header) or None


def require_json(headers: Mapping[str, str], raw: RawHeaders) -> None:
    """Raises Refused (content_type_unsupported) unless the headers announce JSON, in UTF-8, not compressed."""
    if "content-encoding" in headers and _is_encoded(raw):
        raise Refused(Kind.CONTENT_TYPE_UNSUPPORTED, "send the body as it is, without a Content-Encoding")
    if not _is_json(headers.get("content-type", "")):
        raise Refused(Kind.CONTENT_TYPE_UNSUPPORTED, "send JSON in UTF-8 with `Content-Type: application/json`")


def _is_encoded(raw: RawHeaders) -> bool:
    """Every header of the name counts: one must not hide behind another."""
    encodings = (value for name, value in raw if name == b"content-encoding")
    return any(encoding.strip().lower() not in {b"", b"identity"} for encoding in encodings)


@lru_cache(maxsize=64)
def _is_json(content_type: str) -> bool:
    media_type, *parameters = content_type.lower().split(";")
    return _JSON.fullmatch(media_type.strip()) is not None and all(map(_is_harmless, parameters))


def _is_harmless(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() != "charset" or value.strip().strip('"') in {"utf-8", "utf8"}
