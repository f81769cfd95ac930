"""Crawls the pages of many modules over several documentation servers; one item per module.

No name of the standard library is left out. The odd ones are harmless here: `antigravity` finds a browser
that does nothing, `this` prints its poem into the drained output, `turtledemo` and `idlelib` open windows
only when they are run, and a module of another system is a page with an error.
Packages in `site-packages`, which the index lists too, are not crawled: pydoc would import them.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from .doc_server import doc_server
from .failures import PageLost
from .pydoc_page import PydocPage

Item = dict[str, Any]
Take = Callable[[Item], Awaitable[None]]
PIECE = 65536  # bytes
NO_LIMIT = aiohttp.ClientTimeout(total=None)  # `fetch` has its own


def module_names(most: int) -> list[str]:
    """Standard library modules of this Python, sorted; the first `most` of them, or all if it is 0."""
    names = sorted(sys.stdlib_module_names)
    return names[:most] if most else names


async def crawl_index(folder: Path, page_timeout: float) -> list[str]:
    """Names on the server's index page: everything this Python can import. Empty if the page is lost."""
    async with doc_server(folder) as url, aiohttp.ClientSession(timeout=NO_LIMIT) as session:
        try:
            return (await fetch(session, f"{url}index.html", page_timeout)).listed_modules
        except PageLost:
            return []


async def crawl(names: Sequence[str], *, servers: int, folder: Path, page_timeout: float, take: Take) -> None:
    """Hands one item per name to `take`, in the order the pages arrive.

    A page depends on what its server has imported before. Each server therefore walks a fixed share of the
    names in order, so that two runs with as many servers see the same pages.
    Raises: DocServerFailed, and whatever `take` raises.
    """
    shares = [names[first::servers] for first in range(servers)]
    try:
        async with aiohttp.ClientSession(timeout=NO_LIMIT) as session, asyncio.TaskGroup() as group:
            for share in filter(None, shares):
                group.create_task(_crawl_share(session, deque(share), folder, page_timeout, take))
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None  # the first one; the others were cancelled


async def _crawl_share(
    session: aiohttp.ClientSession, names: deque[str], folder: Path, page_timeout: float, take: Take
) -> None:
    while names:
        async with doc_server(folder) as url:
            await _crawl_until_lost(session, url, names, page_timeout, take)


async def _crawl_until_lost(
    session: aiohttp.ClientSession, server: str, names: deque[str], page_timeout: float, take: Take
) -> None:
    """Takes names from the left until none remains or the server has to be replaced."""
    while names:
        name = names.popleft()
        url = f"{server}{name}.html"
        try:
            page = await fetch(session, url, page_timeout)
        except PageLost as lost:
            await take({"url": url, "name": name, "error": str(lost)})
            return
        await take(item_of(url, name, page))


async def fetch(session: aiohttp.ClientSession, url: str, page_timeout: float) -> PydocPage:
    """One whole page, parsed as it arrives. `page_timeout` is in seconds.

    Raises: PageLost if it is late, breaks off, or is no page.
    """
    page = PydocPage()
    try:
        async with asyncio.timeout(page_timeout), session.get(url) as response:
            async for piece in response.content.iter_chunked(PIECE):
                page.feed_bytes(piece)
    except TimeoutError:
        raise PageLost(f"no whole page within {page_timeout:g} s") from None
    except aiohttp.ClientError as failed:
        raise PageLost(f"the documentation server is gone: {type(failed).__name__}") from None
    if response.status != 200 or not page.is_complete:
        raise PageLost(f"the page broke off after {page.html_bytes} bytes (status {response.status})")
    return page


def item_of(url: str, name: str, page: PydocPage) -> Item:
    """A page as it goes into the dataset: `{url, name, error}` or everything there is to know.

    Without a time on purpose: two crawls of one Python differ in nothing but the server's port in `url`.
    """
    if page.error is not None:
        return {"url": url, "name": name, "error": page.error}
    return {
        "url": url,
        "name": name,
        "synopsis": page.synopsis,
        "classes": page.classes,
        "functions": page.functions,
        "links": len(page.links),
        "htmlBytes": page.html_bytes,
    }
