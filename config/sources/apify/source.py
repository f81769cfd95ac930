"""One Apify account: both halves of its dialect. Asks through the `Api` it is given, never by itself."""

import fnmatch
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from config.contracts.api import Api, Manners
from config.contracts.document import Document
from config.contracts.errors import NotFound
from config.contracts.event import Event, Ignored, Test
from config.contracts.run import Run
from config.contracts.source import Count, Key, Keys, Leftover, Page, Requests, Unheard
from config.sources.apify import door, lasting, limits, logs, naming, runs, storages, telling
from config.sources.apify.answers import Identified, RunFields, data, seconds, shaped
from config.sources.apify.options import Config
from config.sources.apify.paths import TASK, segment
from config.sources.apify.verdict import verdict
from config.webhooks.guard import Guard, Guarded
from config.wire.answers import SMALL

#: Records that `*` leaves out: the input, and the bookkeeping of Apify's SDKs and of Crawlee.
_BOOKKEEPING = ("INPUT*", "__*", "SDK_*", "CRAWLEE_*")
#: Where Apify sends webhooks from (its webhook documentation, "Webhook actions"; static addresses).
ADDRESSES = (
    "3.215.64.207",
    "13.216.80.7",
    "13.216.180.86",
    "34.224.107.31",
    "34.236.208.85",
    "44.198.219.104",
    "44.207.71.44",
    "44.207.141.205",
    "52.4.20.206",
    "52.203.255.236",
)


def connect(name: str, config: Config) -> "ApifySource":
    """The source a section of runrelay.yaml describes."""
    return ApifySource(name, config)


class ApifySource(Guarded):
    """See `config.contracts.source.Source`."""

    platform = "Apify"
    statuses = telling.TERMINAL | telling.UNDER_WAY
    origins = telling.ORIGINS
    success = "SUCCEEDED"
    grows = True  # a run that is resurrected goes on with its storages (API reference, "Resurrect run")

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.manners = Manners(
            base_url=f"{str(config.api_url).rstrip('/')}/v2",
            token=config.token.get_secret_value(),
            verdict=verdict,
            redirect_hosts=("amazonaws.com", "apify.com"),
            rate=limits.rate,
            in_all=limits.IN_ALL,
            limit_header=limits.HEADER,
        )
        self.settle = config.settle.settle
        self.accounts = config.accounts
        self.reconcile = config.reconcile.reconcile(announced=bool(config.webhook)) if config.reconcile else None
        self._retention = config.retention
        self._run_id = config.webhook.run_id if config.webhook else door.OWN_PATHS
        self.guard = Guard(config.webhook, {"apify": ADDRESSES})

    @property
    def secret(self) -> str:
        """The first active secret, for webhooks we set up ourselves; empty without one."""
        return self.guard.secret

    # the door

    def parse(self, headers: Mapping[str, str], body: bytes, /) -> Event | Ignored | Test:
        return door.parse(self.name, self._run_id, headers, body)

    # the API

    async def account(self, api: Api, /) -> str:
        return data(await api.get("/users/me", most=SMALL), Identified).id

    async def run(self, api: Api, run_id: str, /, said: bytes = b"") -> Run:
        return self.told(await runs.get(api, run_id))

    async def ended_runs(
        self, api: Api, /, *, started_after: float, actor: str = "", task: str = ""
    ) -> AsyncIterator[Run]:
        """Get list of runs, which knows when runs started, not when they ended. Runs come in short form."""
        program = f"{TASK}{task}" if task else actor or None
        async for fields in runs.ended(api, started_after, program):
            yield self.told(fields)

    async def unheard(self, api: Api, /, *, since: float) -> AsyncIterator[Unheard]:
        """Get list of webhook dispatches: those of which every call failed."""
        async for one in lasting.failed(api, since):
            yield one

    def told(self, fields: dict[str, Any]) -> Run:
        """A run object of the API, in our words. Raises Transient if it is none."""
        return telling.told(self.name, shaped(fields, RunFields), fields)

    async def actor_name(self, api: Api, actor_id: str, /) -> str:
        return await naming.owned_name(api, "actors", actor_id)

    async def task_name(self, api: Api, task_id: str, /) -> str:
        return await naming.owned_name(api, "actor-tasks", task_id)

    async def schedule_name(self, api: Api, schedule_id: str, /) -> str:
        return await naming.plain_name(api, "schedules", schedule_id)

    async def build_tags(self, api: Api, run: Run, /) -> tuple[str, ...]:
        return await naming.tags_of(api, run.actor_id, telling.build_of(run))

    async def page(self, api: Api, run: Run, dataset: str, /, *, offset: int, limit: int, most: int) -> Page:
        return await storages.page(api, dataset, offset=offset, limit=limit, most=most)

    async def count(self, api: Api, run: Run, dataset: str, /) -> Count:
        return await storages.row_count(api, dataset)

    async def keys(self, api: Api, run: Run, store: str, /, *, after: str | None) -> Keys:
        return await storages.keys(api, store, after=after)

    def record(self, api: Api, run: Run, key: Key, /) -> AbstractAsyncContextManager[Document]:
        return storages.record(api, key)

    async def requests(self, api: Api, queue: str, /, *, after: str | None) -> Requests:
        return await storages.requests(api, queue, after=after)

    async def request_count(self, api: Api, queue: str, /) -> Count:
        return await storages.request_count(api, queue)

    async def delete(self, api: Api, run: Run, what: Leftover, /) -> None:
        """Delete run, Delete dataset, Delete store: only finished runs, only by who started them (API reference)."""
        paths = {
            "run": ("/actor-runs/", run.id),
            "dataset": ("/datasets/", run.datasets.get("default", "")),
            "store": ("/key-value-stores/", run.stores.get("default", "")),
        }
        collection, ident = paths[what]
        if ident:
            with suppress(NotFound):
                await api.send("DELETE", f"{collection}{segment(ident)}")

    def expires(self, life: str, /) -> float | None:
        """Unnamed storages are deleted after a time that the plan decides (storage documentation, "Data retention":
        7 days unless agreed otherwise). Named ones stay, but a run does not tell which of its storages have names, so
        this is the earliest it may be."""
        return seconds(life, "finishedAt") + self._retention if life else None

    async def log_tail(self, api: Api, run_id: str, lines: int, /) -> bytes:
        return await logs.tail(api, run_id, lines)

    def ordinary(self, key: str, /) -> bool:
        return not any(fnmatch.fnmatchcase(key, pattern) for pattern in _BOOKKEEPING)

    # what people see

    def describe(self, run: Run, /) -> Mapping[str, Any]:
        return telling.described(run)
