"""Lists that come page by page (API reference, "Pagination": `offset`, `limit`, `desc`)."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from config.contracts.api import Api
from config.sources.apify.answers import ItemList, data
from config.wire.answers import SMALL

#: Most things the platform lists at once.
PAGE = 1000


async def listed(
    api: Api, path: str, params: Mapping[str, str | int] | None = None, *, page: int = PAGE
) -> AsyncIterator[dict[str, Any]]:
    """Everything in a list, to its end; `page`: how many to ask for at once.

    What is added meanwhile at the front moves the others on, so that one may stand on two pages: it comes once.
    """
    offset, before = 0, frozenset[Any]()
    while items := data(
        await api.get(path, {**(params or {}), "limit": page, "offset": offset}, most=SMALL), ItemList
    ).items:
        for item in items:
            if item.get("id") not in before:
                yield item
        offset += len(items)
        before = frozenset(item.get("id") for item in items) - {None}
