"""Lists that come page by page, in whatever way the platform has for that."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec
from multidict import MultiDict

from config.contracts.api import Answer, Api, TooLarge
from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason
from config.sources.generic.filling import Place, split
from config.sources.generic.options import ListShape
from config.sources.generic.paging import Cursor, Link, Next, Offset, PageNumber
from config.sources.generic.reading import lacking, odd, part, rows, sought
from config.wire import links
from config.wire.answers import clock
from config.wire.places import steps

#: Most bytes of one page of the platform's.
PAGE = 64 * 1024 * 1024
#: Pages that one walk goes along at most.
PAGES = 100_000

#: Where a list goes on: how many rows are left out, a page's number, a cursor, or a path with its parameters.
Position = int | str
_BEGINNING = ""
_ACCEPTED = 202


@dataclass(frozen=True, slots=True)
class Stretch:
    """A page of the platform's.

    Attributes:
        rows: each as one line, without its line break.
        following: where the list goes on; None at its end.
        full: whether nothing more can come to stand on this page.
        total: rows in the whole list, if the platform says so.
        at: its clock, Unix seconds.
    """

    rows: list[bytes]
    following: Position | None
    full: bool
    total: int | None
    at: float


class Walk:
    """One list, to be walked along in steps of the platform's.

    key: where the file has it, e.g. `items`. place: where it is asked for. base: the API's base URL.
    """

    def __init__(self, key: str, shape: ListShape, place: Place, base: str) -> None:
        self.key, self.place, self.base = key, place, base
        self.paging = shape.paging
        self._at = steps(shape.at) if shape.at else ()
        self._optional = shape.optional
        total = getattr(shape, "total", None)
        self._total = steps(total) if total else None

    @property
    def beginning(self) -> Position:
        match self.paging:
            case Offset():
                return 0
            case PageNumber(first=number):
                return number
        return _BEGINNING

    @property
    def is_counted(self) -> bool:
        """Whether the platform says how many rows there are."""
        return self._total is not None

    async def knock(self, api: Api) -> None:
        """Ask for the first page, and look at nothing of it."""
        path, params = self._asked(self.beginning)
        await api.get(path, params, most=PAGE)

    async def step(self, api: Api, position: Position) -> Stretch:
        """The page that begins there. Raises Transient for an answer of another shape, Permanent (source_refused) if it
        is too large, or leads away from the API."""
        place = self._asked(position)
        try:
            answer = await api.get(*place, most=PAGE)
        except TooLarge:
            raise Permanent(
                Reason.SOURCE_REFUSED, f"a page of `{self.key}` has more than 64 MiB: make `size` of its paging smaller"
            ) from None
        found = rows(self._list(answer))
        following = self._following(answer, position, len(found), place)
        return Stretch(
            rows=found,
            following=following,
            full=following is not None and self._is_full(len(found)),
            total=self._counted(answer) if self._total else None,
            at=clock(answer.headers),
        )

    def _list(self, answer: Answer) -> bytes:
        """Raises Transient if it is still being made (RFC 9110, 15.3.3), Permanent (source_refused) if there is none
        where the file says that there is one."""
        if answer.status == _ACCEPTED:
            raise odd(f"is that `{self.key}` is still being made: HTTP {_ACCEPTED}")
        found = sought(answer.body, self._at)
        if found is None and not self._optional:
            raise lacking(self.key, ".".join(self._at))
        return found or b"null"

    async def rows(self, api: Api) -> AsyncIterator[tuple[bytes, float]]:
        """Every row, from the beginning, and the platform's clock when it told of it."""
        position: Position | None = self.beginning
        seen = set[Position]()
        while position is not None:
            seen.add(position)
            stretch = await self.step(api, position)
            for row in stretch.rows:
                yield row, stretch.at
            position = stretch.following
            if position in seen or len(seen) > PAGES:
                raise goes_round(self.key)

    def _asked(self, position: Position) -> Place:
        match self.paging, position:
            case Offset() as way, _:
                return self._with({way.offset: str(position), way.limit: str(way.size)})
            case PageNumber() as way, _:
                return self._with({**_limit(way), way.page: str(position)})
            case Cursor() as way, str():
                return self._with({**_limit(way), **({way.param: position} if position else {})})
            case (Link() | Next()) as way, str():
                return split(position) if position else self._with(_limit(way))
        return self.place

    def _with(self, paging: Mapping[str, str]) -> Place:
        """The place with parameters of its paging; others keep all the values that they have."""
        path, params = self.place
        asked = MultiDict(params)
        asked.update(paging)
        return path, asked

    def _following(self, answer: Answer, position: Position, count: int, place: Place) -> Position | None:
        match self.paging:
            case Offset() if isinstance(position, int):
                return position + count if count else None
            case PageNumber() if isinstance(position, int):
                return position + 1 if count else None
            case Cursor(next=said):
                return _cursor(self._said(answer, said)) or None
            case Link():
                return self._address(links.following(answer.headers), place)
            case Next(at=said):
                return self._address(self._said(answer, said), place)
        return None

    def _is_full(self, count: int) -> bool:
        """Numbered pages are filled up before there are more; in every other way what follows is what comes next."""
        way = self.paging
        return not isinstance(way, PageNumber) or (way.limit is not None and count >= way.size)

    def _said(self, answer: Answer, place: str) -> Any:
        return msgspec.json.decode(part(answer.body, steps(place)))

    def _address(self, address: Any, page: Place) -> str | None:
        """Below the API: nowhere else may our token go. None at the end. page: where it is told."""
        if not address:
            return None
        try:
            return _written(links.below(self.base, str(address), _written(page)))
        except ValueError:
            raise Permanent(
                Reason.SOURCE_REFUSED, f"`{self.key}` goes on at an address that does not lie below `api.url`"
            ) from None

    def _counted(self, answer: Answer) -> int | None:
        total = msgspec.json.decode(part(answer.body, self._total or ()))
        return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None


def goes_round(key: str) -> Transient:
    """A list without an end."""
    return odd(f"leads `{key}` back to where it has been: check its `paging`")


def _limit(way: PageNumber | Cursor | Link | Next) -> dict[str, str]:
    return {way.limit: str(way.size)} if way.limit else {}


def _cursor(value: Any) -> str:
    """A text, or a number; anything else is the end, and so is 0."""
    return str(value) if value and isinstance(value, str | int) and not isinstance(value, bool) else ""


def _written(place: Place) -> str:
    path, params = place
    return f"{path}?{urlencode(params)}" if params else path
