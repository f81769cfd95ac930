"""Files that tasks put out, as records, each under a name made of its task's id and its own."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from config.contracts.api import Api, StreamedAnswer
from config.contracts.document import Document
from config.contracts.errors import NotFound, Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.source import Key, Keys
from config.sources.ittybit.outputs import Output, within_reach
from config.wire import files

#: Most keys on one page.
PAGE = 1000
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SIZES = ("filesize", "size")

#: Tells anew where a file lies; empty if nobody knows any more.
Fresh = Callable[[], Awaitable[str]]


def keys(store: str, found: Iterable[Output], at: float, *, after: str | None) -> Keys:
    """A page of the files, in the order of the tasks.

    Raises Transient if the list does not know any more where the page before ended.
    """
    listed = _keys(store, found)
    names = [key.key for key in listed]
    if after is not None and after not in names:
        raise Transient(Reason.SOURCE_UNAVAILABLE, f"the file {after!a} was listed, and is not any more")
    start = 0 if after is None else names.index(after) + 1
    page, more = listed[start : start + PAGE], len(listed) > start + PAGE
    return Keys(keys=tuple(page), count=len(page), after=page[-1].key if more else None, at=at)


@asynccontextmanager
async def record(api: Api, key: Key, fresh: Fresh) -> AsyncIterator[Document]:
    """The file or, where HTTP cannot fetch it, its address.

    Raises NotFound if its task does not have it any more, Permanent (data_expired) if no address of it is good.
    """
    async with AsyncExitStack() as stack:
        if not within_reach(key.url):
            yield files.reference(key)
            return
        yield files.document(key, await opened(stack, api, key.url, fresh))


async def opened(stack: AsyncExitStack, api: Api, url: str, fresh: Fresh) -> StreamedAnswer:
    """The file at an address or, since addresses may be good for a while only, at a fresh one."""
    try:
        return await stack.enter_async_context(api.download(url, files.verdict))
    except NotFound:
        address = await fresh()
    if not address:
        raise NotFound(Reason.DATA_EXPIRED, "its task does not name the file any more")
    try:
        return await stack.enter_async_context(api.download(address, files.verdict))
    except NotFound as no:
        raise Permanent(Reason.DATA_EXPIRED, f"{no.detail}; its task was asked for a fresh one, to no avail") from no


def _keys(store: str, found: Iterable[Output]) -> list[Key]:
    keys = dict[str, Key]()
    for output in found:
        if output.url:
            name = _unlike(keys, _name(output))
            keys[name] = Key(store=store, key=name, size=_size(output), url=output.url, about=output.about)
    return list(keys.values())


def _name(output: Output) -> str:
    """`task_1-video.mp4`; `task_1-0-video.mp4` if the task has several outputs; `.url` behind it for a reference."""
    about = output.about
    kind, form = (str(about.get(name) or "") for name in ("kind", "format"))
    name = output.path.rpartition("/")[2] or f"{kind or 'file'}.{form or 'bin'}"
    number = [] if output.alone else [str(output.number)]
    whole = "-".join((output.task, *number, name[-120:]))
    return _UNSAFE.sub("_", whole).lstrip(".") + ("" if within_reach(output.url) else ".url")


def _unlike(taken: Collection[str], name: str) -> str:
    tried, count = name, 1
    while tried in taken:
        count += 1
        tried = f"{count}-{name}"
    return tried


def _size(output: Output) -> int | None:
    """Bytes, if the task says so."""
    sizes = (output.about.get(name) for name in _SIZES)
    return next((size for size in sizes if type(size) is int and size >= 0), None)
