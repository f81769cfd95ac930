"""Something with a name and a content type, as it comes from a platform and goes to a sink."""

from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """One named thing with a content type: a key-value record, the log, or the run object.

    Attributes:
        key: record key, or `log.txt` / `run.json`; unique within its stream.
        content_type: as stored, e.g. `image/png` or `application/json; charset=utf-8`.
        size: bytes, if the platform said so.
        chunks: its bytes, once.
    """

    key: str
    content_type: str
    size: int | None
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Glimpse:
    """The beginning of a document: what can be shown of it before it is sent.

    Attributes:
        key, content_type, size: see `Document`.
        start: its first bytes.
    """

    key: str
    content_type: str
    size: int | None
    start: bytes
