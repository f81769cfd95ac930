"""One Apify account: both halves of its dialect. Asks through the `Api` it is given, never by itself."""

import fnmatch
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

from config.contracts.document import Document
from config.contracts.errors import Forbidden, NotFound
from config.contracts.event import Event, Ignored, Test
from config.contracts.run import Run
from config.contracts.source import Api, Count, Key, Keys, Leftover, Manners, Page, Requests, Settle
from config.sources.apify import door
from config.sources.apify.answers import (
    Builds,
    DatasetInfo,
    KeyList,
    Meta,
    Named,
    QueueInfo,
    RequestList,
    RunFields,
    RunOptions,
    StorageIds,
    User,
    data,
    number,
    odd,
    one_line,
    raw_data,
)
from config.sources.apify.options import Config, Webhook
from config.sources.apify.paths import segment
from config.sources.apify.verdict import clock, verdict
from config.sources.verify import Addresses, StaticSecrets

#: Run statuses that are final (API reference, ActorJobStatus).
TERMINAL = frozenset({"SUCCEEDED", "FAILED", "TIMED-OUT", "ABORTED"})
#: Records that `*` leaves out: the input, and the bookkeeping of Apify's SDKs and of Crawlee.
_BOOKKEEPING = ("INPUT*", "__*", "SDK_*", "CRAWLEE_*")
#: Most bytes of a small JSON answer: a run, a count, a page of keys.
_SMALL = 8 * 1024 * 1024
#: Most bytes of a page of requests; each may bring a payload.
_REQUESTS = 64 * 1024 * 1024
#: Most bytes kept of a log; Apify keeps 10,485,760 characters of it (platform limits).
_LOG = 16 * 1024 * 1024
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
_CONSOLE = "https://console.apify.com"


def connect(name: str, config: Config) -> "ApifySource":
    """The source a section of runrelay.yaml describes."""
    return ApifySource(name, config)


class ApifySource:
    """See `config.contracts.source.Source`."""

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.manners = Manners(
            base_url=f"{str(config.api_url).rstrip('/')}/v2",
            token=config.token.get_secret_value(),
            verdict=verdict,
            redirect_hosts=("amazonaws.com", "apify.com"),
        )
        self.settle = Settle(quiet=config.settle.quiet, timeout=config.settle.timeout)
        self.accounts = config.accounts
        self._webhook = config.webhook or Webhook.model_construct(secrets=())
        self._addresses = Addresses(_networks(self._webhook.allow_ips))
        self._secrets = StaticSecrets([secret.get_secret_value() for secret in self._webhook.secrets])

    @property
    def secret(self) -> str:
        """The first active secret, for webhooks we set up ourselves; empty without one."""
        found = (secret.get_secret_value() for secret in self._webhook.secrets)
        return next((secret for secret in found if secret), "")

    # the door

    def admit(self, address: str | None, /) -> None:
        self._addresses.check(address)

    def authenticate(self, presented: str | None, /) -> None:
        self._secrets.check(presented)

    def parse(self, headers: Mapping[str, str], body: bytes, /) -> Event | Ignored | Test:
        return door.parse(self.name, self._webhook.run_id, headers, body)

    # the API

    async def account(self, api: Api, /) -> str:
        return data(await api.get("/users/me", most=_SMALL), User).id

    async def run(self, api: Api, run_id: str, /) -> Run:
        answer = await api.get(f"/actor-runs/{segment(run_id)}", most=_SMALL)
        return self._run(data(answer, RunFields), data(answer, dict[str, Any]))

    def _run(self, run: RunFields, fields: dict[str, Any]) -> Run:
        storages, meta = run.storage_ids or StorageIds(), run.meta or Meta()
        finished = run.finished_at if run.status in TERMINAL else None
        return Run(
            id=run.id,
            source=self.name,
            status=run.status,
            terminal=bool(finished),
            life=finished or "",
            finished=_seconds(finished),
            account=run.user_id or "",
            origin=meta.origin or "",
            build=run.build_number or "",
            schedule_id=meta.schedule_id or "",
            actor_id=run.act_id or "",
            task_id=run.actor_task_id or "",
            datasets=_storages(storages.datasets, run.default_dataset_id),
            stores=_storages(storages.key_value_stores, run.default_key_value_store_id),
            queues=_storages(storages.request_queues, run.default_request_queue_id),
            fields=fields,
        )

    async def actor_name(self, api: Api, actor_id: str, /) -> str:
        return await self._name(api, "actors", actor_id)

    async def task_name(self, api: Api, task_id: str, /) -> str:
        return await self._name(api, "actor-tasks", task_id)

    async def schedule_name(self, api: Api, schedule_id: str, /) -> str:
        if not schedule_id:
            return ""
        try:
            named = data(await api.get(f"/schedules/{segment(schedule_id)}", most=_SMALL), Named)
        except (NotFound, Forbidden):
            return ""
        return named.name or ""

    async def build_tags(self, api: Api, run: Run, /) -> tuple[str, ...]:
        """The tag the run asked for, and those that lead to its build by now (API reference, Actor, `taggedBuilds`)."""
        fields = msgspec.convert(run.fields, RunFields)
        asked = (fields.options or RunOptions()).build
        tags = [asked] if asked and asked != run.build else []
        try:
            actor = data(await api.get(f"/actors/{segment(run.actor_id)}", most=_SMALL), Builds)
        except (NotFound, Forbidden):
            return tuple(tags)
        tagged = actor.tagged_builds or {}
        tags += [tag for tag, build in tagged.items() if build and build.build_id and build.build_id == fields.build_id]
        return tuple(dict.fromkeys(tags))

    async def _name(self, api: Api, collection: str, thing: str) -> str:
        """A thing that is gone or that the token may not see has no name; a token that is refused does not make one
        of it: then the run waits."""
        if not thing:
            return ""
        try:
            named = data(await api.get(f"/{collection}/{segment(thing)}", most=_SMALL), Named)
        except (NotFound, Forbidden):
            return ""
        return f"{named.username}/{named.name}" if named.username and named.name else ""

    async def page(self, api: Api, dataset: str, /, *, offset: int, limit: int, most: int) -> Page:
        """Rows as stored: no server-side cleaning, so that row numbers stay what they are."""
        answer = await api.get(
            f"/datasets/{segment(dataset)}/items",
            {"format": "jsonl", "offset": offset, "limit": limit},
            most=most,
        )
        if not answer.headers.get("content-type", "").startswith(("application/jsonl", "application/x-ndjson")):
            raise odd("holds no JSON Lines; is there a proxy in between?")
        lines = _lines(answer.body)
        return Page(
            lines=lines,
            count=lines.count(b"\n"),
            scanned=number(answer, "x-apify-pagination-count"),
            total=number(answer, "x-apify-pagination-total"),
            at=clock(answer.headers),
        )

    async def count(self, api: Api, dataset: str, /) -> Count:
        answer = await api.get(f"/datasets/{segment(dataset)}", most=_SMALL)
        return Count(rows=data(answer, DatasetInfo).item_count, at=clock(answer.headers))

    async def keys(self, api: Api, store: str, /, *, after: str | None) -> Keys:
        params: dict[str, str | int] = {"limit": 1000}
        if after is not None:
            params["exclusiveStartKey"] = after
        answer = await api.get(f"/key-value-stores/{segment(store)}/keys", params, most=_SMALL)
        listed = data(answer, KeyList)
        if listed.is_truncated and not listed.next_exclusive_start_key:
            raise odd("breaks a list of keys off without saying where it goes on")
        return Keys(
            keys=tuple(Key(store=store, key=item.key, size=item.size) for item in listed.items),
            count=listed.count,
            after=listed.next_exclusive_start_key if listed.is_truncated else None,
            at=clock(answer.headers),
        )

    @asynccontextmanager
    async def record(self, api: Api, key: Key, /) -> AsyncIterator[Document]:
        """`attachment` keeps Apify from altering HTML on the way (API reference, Get record)."""
        path = f"/key-value-stores/{segment(key.store)}/records/{segment(key.key)}"
        async with api.stream(path, {"attachment": "true"}) as answer:
            yield Document(
                key=key.key,
                content_type=answer.headers.get("content-type", "application/octet-stream"),
                size=key.size,
                chunks=answer.chunks,
            )

    async def requests(self, api: Api, queue: str, /, *, after: str | None) -> Requests:
        params: dict[str, str | int] = {"limit": 1000, **({"cursor": after} if after else {})}
        answer = await api.get(f"/request-queues/{segment(queue)}/requests", params, most=_REQUESTS)
        page = raw_data(answer, RequestList)
        lines = [one_line(bytes(request)) for request in page.items]
        return Requests(
            lines=b"".join(line + b"\n" for line in lines),
            count=len(lines),
            after=page.next_cursor,
            at=clock(answer.headers),
        )

    async def request_count(self, api: Api, queue: str, /) -> Count:
        answer = await api.get(f"/request-queues/{segment(queue)}", most=_SMALL)
        return Count(rows=data(answer, QueueInfo).total_request_count, at=clock(answer.headers))

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

    async def log_tail(self, api: Api, run_id: str, lines: int, /) -> bytes:
        kept: deque[bytes] = deque()
        size = 0
        async with api.stream(f"/actor-runs/{segment(run_id)}/log") as answer:
            async for chunk in answer.chunks:
                kept.append(chunk)
                size += len(chunk)
                while size - len(kept[0]) >= _LOG:
                    size -= len(kept.popleft())
        tail = b"".join(kept)[-_LOG:].removesuffix(b"\n").split(b"\n")[-lines:]
        return b"".join(line + b"\n" for line in tail) if size and lines else b""

    def ordinary(self, key: str, /) -> bool:
        return not any(fnmatch.fnmatchcase(key, pattern) for pattern in _BOOKKEEPING)

    # what people see

    def describe(self, run: Run, /) -> Mapping[str, Any]:
        return {
            "run": {**run.fields, "console_url": f"{_CONSOLE}/view/runs/{run.id}"},
            "actor": {"id": run.actor_id, "name": run.actor},
            "task": {"id": run.task_id, "name": run.task},
        }


def _networks(allowed: str | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(allowed, tuple):
        return allowed
    return ADDRESSES if allowed == "apify" else ()


def _lines(body: bytes) -> bytes:
    """Each row with its newline. A page without rows may be empty or a lone line break."""
    if not body or body.isspace():
        return b""
    return body if body.endswith(b"\n") else body + b"\n"


def _seconds(moment: str | None) -> float:
    """Unix seconds of an ISO 8601 time; one without a zone is UTC."""
    if not moment:
        return 0.0
    try:
        when = datetime.fromisoformat(moment)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        raise odd("has a finishedAt that is not a time") from None


def _storages(aliases: Mapping[str, str] | None, default: str | None) -> dict[str, str]:
    return {**({"default": default} if default else {}), **(aliases or {})}
