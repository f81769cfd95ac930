"""Which bodies are read at all: plain JSON in UTF-8."""

from starlette.datastructures import Headers

from config.contracts.errors import Refused
from config.contracts.kinds import Kind


def require_json(headers: Headers) -> None:
    """Raises Refused (content_type_unsupported) unless the headers announce JSON, in UTF-8, not compressed."""
    if any(encoding.strip().lower() not in {"", "identity"} for encoding in headers.getlist("content-encoding")):
        raise Refused(Kind.CONTENT_TYPE_UNSUPPORTED, "send the body as it is, without a Content-Encoding")
    if not _is_json(headers.get("content-type", "")):
        raise Refused(Kind.CONTENT_TYPE_UNSUPPORTED, "send JSON in UTF-8 with `Content-Type: application/json`")


def _is_json(content_type: str) -> bool:
    media_type, *parameters = content_type.lower().split(";")
    return media_type.strip() == "application/json" and all(map(_is_harmless, parameters))


def _is_harmless(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() != "charset" or value.strip().strip('"') in {"utf-8", "utf8"}
