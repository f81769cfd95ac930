"""Lists, which come page by page, bare arrays (`api/pagination`: `limit`, `after`, `order`; `Link`, `Has-More`)."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from config.contracts.api import Answer, Api
from config.sources.ittybit.answers import Listed, odd, shaped
from config.wire.answers import SMALL
from config.wire.links import Elsewhere, below, following

#: Most things the platform lists at once.
PAGE = 100
#: Most pages of one list that are followed.
PAGES = 1000


class Place(NamedTuple):
    """A page of a list: a path below `base_url`, and parameters."""

    path: str
    params: Mapping[str, str | int]


async def listed(
    api: Api, base_url: str, path: str, params: Mapping[str, str | int]
) -> AsyncIterator[tuple[dict[str, Any], Answer]]:
    """Everything in a list, to its end, each with the answer that it stood in.

    Raises Transient if the list leads elsewhere, back to itself, or nowhere although it goes on.
    """
    place = Place(path, {**params, "limit": PAGE})
    begun = set[str]()
    for _ in range(PAGES):
        answer = await api.get(*place, most=SMALL)
        things = shaped(answer, list[dict[str, Any]])
        ids = [shaped(thing, Listed).id for thing in things]
        if begun.intersection(ids[:1]):
            raise odd("leads back to a page of the list that came before")
        begun.update(ids[:1])
        for thing in things:
            yield thing, answer
        onwards = _next(base_url, answer, place, ids[-1] if ids else "")
        if onwards is None:
            return
        place = onwards
    raise odd("is of a list that does not end")


def _next(base_url: str, answer: Answer, place: Place, last: str) -> Place | None:
    """The page after this one, whose last thing has the id `last`."""
    if address := following(answer.headers):
        try:
            return Place(*below(base_url, address, f"{place.path}?{urlencode(place.params)}"))
        except Elsewhere:
            raise odd("leads on to another place than the API") from None
    if answer.headers.get("has-more", "").strip().lower() != "true":
        return None
    if not last:
        raise odd("is an empty page of a list that goes on")
    return place._replace(params={**place.params, "after": last})
