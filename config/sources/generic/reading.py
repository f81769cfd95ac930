"""JSON answers, of which only a part is wanted; rows that are asked for keep their text, so that no number changes on
the way. What is kept of a run is decoded, and so are rows that stand in it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason

_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decoded(body: bytes) -> Any:
    """A whole answer. Raises Transient: anything but JSON is a proxy's page or half an answer."""
    try:
        return msgspec.json.decode(body)
    except _BROKEN:
        raise odd("is not JSON") from None


def part(body: bytes, steps: Sequence[str]) -> bytes:
    """The text of what these steps lead to (`config.wire.places`); `null` if nothing does. Raises Transient."""
    found = sought(body, steps)
    return b"null" if found is None else found


def sought(body: bytes, steps: Sequence[str]) -> bytes | None:
    """The same; None if nothing is there, not even `null`."""
    found: bytes | None = body
    for step in steps:
        found = None if found is None else _inside(found, step)
    return found


def rows(text: bytes) -> list[bytes]:
    """The elements of a list, each as one line without its line break. What is no list is a list of one, and null is
    an empty one. Raises Transient."""
    text = text.strip()
    if text in {b"null", b""}:
        return []
    try:
        elements = msgspec.json.decode(text, type=list[msgspec.Raw]) if text.startswith(b"[") else [text]
        return [one_line(bytes(element)) for element in elements]
    except _BROKEN:
        raise odd("is not JSON") from None


def one_line(document: bytes) -> bytes:
    """A JSON document without line breaks, everything else as it was written."""
    broken = b"\n" in document or b"\r" in document
    return msgspec.json.format(document, indent=-1) if broken else document.strip()


def lacking(key: str, place: str) -> Permanent:
    """Nothing is where the file says that something is. key: of the file, e.g. `items`."""
    return Permanent(
        Reason.SOURCE_REFUSED,
        f"nothing is at `{place}`, where `{key}` looks: mend that, or say `{key}.optional: true` if it means none",
    )


def odd(what: str) -> Transient:
    """An answer that is not what the file says of it."""
    return Transient(Reason.SOURCE_UNAVAILABLE, f"the platform's answer {what}")


def _inside(body: bytes, step: str) -> bytes | None:
    try:
        match body.strip()[:1]:
            case b"{":
                found = msgspec.json.decode(body, type=dict[str, msgspec.Raw]).get(step)
                return None if found is None else bytes(found)
            case b"[" if step.isdecimal():
                elements = msgspec.json.decode(body, type=list[msgspec.Raw])
                return bytes(elements[int(step)]) if int(step) < len(elements) else None
        nothing = msgspec.json.decode(body) is None
    except _BROKEN:
        raise odd("is not JSON") from None
    return b"null" if nothing else None
