"""A webhook that could not be verified, as it is kept for a person to learn from: without what is a secret, or may be
one. No I/O.
"""

import secrets
from collections.abc import Sequence

import msgspec

from config.logs import MASK, is_private, masked

#: Bytes of a body that are kept.
MOST_BODY = 64 * 1024
#: Bytes more that are looked at, so that no secret lies across the cut.
BEYOND = 4096

_NEVER_SHOWN = frozenset({"authorization", "cookie", "proxy-authorization"})


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
    said = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
    headers = tuple((name, hidden(value) if _is_secret(name, value) else value) for name, value in said)
    return headers, tuple(name for name, value in said if _is_of_the_file(value))


def body_of(taped: bytes) -> tuple[bytes, bool]:
    """The beginning of a body as it may be kept, and whether a secret was taken out of it."""
    text = taped.decode("utf-8", "surrogateescape")
    without = masked(text)
    if without == text:
        return taped[:MOST_BODY], False
    return without.encode("utf-8", "surrogateescape")[:MOST_BODY], True


def _is_secret(name: str, value: str) -> bool:
    """Whether it is one, or looks like one. Signatures are not: they are what is to be learnt."""
    signs = "signature" in name
    if name in _NEVER_SHOWN or (is_private(name) and not signs):
        return True
    said = _as_utf8(value.replace(";", " ") if signs else value)  # `;signature=` would be one of a URL
    return masked(said) != said


def _is_of_the_file(value: str) -> bool:
    scheme, _, rest = value.strip().partition(" ")
    said = _as_utf8(rest.strip() if scheme.lower() == "bearer" else value.strip())
    return said != MASK == masked(said)


def _as_utf8(value: str) -> str:
    return value.encode("latin-1").decode("utf-8", "replace")
