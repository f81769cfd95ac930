"""A run's rows: those that stand in it, and those that are asked for.

The former are part of `Run.fields`, so they are written anew: 1.10 becomes 1.1. The latter keep their text.
"""

from collections import OrderedDict
from collections.abc import Callable

import msgspec

from config.contracts.api import Api
from config.contracts.run import Run
from config.contracts.source import Count, Page
from config.sources.generic import filling
from config.sources.generic.numbering import Numbered, page_of
from config.sources.generic.options import ItemsShape, ListShape
from config.sources.generic.reading import lacking
from config.sources.generic.walking import Walk
from config.wire.places import at, steps

#: Bytes of rows that are kept for all runs together.
HELD = 16 * 1024 * 1024
#: Runs whose lists are remembered.
RUNS = 64


def in_run(run: Run, key: str, shape: ListShape) -> list[object]:
    """The elements of a list that stands in the run; what is no list is a list of one, and null an empty one. key: of
    the file, e.g. `items`.

    Raises Permanent (source_refused) if a run that came to its own end lacks it.
    """
    found = at(run.fields, steps(shape.at)) if shape.at else run.fields
    if found is None:
        if shape.at and run.succeeded and not shape.optional and not _is_null(run, shape.at):
            raise lacking(key, shape.at)
        return []
    return found if isinstance(found, list) else [found]


def _is_null(run: Run, place: str) -> bool:
    """Whether nothing is what stands there."""
    *before, last = steps(place)
    inside = at(run.fields, before)
    return isinstance(inside, dict) and last in inside


class Items:
    """Rows as `items` in the file says.

    now: our own clock, Unix seconds, for what a run brought along: there is nobody left to ask.
    """

    def __init__(self, shape: ItemsShape | None, base: str, now: Callable[[], float]) -> None:
        self._shape, self._base, self._now = shape, base, now
        self._lists: OrderedDict[tuple[str, str], Numbered] = OrderedDict()

    async def page(self, api: Api, run: Run, *, offset: int, limit: int, most: int) -> Page:
        """See `Source.page`."""
        if self._shape and self._shape.fetch:
            page = await self._list(self._shape, self._shape.fetch, run).page(api, offset, limit, most)
            self._keep_within(HELD)
            return page
        rows = self._brought(run)
        return page_of(rows[offset : offset + limit], len(rows), self._now(), most)

    async def count(self, api: Api, run: Run) -> Count:
        """See `Source.count`."""
        if self._shape and self._shape.fetch:
            return await self._list(self._shape, self._shape.fetch, run).count(api)
        return Count(rows=len(self._brought(run)), at=self._now())

    def _brought(self, run: Run) -> list[bytes]:
        return [msgspec.json.encode(row) for row in in_run(run, "items", self._shape)] if self._shape else []

    def _list(self, shape: ItemsShape, fetch: str, run: Run) -> Numbered:
        key = (run.id, run.life)
        if key not in self._lists:
            place = filling.filled(fetch, run.id, run.fields, "items.fetch")
            self._lists[key] = Numbered(Walk("items", shape, place, self._base))
        self._lists.move_to_end(key)
        while len(self._lists) > RUNS:
            self._lists.popitem(last=False)
        return self._lists[key]

    def _keep_within(self, most: int) -> None:
        """The pages of those that were read last stay."""
        for one in reversed(self._lists.values()):
            most -= one.held_bytes
            if most < 0:
                one.let_go()
