"""A webhook that could not be verified, as it is kept for a person to learn from: without what is a secret, or may be
one. No I/O.
"""

import base64
import re
import secrets
from collections.abc import Sequence

import msgspec

from config.logs import MASK, is_private, masked

#: Bytes of a body that are kept.
MOST_BODY = 64 * 1024
#: Bytes more that are looked at, so that no secret lies across the cut.
BEYOND = 4096

_NEVER_SHOWN = frozenset({"authorization", "cookie", "proxy-authorization"})
#: Names of secrets that in a log would be of something else.
_PRIVATE_TOO = re.compile(
    r"(?:.*[._-])?(?:auth|pass|pwd|passphrase|credentials?|jwt|session|sid|(?:private|subscription|functions)[_-]?key)",
    re.IGNORECASE | re.DOTALL,
)
#: Characters at the end of a name that tell whether it is one of them.
_LONGEST_NAME = 64
#: A header's value that is one, whatever the header (RFC 9110, 11.4).
_SCHEMED = re.compile(r"\s*(?:basic|bearer|token|apikey)\s+\S", re.IGNORECASE)
_BASIC = re.compile(r"(\bbasic\s+)([A-Za-z0-9+/_-]{4,})=*", re.IGNORECASE)
_PLAIN = str.maketrans("-_", "+/")
#: A text in JSON, or what is left of one: a stranger's body must not make it look at anything twice.
_STRING = re.compile(r'"(?:[^"\\]|\\.?)*"?', re.DOTALL)


class Captured(msgspec.Struct, frozen=True):
    """One of them.

    Attributes:
        id: of this capture.
        at, until: when it came and when it is to be forgotten, Unix seconds.
        kind: why it was refused.
        path: without the secret that may stand in it.
        headers: as they came, except secrets; names lower case.
        secrets: names of those that held one of the file's secrets and nothing else.
        body: as it came, if it is neither `masked` nor `cut`.
        masked: a secret was taken out of the body.
        cut: there was more of it.
        in_path: what stood in the path was one of the file's secrets.
    """

    id: str
    at: float
    until: float
    source: str
    kind: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    secrets: tuple[str, ...]
    body: bytes
    masked: bool
    cut: bool
    in_path: bool = False

    @property
    def whole(self) -> bool:
        """Whether the body is there as it was signed."""
        return not (self.masked or self.cut)


def fresh_id() -> str:
    return secrets.token_hex(6)


def hidden(value: str) -> str:
    """What is shown in the place of a secret."""
    return f"{MASK} ({len(value)} characters)"


def shown(raw: Sequence[tuple[bytes, bytes]]) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Headers as they may be kept, and the names of those that held one of the file's secrets."""
    said = [(masked(name.decode("latin-1")), value.decode("latin-1")) for name, value in raw]
    headers = tuple((name, hidden(value) if _is_secret(name, value) else value) for name, value in said)
    return headers, tuple(name for name, value in said if _is_of_the_file(value))


def addressed(path: str, secret: str) -> tuple[str, bool]:
    """A path that ends in `secret` as it may be kept, and whether that is one of the file's."""
    return path.removesuffix(secret) + hidden(secret) if secret else path, secret != MASK == masked(secret)


def body_of(taped: bytes) -> tuple[bytes, bool]:
    """The beginning of a body as it may be kept, and whether a secret was taken out of it."""
    text = taped.decode("utf-8", "surrogateescape")
    without = _BASIC.sub(_without_password, masked(_without_private(text)))
    if without == text:
        return taped[:MOST_BODY], False
    return without.encode("utf-8", "surrogateescape")[:MOST_BODY], True


def _is_secret(name: str, value: str) -> bool:
    """Whether it is one, or looks like one. Signatures are not: they are what is to be learnt."""
    if name in _NEVER_SHOWN or _names_secret(name) or _SCHEMED.match(value):
        return True
    written = value.replace(";", " ") if _signs(name) else value  # `;signature=` would be one of a URL
    return any(masked(said) != said for said in _readings(written))


def _is_of_the_file(value: str) -> bool:
    scheme, _, rest = value.strip().partition(" ")
    written = rest.strip() if scheme.lower() == "bearer" else value.strip()
    return any(said != MASK == masked(said) for said in _readings(written))


def _readings(value: str) -> tuple[str, str]:
    """A header's value as UTF-8, which senders mean, and as HTTP once had it."""
    return value.encode("latin-1").decode("utf-8", "replace"), value


def _signs(name: str) -> bool:
    return "signature" in name.lower()


def _names_secret(name: str) -> bool:
    """Whether a header, or a member of an object, is named like one. Of what a stranger sends, the end will do."""
    end = name[-_LONGEST_NAME:]
    return not _signs(end) and (is_private(end) or _PRIVATE_TOO.fullmatch(end) is not None)


def _without_private(text: str) -> str:
    """JSON, perhaps cut or broken, without the texts, and lists of texts, under names of secrets."""
    kept, end, name, inside = list[str](), 0, "", ""
    for found in _STRING.finditer(text):
        between = text[end : found.start()]
        inside = _inside(between, inside)
        hides = inside and _names_secret(name)
        kept += between, f'"{MASK}"' if hides and found[0] != '""' else found[0]
        name, end = name if inside else found[0].strip('"'), found.end()
    return "".join((*kept, text[end:]))


def _inside(between: str, before: str) -> str:
    """What makes the text behind `between` a value of the name that came last: `:`, or `:[` for a list of them."""
    said = "".join(between.split())
    return said if said in {":", ":["} else before if (said, before) == (",", ":[") else ""


def _without_password(found: re.Match[str]) -> str:
    """`Basic` of RFC 7617, which tells a name and a password; other words behind it are just words."""
    plain = found[2].translate(_PLAIN)
    try:
        tells = b":" in base64.b64decode(plain + "=" * (-len(plain) % 4))
    except ValueError:
        tells = False
    return f"{found[1]}{MASK}" if tells else found[0]
