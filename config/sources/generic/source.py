"""One account of a platform that the file describes. Asks through the `Api` it is given, never by itself."""

import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from config.contracts.api import Api, Manners, TooLarge
from config.contracts.document import Document
from config.contracts.errors import NotFound, Permanent, Refused
from config.contracts.event import Event, Ignored, Test
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.source import Count, Key, Keys, Page
from config.sources.generic import door, filling, runs
from config.sources.generic.files import Files, expired
from config.sources.generic.items import Items
from config.sources.generic.options import ApiShape, Config
from config.sources.generic.telling import Telling
from config.sources.generic.verdict import verdict
from config.sources.generic.walking import PAGE
from config.webhooks.bodies import opened
from config.webhooks.guard import Guard, Guarded
from config.wire.answers import clock
from config.wire.bare import Bare
from config.wire.options import origins


def connect(name: str, config: Config) -> "GenericSource":
    """The source a section of runrelay.yaml describes."""
    return GenericSource(name, config)


class GenericSource(Guarded, Bare):
    """See `config.contracts.source.Source`. now: our own clock, Unix seconds."""

    origins: Collection[str] = frozenset()

    def __init__(self, name: str, config: Config, now: Callable[[], float] = time.time) -> None:
        self.name = self.platform = name
        self.manners = _manners(config.api)
        self.settle = config.settle.settle
        self.reconcile = config.reconcile.reconcile(announced=bool(config.webhook)) if config.reconcile else None
        self._config, self._now = config, now
        self.guard = Guard(config.webhook)
        self._telling = Telling(name, config)
        self.success = self._telling.success
        self.statuses: Collection[str] = self._telling.statuses
        self.unsigned = config.run.fetch is None and not self.guard.signs
        self._items = Items(config.items, self.manners.base_url, now)
        self._files = Files(config.files, self.manners.base_url, now)

    # the door

    def parse(self, headers: Mapping[str, str], body: bytes, /) -> Event | Ignored | Test:
        """An event that nobody can be asked about means nothing before it says that its run has ended."""
        event = door.parse(self.name, self._config.event, headers, body)
        if isinstance(event, Event) and self._config.run.fetch is None:
            word = self._telling.goes_on(opened(body), event.kind)
            return Ignored(word) if word is not None else event
        return event

    # the API

    async def account(self, api: Api, /) -> str:
        """Nothing says whose a token is; whether it is any good, the list of runs tells, if the file has one."""
        if self._config.runs:
            await runs.knock(api, self._config.runs, self.manners.base_url)
        return ""

    async def run(self, api: Api, run_id: str, /, said: bytes = b"") -> Run:
        if self._config.run.fetch is None:
            return self._said(run_id, said)
        path, params = filling.filled(self._config.run.fetch, run_id, {}, "run.fetch")
        try:
            answer = await api.get(path, params, most=PAGE)
        except TooLarge:
            raise Permanent(Reason.SOURCE_REFUSED, "what `run.fetch` answers has more than 64 MiB") from None
        return self._telling.answered(run_id, answer.body, clock(answer.headers) or self._now())

    def _said(self, run_id: str, said: bytes) -> Run:
        try:
            event = opened(said)
        except Refused:
            raise NotFound(
                Reason.RUN_NOT_FOUND, "only its webhook tells of the run, and that is not there: set `run.fetch`"
            ) from None
        return self._telling.said(run_id, event, door.kind_of(self._config.event, event, {}), self._now())

    async def ended_runs(
        self, api: Api, /, *, started_after: float, actor: str = "", task: str = ""
    ) -> AsyncIterator[Run]:
        """As many as `runs` lists, at most 5000."""
        found = runs.ended(
            api,
            self._config.runs,
            self._telling,
            self.manners.base_url,
            started_after=started_after,
            actor=actor,
            task=task,
        )
        async for run in found:
            yield run

    async def actor_name(self, api: Api, actor_id: str, /) -> str:
        """What ran is known by its name alone."""
        return actor_id

    async def page(self, api: Api, run: Run, dataset: str, /, *, offset: int, limit: int, most: int) -> Page:
        return await self._items.page(api, run, offset=offset, limit=limit, most=most)

    async def count(self, api: Api, run: Run, dataset: str, /) -> Count:
        return await self._items.count(api, run)

    async def keys(self, api: Api, run: Run, store: str, /, *, after: str | None) -> Keys:
        return await self._files.keys(api, run, after=after)

    @asynccontextmanager
    async def record(self, api: Api, run: Run, key: Key, /) -> AsyncIterator[Document]:
        """An address may be over when it is asked: the platform is asked for a fresh one, once."""
        async with AsyncExitStack() as stack:
            try:
                document = await stack.enter_async_context(self._files.record(api, run, key))
            except NotFound:
                fresh = await self._listed_anew(api, run, key)
                try:
                    document = await stack.enter_async_context(self._files.record(api, run, fresh))
                except NotFound:
                    raise expired(key) from None
            yield document

    async def _listed_anew(self, api: Api, run: Run, key: Key) -> Key:
        """Raises NotFound for what never had an address, Permanent (data_expired)."""
        if not key.url:
            raise NotFound(Reason.DATA_EXPIRED, f"the platform has no file {key.key!a} any more")
        if self._files.are_listed:
            return await self._files.fresh(api, run, key)
        if self._config.run.fetch is None:
            raise expired(key)
        return await self._files.fresh(api, await self.run(api, run.id), key)


def _manners(api: ApiShape | None) -> Manners:
    if api is None:
        return Manners(base_url="", token="", verdict=verdict)
    return Manners(
        base_url=str(api.url).rstrip("/"),
        token=api.token.get_secret_value() if api.token else "",
        token_header=api.token_header,
        token_prefix=api.token_prefix,
        headers=api.headers,
        verdict=verdict,
        file_origins=origins(api.file_origins),
        in_all=api.rate.many / api.rate.seconds if api.rate else float("inf"),
    )
