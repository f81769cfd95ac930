"""A run somebody names: by its id, also as `source:id`, or by an id of ours. The ledger is asked first, if it is there:
otherwise the platform tells."""

import re
from asyncio import timeout
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from redis.exceptions import RedisError

from config.contracts.api import Api
from config.contracts.errors import NotFound, Permanent, WorkError
from config.contracts.run import Run
from config.contracts.source import Listing, Source
from config.routes import RouteTable
from config.settings import Settings
from console.choosing import api_of, chosen
from console.failures import CommandFailed
from console.ledger_search import find, run_named
from console.opening import nearby, open_ledger
from workers.ledger.ledger import Ledger
from workers.ledger.records import DeliveryRecord
from workers.names import NAMES, Names

#: Seconds for the names of a run that the ledger knows without them.
PATIENCE = 5.0
#: What may be an id of ours, or the beginning of one.
_OURS = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True)
class PastRun:
    """A run, with its names, and what is known of it here.

    Attributes:
        kept: whether it is as the ledger kept it when it was planned; if not, as the platform tells it now.
        body, via: of the announcement that led to that.
        deliveries: what it led to, as far as the ledger knows.
    """

    run: Run
    source: Source
    kept: bool
    body: bytes = b""
    via: str = ""
    deliveries: Sequence[DeliveryRecord] = field(default=())


async def find_run(settings: Settings, table: RouteTable, named: str | None, word: str) -> PastRun:
    """Its last finish, unless the word names another. named: of the source, if somebody said which. Raises
    CommandFailed, and the verdicts of the platform."""
    near, (name, run_id) = nearby(settings), _apart(table, named, word)
    async with open_ledger(near.redis_url, near.namespace) as ledger:
        if kept := await _kept(ledger, table, name, run_id):
            return await _named(kept)
    source, run_id = await place_of(settings, table, named, word)
    async with api_of(source) as api:
        run = await Names().named(source, api, await _told(settings, source, api, run_id), NAMES)
    return PastRun(run, source, kept=False)


async def _kept(ledger: Ledger, table: RouteTable, source: str | None, word: str) -> PastRun | None:
    """As the ledger has it; None if it has nothing of it, or cannot be asked."""
    try:
        found = await find(ledger, word, source)
        events = [(one.run.finished, one.at, one, one.run) for one in found.events if one.run]
        events = [each for each in events if source in {None, each[2].source}]
        if not events:
            return None
        *_, event, run = max(events, key=lambda each: each[:2])
        _, deliveries = await ledger.of_run(event.source, event.run_id)
    except RedisError:
        return None
    except CommandFailed as no:
        if no.kind == "not_found":
            return None
        raise
    same = [one for one in deliveries if one.delivery.life == run.life]
    return PastRun(run, chosen(table, event.source), True, event.body, event.via, same)


async def _named(past: PastRun) -> PastRun:
    """With the names that nobody wanted when it was planned, if the platform tells them soon."""
    if past.run.actor or not past.run.actor_id:
        return past
    with suppress(WorkError, TimeoutError):
        async with timeout(PATIENCE), api_of(past.source) as api:
            names = NAMES - {"build"}  # tags of a build may be others by now
            return replace(past, run=await Names().named(past.source, api, past.run, names))
    return past


async def place_of(settings: Settings, table: RouteTable, named: str | None, word: str) -> tuple[Source, str]:
    """Whose run, and its id. Raises CommandFailed."""
    name, run_id = _apart(table, named, word)
    if run_id != word:
        return chosen(table, name), run_id
    if _OURS.fullmatch(word) or (named is None and len(table.sources) > 1):
        near = nearby(settings)
        async with open_ledger(near.redis_url, near.namespace) as ledger:
            if place := await run_named(ledger, word):
                return chosen(table, place[0]), place[1]
    return chosen(table, named), word


def _apart(table: RouteTable, named: str | None, word: str) -> tuple[str | None, str]:
    """The source, if somebody said which, and the rest: ids of some platforms have colons in them, and what stands
    before one is a source only if the file has it."""
    name, colon, rest = word.partition(":")
    return (name, rest) if colon and name in table.sources else (named, word)


async def _told(settings: Settings, source: Source, api: Api, run_id: str) -> Run:
    """By the platform or, if that cannot be asked, by what the ledger has of its webhook."""
    try:
        return await source.run(api, run_id)
    except (NotFound, Permanent) as no:
        why = no.detail
    if said := await _announced(settings, source.name, run_id):
        with suppress(NotFound, Permanent):
            return await source.run(api, run_id, said)
    message = f"the platform does not know the run {run_id!r} ({why}): check the id, and the `source`"
    raise CommandFailed("not_found", message)


async def _announced(settings: Settings, source: str, run_id: str) -> bytes:
    """What the newest webhook said of a run; empty if the ledger has none, or cannot be asked."""
    near = nearby(settings)
    with suppress(RedisError):
        async with open_ledger(near.redis_url, near.namespace) as ledger:
            events, _ = await ledger.of_run(source, run_id)
            return max(events, key=lambda one: one.at).body if events else b""
    return b""


async def fetched(settings: Settings, source: Source, api: Api, run_id: str, actor: str) -> Run:
    """The run of that id or, without one, the last of that Actor. Raises CommandFailed if it has none."""
    if run_id:
        return await _told(settings, source, api, run_id)
    if not isinstance(source, Listing):
        raise CommandFailed("source_unfit", f"the platform of {source.name} lists no runs: give the id of one")
    async for one in source.ended_runs(api, started_after=0.0, actor=actor):
        return await source.run(api, one.id)  # lists tell less of a run
    raise CommandFailed("not_found", f"no run of {actor} has ended: start one, or give the id of another Actor's")
