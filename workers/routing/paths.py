"""Where a rendered path may lead, and how a document's file is called. Pure: nothing here looks at a disk.

A slash makes folders, also one that came out of a value (`{{ actor.name }}` is two folders). Everything else of a value
is kept as it is; what would leave the base is refused instead of mended, because two names mended alike are one file.
"""

import hashlib
import mimetypes
import re
import unicodedata
from pathlib import PurePosixPath

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason

#: bytes of one rendered name; file systems stop at 255, and an extension, a mark and the part's suffix come on top
_LONGEST = 200
_ENDING = re.compile(r"\.(?=[^.]*[A-Za-z])[A-Za-z0-9]{1,8}$")
_EXTENSIONS = {
    "application/json": ".json",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "application/gzip": ".gz",
    "application/octet-stream": ".bin",
    "application/pdf": ".pdf",
    "application/xml": ".xml",
    "application/zip": ".zip",
    "application/javascript": ".js",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/svg+xml": ".svg",
    "image/webp": ".webp",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/markdown": ".md",
    "text/plain": ".txt",
    "text/xml": ".xml",
}


def fenced(rendered: str) -> PurePosixPath:
    """The rendered path, relative to the base of its sink; names longer than 200 bytes are cut and marked.

    Raises Permanent(path_escape) for `..`, `.`, an absolute path, an empty name, a backslash or a control character.
    """
    names = unicodedata.normalize("NFC", rendered).split("/")
    wrong = next(filter(None, map(_objection, names)), None)
    if wrong:
        raise Permanent(Reason.PATH_ESCAPE, f"{wrong} in the path {_shown(rendered)}")
    return PurePosixPath(*map(_short, names))


def with_extension(path: PurePosixPath, content_type: str) -> PurePosixPath:
    """The path with its content type's extension, unless its name has one (a `.2` is none, a `.gz` is)."""
    if _ENDING.search(path.name):
        return path
    return path.with_name(path.name + extension(content_type))


def extension(content_type: str) -> str:
    """`image/png` → `.png`; parameters such as `; charset=utf-8` do not matter; what nobody knows is `.bin`."""
    kind = content_type.partition(";")[0].strip().lower()
    return _EXTENSIONS.get(kind) or mimetypes.guess_extension(kind, strict=False) or ".bin"


def second(path: PurePosixPath, key: str) -> PurePosixPath:
    """The path of another document whose name is taken: `~` and eight digits of its key, before the extension."""
    ending = _ending(path.name)
    stem = path.name.removesuffix(ending)
    return path.with_name(f"{stem}~{_digest(key)}{ending}")


def _objection(name: str) -> str | None:
    if not name:
        return "an empty name"
    if name in {".", ".."}:
        return f"`{name}`"
    if "\\" in name:
        return "a backslash"
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in name):
        return "a control character"
    return None


def _short(name: str) -> str:
    raw = name.encode()
    if len(raw) <= _LONGEST:
        return name
    ending = _ending(name)
    room = _LONGEST - len(ending) - 9
    return f"{raw[:room].decode(errors='ignore')}~{_digest(name)}{ending}"


def _ending(name: str) -> str:
    found = _ENDING.search(name)
    return found.group() if found else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _shown(path: str) -> str:
    """At most 200 characters of it, in ASCII, with every control character spelled out."""
    return ascii(path if len(path) <= 200 else f"{path[:199]}…")
