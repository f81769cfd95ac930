"""Signatures of webhooks: a keyed hash over what was sent (RFC 2104), and Standard Webhooks, which is one of them."""

import base64
import binascii
import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from config.contracts.errors import Refused
from config.contracts.kinds import Kind
from config.webhooks.options import Hmac, StandardWebhooks
from config.wire.moments import seconds

_FIELD = re.compile(r"\{([^{}]+)\}")
_BETWEEN = re.compile(r"[,\s]+")
#: Signatures of one webhook that are looked at: a sender has as many as it has keys.
MOST = 16
#: What keys of Standard Webhooks begin with, "Symmetric"; the rest is base64.
KEY_PREFIX = "whsec_"

Clock = Callable[[], float]


@dataclass(frozen=True)
class Signed:
    """One way of signing.

    Attributes:
        keys: any of them may have signed.
        form: where signature and moment stand, and what is signed.
    """

    keys: Sequence[bytes]
    form: Hmac
    now: Clock = time.time

    def check(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises Refused: signature_missing if something it needs is not there, signature_invalid if it does not fit,
        or is too old."""
        header = headers.get(self.form.header, "")
        parts = _parts(header) if self.form.part else {}
        self._check_moment(headers, parts)
        message = self._message(headers, parts, body)
        expected = [hmac.new(key, message, self.form.digest).digest() for key in self.keys]
        presented = self._signatures(parts[self.form.part][:MOST] if self.form.part in parts else [header])
        if not presented:
            raise _missing(self.form.header)
        fits = [hmac.compare_digest(one, key) for one in presented for key in expected]
        if not any(fits):
            raise _invalid("the signature fits none of the active secrets under webhook.secrets of this source")

    def missing(self) -> Refused:
        """What to answer when nothing was signed at all."""
        return _missing(self.form.header)

    def _check_moment(self, headers: Mapping[str, str], parts: Mapping[str, list[str]]) -> None:
        if self.form.timestamp is None:
            return
        try:
            off = abs(self.now() - seconds(_value(self.form.timestamp, headers, parts)))
        except (ValueError, OverflowError):
            raise _invalid(f"`{self.form.timestamp}` is not a moment") from None
        if off > self.form.tolerance:
            raise _invalid("it was signed too long ago, or the clocks differ")

    def _message(self, headers: Mapping[str, str], parts: Mapping[str, list[str]], body: bytes) -> bytes:
        """What is signed. The body is put in as it came, never as text."""
        pieces = _FIELD.split(self.form.signed)
        return b"".join(
            piece.encode()
            if index % 2 == 0
            else body
            if piece == "body"
            else _value(piece, headers, parts).encode("latin-1")
            for index, piece in enumerate(pieces)
        )

    def _signatures(self, written: Sequence[str]) -> list[bytes]:
        """Those that can be read. What has another prefix is of another version."""
        words = [word for text in written for word in _BETWEEN.split(text) if word]
        if self.form.prefix:
            words = _prefixed(written, self.form.prefix)
        decoded = (_decoded(word, self.form.encoding) for word in words[:MOST])
        return [one for one in decoded if one is not None]


def standard(options: StandardWebhooks, secrets: Sequence[str], now: Clock = time.time) -> Signed:
    """Standard Webhooks 1.0.0, "Signature scheme": `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`."""
    form = Hmac(
        scheme="hmac",
        header="webhook-signature",
        prefix="v1,",
        encoding="base64",
        signed="{webhook-id}.{webhook-timestamp}.{body}",
        timestamp="webhook-timestamp",
        tolerance=options.tolerance,
    )
    return Signed([key_of(secret) for secret in secrets], form, now)


def key_of(secret: str) -> bytes:
    """The key that a secret of Standard Webhooks stands for. Raises ValueError without the secret in it."""
    try:
        return base64.b64decode(secret.removeprefix(KEY_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"a secret of Standard Webhooks is base64 behind `{KEY_PREFIX}`") from None


def _parts(header: str) -> dict[str, list[str]]:
    """`t=1,v1=ab,v1=cd` by name."""
    found: dict[str, list[str]] = {}
    for piece in header.split(","):
        name, _, value = piece.strip().partition("=")
        found.setdefault(name, []).append(value)
    return found


def _prefixed(written: Sequence[str], prefix: str) -> list[str]:
    """The words behind the prefix; what separates two of them may be part of it (`v1,`)."""
    words = [word.strip(",") for text in written for word in text.split()]
    pieces = words if "," in prefix else [piece for word in words for piece in word.split(",")]
    return [piece.removeprefix(prefix) for piece in pieces if piece.startswith(prefix)]


def _value(name: str, headers: Mapping[str, str], parts: Mapping[str, list[str]]) -> str:
    value = next(iter(parts.get(name, ())), "") or headers.get(name.lower(), "")
    if not value:
        raise _missing(name)
    return value


def _decoded(word: str, encoding: str) -> bytes | None:
    try:
        return bytes.fromhex(word) if encoding == "hex" else base64.b64decode(word, validate=True)
    except (ValueError, binascii.Error):
        return None


def _missing(name: str) -> Refused:
    return Refused(Kind.SIGNATURE_MISSING, f"sign the webhook: `{name}` is not there, or not as it should be")


def _invalid(why: str) -> Refused:
    return Refused(Kind.SIGNATURE_INVALID, why)
