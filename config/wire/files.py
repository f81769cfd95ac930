"""Files at addresses that platforms give: mostly signed ones of a storage host, which know nothing of our token."""

from collections.abc import AsyncIterator, Mapping

from config.contracts.api import StreamedAnswer
from config.contracts.document import Document
from config.contracts.errors import NotFound, Permanent, Transient, WorkError
from config.contracts.reasons import Reason
from config.contracts.source import Key
from config.wire.answers import retry_after

#: The media type of a list of addresses (RFC 2483, 5), for files that only whoever owns their bucket can fetch.
REFERENCE = "text/uri-list"
_AGAIN = frozenset({408, 425, 429})
#: Signed addresses that are over are answered with 403 or 400, by some with 401; deleted files with 404 or 410.
_OVER = frozenset({400, 401, 403, 404, 410})


def verdict(status: int, headers: Mapping[str, str], _body: bytes) -> WorkError:
    """The error for an answer outside 2xx. A storage host that says no says nothing about our token.

    NotFound (data_expired) if the address is worth nothing any more: a fresh one may be.
    """
    if status in _OVER:
        return NotFound(Reason.DATA_EXPIRED, f"HTTP {status} at the address of a file: it is over, or the file is gone")
    if status >= 500 or status in _AGAIN:
        return Transient(Reason.SOURCE_UNAVAILABLE, f"HTTP {status} for a file", retry_after=retry_after(headers))
    return Permanent(Reason.SOURCE_REFUSED, f"HTTP {status} for a file")


def document(key: Key, answer: StreamedAnswer) -> Document:
    """A file that is being fetched."""
    return Document(
        key=key.key,
        content_type=answer.headers.get("content-type", "application/octet-stream"),
        size=_length(answer.headers),
        chunks=answer.chunks,
    )


def reference(key: Key) -> Document:
    """The address itself, of a file that HTTP cannot fetch."""
    body = f"{key.url}\r\n".encode()
    return Document(key=key.key, content_type=REFERENCE, size=len(body), chunks=_once(body))


def _length(headers: Mapping[str, str]) -> int | None:
    """Bytes of the body as it is read: unpacked, and without what is between its chunks."""
    written = headers.get("content-length", "")
    packed = "content-encoding" in headers or "transfer-encoding" in headers
    return int(written) if written.isdecimal() and not packed else None


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
