"""Signatures as Standard Webhooks says (standardwebhooks.com), by our own lines: bodies need not be text here."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import IO

from pydantic import SecretStr

_PIECE = 1 << 20


def signing_key(secret: SecretStr) -> bytes:
    """`whsec_` introduces base64, as Standard Webhooks writes its secrets; any other text is the key itself.

    Raises ValueError if it cannot be a key.
    """
    text = secret.get_secret_value()
    if not text:
        raise ValueError("an empty secret signs nothing")
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        key = base64.b64decode(text.removeprefix("whsec_") + "==", validate=False)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError("what follows whsec_ is not base64")
    return key


def signatures(keys: Sequence[bytes], head: bytes, body: IO[bytes]) -> str:
    """For each key `v1,` and the base64 of HMAC-SHA256 over id, timestamp and body, with a space between them: who
    verifies is content with any, so a secret can be replaced without a moment at which both sides must agree."""
    macs = [hmac.new(key, head, hashlib.sha256) for key in keys]
    body.seek(0)
    while piece := body.read(_PIECE):
        for mac in macs:
            mac.update(piece)
    return " ".join(f"v1,{base64.b64encode(mac.digest()).decode()}" for mac in macs)
