"""Pre-signed reading: what the `signature` of a URL stands for (Apify, "General resource access").

The algorithm is that of the official clients, which sign with a storage's `urlSigningSecretKey` themselves.
"""

import base64
import binascii
import hashlib
import hmac
import string
import time

CONTENT_DAYS = 14  # how long the URLs last that the API makes up by itself; those of records last for ever

_BASE62 = string.digits + string.ascii_letters
_KEPT_HEX = 30
_VERSION = "0"


def record_signature(secret: str, key: str) -> str:
    """The signature that opens one record: it never expires."""
    digest = hmac.new(secret.encode(), key.encode(), hashlib.sha256).hexdigest()
    number, digits = int(digest[:_KEPT_HEX], 16), ""
    while number:
        number, index = divmod(number, len(_BASE62))
        digits = _BASE62[index] + digits
    return digits or _BASE62[0]


def content_signature(secret: str, storage: str, expires_millis: int = 0) -> str:
    """The signature that opens a dataset's items or a store's keys until then (Unix milliseconds; 0 is for ever)."""
    code = record_signature(secret, f"{_VERSION}.{expires_millis}.{storage}")
    return base64.urlsafe_b64encode(f"{_VERSION}.{expires_millis}.{code}".encode()).decode()


def lasting_signature(secret: str, storage: str) -> str:
    """The signature of the URLs that the API shows."""
    return content_signature(secret, storage, int((time.time() + CONTENT_DAYS * 86_400) * 1000))


def opens_record(signature: str, secret: str, key: str) -> bool:
    """Whether the signature is that of this record."""
    return hmac.compare_digest(signature.encode(), record_signature(secret, key).encode())


def opens_content(signature: str, secret: str, storage: str) -> bool:
    """Whether the signature is that of this dataset or store, and not expired."""
    try:
        _, expires, _ = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)).decode().split(".")
        expires_millis = int(expires)
    except (binascii.Error, ValueError):
        return False
    if expires_millis and expires_millis < time.time() * 1000:
        return False
    expected = content_signature(secret, storage, expires_millis).rstrip("=")
    return hmac.compare_digest(signature.rstrip("=").encode(), expected.encode())
