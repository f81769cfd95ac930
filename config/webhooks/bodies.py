"""Bodies of webhooks."""

from typing import Any

import msgspec

from config.contracts.errors import Refused
from config.contracts.kinds import Kind


def opened(body: bytes) -> dict[str, Any]:
    """The fields of a webhook's body. Raises Refused (request_invalid, event_invalid)."""
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(Kind.REQUEST_INVALID, "the body is not JSON in UTF-8") from None
    if not isinstance(fields, dict):
        raise Refused(Kind.EVENT_INVALID, "the body is not a JSON object")
    return fields
