"""Signatures of webhooks: a keyed hash over what was sent (RFC 2104), and Standard Webhooks, which is one of them."""

import base64
import hmac
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from config.contracts.errors import Refused
from config.contracts.kinds import Kind
from config.webhooks.options import FIELD, Hmac, StandardWebhooks, key_of
from config.wire.moments import seconds

#: Signatures of one webhook that are looked at: a sender has as many as it has keys.
MOST = 16
#: How Svix, whose scheme became the standard, names the same headers ("Verifying Webhooks Manually" of its docs).
SVIX = {f"webhook-{name}": f"svix-{name}" for name in ("id", "timestamp", "signature")}

#: A part of a header, `name=value`. Strangers write it, unproven: no character is looked at more than a few times.
PART = re.compile(r"(?:^|[,;\s])([A-Za-z0-9_-]{1,32})=\"?([^,;\s\"]+)")
_URL_SAFE = str.maketrans("-_", "+/")

Clock = Callable[[], float]


@dataclass(frozen=True)
class Signed:
    """One way of signing.

    Attributes:
        keys: any of them may have signed.
        form: where signature and moment stand, and what is signed.
        aliases: what else a header may be called.
    """

    keys: Sequence[bytes]
    form: Hmac
    aliases: Mapping[str, str] = field(default_factory=dict)
    now: Clock = time.time

    def check_head(self, headers: Mapping[str, str]) -> None:
        """Whatever can be said before the body is there. Raises Refused as `check` does."""
        head = _Head(self, headers)
        head.signatures()
        self._check_moment(head)
        self._message(head, b"")

    def check(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises Refused: signature_missing if something it needs is not there, signature_invalid if it does not fit,
        cannot be read, or is too old. Every signature is compared with that of every key, whichever fits."""
        head = _Head(self, headers)
        presented = head.signatures()
        self._check_moment(head)
        message = self._message(head, body)
        expected = [hmac.new(key, message, self.form.digest).digest() for key in self.keys]
        fits = [hmac.compare_digest(one, other) for one in presented for other in expected]
        if not any(fits):
            raise _invalid("the signature fits none of the active secrets under webhook.secrets of this source")

    def _check_moment(self, head: "_Head") -> None:
        if self.form.timestamp is None:
            return
        try:
            off = abs(self.now() - seconds(head.value(self.form.timestamp)))
        except (ValueError, OverflowError):
            raise _invalid(f"`{self.form.timestamp}` is not a moment") from None
        if off > self.form.tolerance:
            raise _invalid(f"`{self.form.timestamp}` is too long ago, or the clocks differ: sign it anew")

    def _message(self, head: "_Head", body: bytes) -> bytes:
        """What is signed. The body is put in as it came, never as text."""
        pieces = FIELD.split(self.form.signed)
        said = [piece.encode() for piece in pieces]
        said[1::2] = [body if name == "body" else head.value(name).encode("latin-1") for name in pieces[1::2]]
        return b"".join(said)


class _Head:
    """What the head of one webhook says, by the names that the file uses for it."""

    def __init__(self, signed: Signed, headers: Mapping[str, str]) -> None:
        self.form, self.aliases, self.headers = signed.form, signed.aliases, headers
        self.parts: dict[str, list[str]] = {}
        self.header = self.value(self.form.header)
        for name, value in PART.findall(self.header) if self.form.part else ():
            self.parts.setdefault(name.lower(), []).append(value)

    def value(self, name: str) -> str:
        """Raises Refused (signature_missing)."""
        (part, *_) = self.parts.get(name, [""])
        said = part or self.headers.get(name) or self.headers.get(self.aliases.get(name, ""))
        if not said:
            raise Refused(
                Kind.SIGNATURE_MISSING,
                f"sign the webhook: `{name}` did not come along",
                {"WWW-Authenticate": "Signature"},
            )
        return said

    def signatures(self) -> list[bytes]:
        """Those that can be read. What has another prefix is of another version. Raises Refused (signature_invalid)."""
        decoded = (_decoded(word, self.form.encoding) for word in islice(self._words(), MOST))
        found = [one for one in decoded if one is not None]
        if not found:
            raise _invalid(f"`{self.form.header}` has no signature as `webhook.verify` of this source describes it")
        return found

    def _words(self) -> Iterator[str]:
        """A prefix may have a comma or a blank in it, a signature has none."""
        written = self.parts.get(self.form.part, []) if self.form.part else [self.header]
        word = rf"(?:^|[,;\s]){re.escape(self.form.prefix)}([^,;\s]+)"
        return (found[1] for text in written for found in re.finditer(word, text))


#: Standard Webhooks 1.0.0, "Signature scheme": `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`.
STANDARD = Hmac(
    scheme="hmac",
    header="webhook-signature",
    prefix="v1,",
    encoding="base64",
    signed="{webhook-id}.{webhook-timestamp}.{body}",
    timestamp="webhook-timestamp",
)


def standard(options: StandardWebhooks, secrets: Sequence[str], now: Clock = time.time) -> Signed:
    """Raises ValueError for a secret that is no key."""
    form = STANDARD.model_copy(update={"tolerance": options.tolerance})
    return Signed([key_of(secret) for secret in secrets], form, SVIX, now)


def _decoded(word: str, encoding: str) -> bytes | None:
    """Base64 of either alphabet, padded or not."""
    try:
        if encoding == "hex":
            return bytes.fromhex(word)
        plain = word.rstrip("=").translate(_URL_SAFE)
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        return None


def _invalid(why: str) -> Refused:
    return Refused(Kind.SIGNATURE_INVALID, why, {"WWW-Authenticate": "Signature"})
