"""A run's files: addresses that the platform names, or names that it is asked for."""

import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from config.contracts.api import Api, StreamedAnswer
from config.contracts.document import Document
from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.source import Key, Keys
from config.sources.generic import filling
from config.sources.generic.items import in_run
from config.sources.generic.options import FilesShape
from config.sources.generic.reading import lacking, odd
from config.sources.generic.walking import Walk
from config.wire.files import document, reference, verdict
from config.wire.places import at, steps

#: Most files of one run.
MOST = 10_000
#: What follows the name of a file that only its address can be had of.
REFERENCE = ".url"
_ADDRESS = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|data:)\S+\Z")
_UNSAFE = re.compile(r"[^\w.!'()-]+")
_FETCHED = ("http", "https")


class Files:
    """Files as `files` in the file says. now: our own clock, Unix seconds, for what a run brought along."""

    def __init__(self, shape: FilesShape | None, base: str, now: Callable[[], float]) -> None:
        self._shape, self._base, self._now = shape, base, now

    @property
    def are_listed(self) -> bool:
        """Whether the list is asked for by itself."""
        return bool(self._shape and self._shape.fetch)

    async def keys(self, api: Api, run: Run, *, after: str | None) -> Keys:
        """See `Source.keys`; all on one page. Raises Transient if the list does not know `after` any more."""
        found, when = await self._all(api, run)
        names = [key.key for key in found]
        if after is not None and after not in names:
            raise Transient(Reason.SOURCE_UNAVAILABLE, f"the file {after!a} was listed, and is not any more")
        rest = found if after is None else found[names.index(after) + 1 :]
        return Keys(keys=tuple(rest), count=len(rest), after=None, at=when)

    async def fresh(self, api: Api, run: Run, key: Key) -> Key:
        """The same file as it is listed now. Raises Permanent (data_expired) if its address is still the same, or it
        is gone."""
        found, _ = await self._all(api, run)
        for one in found:
            if one.key == key.key and one.url != key.url:
                return one
        raise expired(key)

    def record(self, api: Api, run: Run, key: Key) -> AbstractAsyncContextManager[Document]:
        """Raises NotFound if there is no file at its address."""
        if not key.url:
            return _document(key, api.stream(*self._below(run, key)))
        if _is_reference(key.url):
            return _reference(key)
        return _document(key, api.download(key.url, verdict))

    async def _all(self, api: Api, run: Run) -> tuple[list[Key], float]:
        """Every file, and the clock by which they are told."""
        shape, when = self._shape, self._now()
        if shape is None:
            return [], when
        if shape.fetch is None:
            return self._named(run, in_run(run, "files", shape)), when
        walk = Walk("files", shape, filling.filled(shape.fetch, run.id, run.fields, "files.fetch"), self._base)
        elements = list[Any]()
        async for row, told in walk.rows(api):
            when = told
            elements.append(_element(row))
            _limit(elements)
        return self._named(run, elements), when

    def _named(self, run: Run, elements: Iterable[Any]) -> list[Key]:
        """Those elements that are files, each by a name of its own."""
        found, taken = list[Key](), set[str]()
        for element in elements:
            url, name = self._address(element), self._name(element)
            if url or (name and self._downloads):
                key = _free(_safe(name or _last_step(url) or f"file-{len(found) + 1}", url), taken)
                about = element if isinstance(element, dict) else {"name": name} if name else {}
                found.append(Key(store=run.id, key=key, size=self._size(element), url=url, about=about))
            elif isinstance(element, dict) and (place := self._wanted()):
                raise lacking("files", place)
        _limit(found)
        return found

    def _wanted(self) -> str | None:
        """The place at which every object must say which file it is; None if it need not."""
        shape = self._shape
        if shape is None or shape.optional:
            return None
        return shape.url or (shape.name if shape.download else None)

    def _address(self, element: Any) -> str:
        """Empty if the element has none: not every text is an address."""
        place = self._shape.url if self._shape else None
        written = at(element, steps(place)) if place else None if self._downloads else element
        return written if isinstance(written, str) and _ADDRESS.match(written) else ""

    def _name(self, element: Any) -> str:
        if isinstance(element, str):
            return element if self._downloads else ""
        place = self._shape.name if self._shape else None
        written = at(element, steps(place)) if place else None
        return str(written) if isinstance(written, str | int) and not isinstance(written, bool) else ""

    def _size(self, element: Any) -> int | None:
        place = self._shape.size if self._shape else None
        written = at(element, steps(place)) if place else None
        return written if isinstance(written, int) and not isinstance(written, bool) and written >= 0 else None

    @property
    def _downloads(self) -> bool:
        return bool(self._shape and self._shape.download)

    def _below(self, run: Run, key: Key) -> filling.Place:
        if self._shape is None or self._shape.download is None:
            raise expired(key)
        name = self._name(dict(key.about)) or str(key.about.get("name", ""))
        return filling.of_file(self._shape.download, run.id, run.fields, name)


def expired(key: Key) -> Permanent:
    return Permanent(
        Reason.DATA_EXPIRED, f"the address of the file {key.key!a} is worth nothing any more, and there is no fresh one"
    )


@asynccontextmanager
async def _document(key: Key, asked: AbstractAsyncContextManager[StreamedAnswer]) -> AsyncIterator[Document]:
    async with asked as answer:
        yield document(key, answer)


@asynccontextmanager
async def _reference(key: Key) -> AsyncIterator[Document]:
    yield reference(key)


def _is_reference(url: str) -> bool:
    return url.partition(":")[0].lower() not in _FETCHED


def _last_step(url: str) -> str:
    """The last part of an address's path; nothing can be made of some addresses."""
    try:
        path = "" if url.startswith("data:") else urlsplit(url).path
    except ValueError:
        return ""
    return unquote(path.rstrip("/").rpartition("/")[2])


def _safe(name: str, url: str) -> str:
    """The name as a key: letters, digits and a few signs, as every target can take them."""
    stem, dot, ending = _UNSAFE.sub("_", name)[-500:].rpartition(".")
    plain = f"{stem[:100]}{dot}{ending[:20]}".strip(".") if dot else ending[:120]
    return f"{plain or 'file'}{REFERENCE if url and _is_reference(url) else ''}"


def _free(name: str, taken: set[str]) -> str:
    """The name, or with a number if another file has it."""
    stem, dot, ending = name.rpartition(".")
    one, number = name, 2
    while one in taken:
        one = f"{stem}-{number}{dot}{ending}" if stem else f"{name}-{number}"
        number += 1
    taken.add(one)
    return one


def _limit(found: list[Any]) -> None:
    if len(found) > MOST:
        raise Permanent(Reason.SOURCE_REFUSED, f"the run has more than {MOST} files")


def _element(row: bytes) -> Any:
    try:
        return msgspec.json.decode(row)
    except (msgspec.DecodeError, RecursionError):
        raise odd("is not JSON") from None
