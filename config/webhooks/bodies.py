"""Bodies of webhooks."""

from typing import Any

import msgspec

from config.contracts.errors import Refused
from config.contracts.kinds import Kind


def opened(body: bytes, hint: str = "") -> dict[str, Any]:
    """The fields of a webhook's body. hint: where a body comes from that is none.

    Raises Refused (request_invalid, event_invalid).
    """
    cure = f"; {hint}" if hint else ""
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(Kind.REQUEST_INVALID, f"the body is not JSON in UTF-8{cure}") from None
    if not isinstance(fields, dict):
        raise Refused(Kind.EVENT_INVALID, f"the body is not a JSON object{cure}")
    return fields
