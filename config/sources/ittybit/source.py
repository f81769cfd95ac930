"""One ittybit project: both halves of its dialect. Asks through the `Api` it is given, never by itself."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from config.contracts.api import Api, Manners
from config.contracts.document import Document
from config.contracts.errors import NotFound
from config.contracts.event import Event, Ignored, Test
from config.contracts.run import Run
from config.contracts.source import Count, Key, Keys, Page
from config.sources.ittybit import analyses, door, records, statuses, telling
from config.sources.ittybit.keeping import Kept
from config.sources.ittybit.lists import listed
from config.sources.ittybit.options import Config
from config.sources.ittybit.outputs import Output, outputs, require_addresses
from config.sources.ittybit.verdict import verdict
from config.sources.ittybit.works import Place, Work
from config.webhooks.guard import Guard, Guarded
from config.wire.answers import SMALL
from config.wire.bare import Bare
from config.wire.options import origins

#: Most bytes of runs, and of their items, that one source keeps: the pages of one read are made of few requests.
_WORKS, _ROWS = 8 * 1024 * 1024, 64 * 1024 * 1024


def connect(name: str, config: Config) -> "IttybitSource":
    """The source a section of runrelay.yaml describes."""
    return IttybitSource(name, config)


class IttybitSource(Guarded, Bare):
    """See `config.contracts.source.Source`."""

    platform = "ittybit"
    statuses: Collection[str] = statuses.ALL
    origins: Collection[str] = frozenset()
    success = "succeeded"

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.manners = Manners(
            base_url=str(config.api_url).rstrip("/"),
            token=config.token.get_secret_value(),
            verdict=verdict,
            headers={"Accept-Version": config.version} if config.version else {},
            file_origins=origins(config.file_origins),
        )
        self.settle = config.settle.settle
        self.reconcile = config.reconcile.reconcile(announced=bool(config.webhook)) if config.reconcile else None
        self.guard = Guard(config.webhook)
        self._list = f"/{config.work}"
        self._place = Place(self.manners.base_url, config.work)
        self._works = Kept[tuple[str, str], Work](_WORKS)
        self._rows = Kept[analyses.Name, analyses.Rows](_ROWS)

    # the door

    def parse(self, headers: Mapping[str, str], body: bytes, /) -> Event | Ignored | Test:
        return door.parse(self.name, body)

    # the API

    async def account(self, api: Api, /) -> str:
        """A key sees the runs of its own project, and nothing says which that is (`docs/keys`). An account whose API
        knows no such list has a key all the same."""
        with suppress(NotFound):
            await api.get(self._list, {"limit": 1}, most=SMALL)
        return ""

    async def run(self, api: Api, run_id: str, /, said: bytes = b"") -> Run:
        work = await self._place.fetch(api, run_id)
        return telling.told(self.name, work.fields, telling.kept(work))

    async def ended_runs(
        self, api: Api, /, *, started_after: float, actor: str = "", task: str = ""
    ) -> AsyncIterator[Run]:
        """Lists have the newest first (`api/pagination`). There are no programs that runs could be of."""
        if actor or task:
            return
        async for fields, _ in listed(api, self.manners.base_url, self._list, {"order": "desc"}):
            begun = telling.begun(fields)
            if begun is not None and begun < started_after:
                return
            run = telling.told(self.name, fields, fields)
            if run.terminal:
                yield run

    async def page(self, api: Api, run: Run, dataset: str, /, *, offset: int, limit: int, most: int) -> Page:
        window = analyses.Window(offset, limit, most)
        return window.page(await self._read(api, run, window.take))

    async def count(self, api: Api, run: Run, dataset: str, /) -> Count:
        window = analyses.Window(0, 0, 0)
        at = await self._read(api, run, window.take)
        return Count(rows=window.total, at=at)

    async def keys(self, api: Api, run: Run, store: str, /, *, after: str | None) -> Keys:
        work = await self._place.fetch(api, run.id)
        require_addresses(work)
        return records.keys(store, outputs(work), work.at, after=after)

    def record(self, api: Api, run: Run, key: Key, /) -> AbstractAsyncContextManager[Document]:
        return records.record(api, key, lambda: self._address(api, run, key.about))

    # what runs put out

    async def _read(self, api: Api, run: Run, take: Callable[[analyses.Rows], None]) -> float:
        """Every item of the run, analysis by analysis; the platform's clock then. Only what has settled is kept."""
        work = self._works.get((run.id, run.life)) or await self._place.fetch(api, run.id)
        require_addresses(work)
        settled = work.at >= run.finished + self.settle.quiet
        if settled:
            self._works.put((run.id, run.life), work, work.size)
        for output in outputs(work):
            if output.is_analysis:
                take(await self._items(api, run, output, keep=settled))
        return work.at

    async def _items(self, api: Api, run: Run, output: Output, *, keep: bool) -> analyses.Rows:
        name = (run.id, run.life, output.task, output.number)
        rows = self._rows.get(name)
        if rows is None:
            rows = await analyses.rows(api, output, lambda: self._address(api, run, output.about))
            if keep:
                self._rows.put(name, rows, sum(map(len, rows)))
        return rows

    async def _address(self, api: Api, run: Run, about: Mapping[str, Any]) -> str:
        """Where an output lies now; empty if its task does not name it any more."""
        task, number = str(about.get("task_id", "")), about.get("number")
        found = outputs(await self._place.fetch(api, run.id, only=task))
        return next((output.url for output in found if (output.task, output.number) == (task, number)), "")
