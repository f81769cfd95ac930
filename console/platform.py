"""What commands know of runs at the platform: whose they are, whether they have ended, what they left."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from config.contracts.api import Api
from config.contracts.errors import Forbidden, NotFound, Transient
from config.sources.apify import ApifySource, logs, runs
from console.failures import CommandFailed
from console.starting import has_ended

#: Seconds before a log whose connection broke is taken up again; each with nothing new is one nearer to the end.
_PAUSES = (1, 2, 4, 8, 15)


class Left(msgspec.Struct, frozen=True):
    """One storage of a run.

    Attributes:
        kind: `dataset`, `store` or `queue`.
        count: items, records or requests; None if the storage is gone, or not ours to see.
        more: whether it has more than that.
    """

    kind: str
    alias: str
    id: str
    count: int | None
    more: bool = False


async def left_behind(source: ApifySource, api: Api, run: dict[str, Any]) -> list[Left]:
    """The storages of a run, by the ids it names."""
    told = source.told(run)

    async def dataset(alias: str, ident: str) -> Left:
        return Left("dataset", alias, ident, (await source.count(api, told, ident)).rows)

    async def store(alias: str, ident: str) -> Left:
        page = await source.keys(api, told, ident, after=None)
        return Left("store", alias, ident, page.count, more=page.after is not None)

    async def queue(alias: str, ident: str) -> Left:
        return Left("queue", alias, ident, (await source.request_count(api, ident)).rows)

    found = []
    for kind, look, storages in (
        ("dataset", dataset, told.datasets),
        ("store", store, told.stores),
        ("queue", queue, told.queues),
    ):
        for alias, ident in storages.items():
            try:
                found.append(await look(alias, ident))
            except (NotFound, Forbidden):
                found.append(Left(kind, alias, ident, None))
    return found


async def own_run(source: ApifySource, api: Api, run_id: str) -> dict[str, Any]:
    """A run, for changing it. Raises CommandFailed if it is somebody else's, NotFound."""
    try:
        run = await runs.get(api, run_id)
    except Forbidden as exc:
        raise foreign(run_id, exc.detail) from exc
    accounts = source.accounts or (await source.account(api),)
    if run.get("userId") not in accounts:
        raise foreign(run_id, f"its account is {run.get('userId')}, ours {' or '.join(accounts)}")
    return run


def foreign(run_id: str, detail: str) -> CommandFailed:
    """Only who started a run may change it."""
    message = f"run {run_id} is not ours ({detail}): use a token of the account that started it, see --source"
    return CommandFailed("run_foreign", message)


def need_end(run: dict[str, Any], what: str) -> None:
    """Raises CommandFailed if the run goes on; `what`: what only finished runs can be, as a participle."""
    if not has_ended(run):
        raise unfinished(run["id"], f"it is {run['status']}, and only finished runs can be {what}")


def unfinished(run_id: str, detail: str) -> CommandFailed:
    """What is asked for has to wait for the run's end."""
    message = f"run {run_id} has not ended ({detail}): wait for that, or `runrelay actor abort {run_id}`"
    return CommandFailed("run_unfinished", message)


async def log_lines(api: Api, run_id: str, *, follow: bool) -> AsyncIterator[bytes]:
    """The log line by line; with `follow` until the run ends, whatever becomes of the connection meanwhile."""
    rest = b""
    async for chunk in _growing(api, run_id) if follow else logs.followed(api, run_id):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
    if rest:
        yield rest


async def _growing(api: Api, run_id: str) -> AsyncIterator[bytes]:
    """A log is only added to: after a break what has been seen is skipped."""
    seen = 0
    pauses = iter(_PAUSES)
    while True:
        skip = seen
        try:
            async for chunk in logs.followed(api, run_id, stream=True):
                fresh, skip = chunk[skip:], max(skip - len(chunk), 0)
                if fresh:
                    seen, pauses = seen + len(fresh), iter(_PAUSES)
                    yield fresh
        except Transient:
            if (pause := next(pauses, None)) is None:
                raise
            await asyncio.sleep(pause)
        else:
            return
