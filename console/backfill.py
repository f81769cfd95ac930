"""Past runs, and what becomes of each that somebody wants delivered after all.

What a run would lead to is told by the planner itself, from what the platform's list says of the run; the worker that
plans it later looks at the run anew. So a dry run and the real thing agree, and a run that is taken twice leads to the
same deliveries.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import msgspec

from config.contracts.api import Api
from config.contracts.delivery import Delivery, DeliveryState
from config.contracts.errors import NotFound
from config.contracts.event import Event, EventState, digest
from config.contracts.old_runs import BACKFILL, Places, backfilled, via
from config.contracts.run import Run
from config.contracts.source import Listing
from config.queue import Accepted, RunQueue
from config.route import GATE
from config.routes import RouteTable
from console.selection import Selection
from workers.care import reconciler
from workers.ledger.ledger import Ledger
from workers.ledger.records import DeliveryRecord, EventRecord
from workers.names import Names, mentioned
from workers.planner import plan_of
from workers.routing.scope import scope_of

#: Seconds a run may have gone on: lists know when it started, people say when it ended.
LONGEST_RUN = 7 * 86400.0
#: Most runs that are kept in mind, the newest.
MOST = 100_000


class Fate(StrEnum):
    """What becomes of a past run."""

    WANTED = "wanted"
    TAKEN = "taken"
    KNOWN = "known"
    NO_ROUTE = "no_route"
    LEFT_OUT = "left_out"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Past:
    """A run that has ended.

    Attributes:
        deliveries: what it would lead to that is not there yet.
        left_out: what it would lead to if effects were meant.
        event: what is put into the inbox.
    """

    run: Run
    fate: Fate
    deliveries: tuple[Delivery, ...] = ()
    left_out: tuple[Delivery, ...] = ()
    event: Event | None = field(default=None, repr=False)

    @property
    def places(self) -> list[str]:
        """`route/target` of each delivery."""
        return [f"{one.route}/{one.target}" for one in self.deliveries]


class Backfill:
    """Past runs of one source."""

    def __init__(
        self,
        source: Listing,
        api: Api,
        ledger: Ledger,
        inbox: RunQueue,
        table: RouteTable,
        names: Names,
        selection: Selection,
        *,
        effects: bool,
    ) -> None:
        self.source = source
        self._api, self._ledger, self._inbox = api, ledger, inbox
        self._table, self._names = table, names
        self._selection, self._effects = selection, effects
        self._at_once = replace(selection, when=replace(selection.when, actor=(), task=()))
        self._mentioned = mentioned(table) | {name for name in ("actor", "task") if getattr(selection.when, name)}

    async def past(self) -> AsyncIterator[Past]:
        """The runs that are meant, the newest start first, each `wanted` unless something here stands against it.

        Raises the verdicts of the platform.
        """
        newest = await self._ledger.now() / 1000 - reconciler.GRACE
        since = (self._selection.since or 0) / 1000
        when = self._selection.when
        runs = self.source.ended_runs(
            self._api,
            started_after=max(since - LONGEST_RUN, 0.0),
            actor=_exact(when.actor),
            task=_exact(when.task),
        )
        async for run in runs:
            if run.finished <= newest and self._at_once.wants_run(run):
                named = await self._names.named(self.source, self._api, await self._told_more(run), self._mentioned)
                if self._selection.wants_run(named):
                    yield await self._looked(named)

    async def _told_more(self, run: Run) -> Run:
        """Lists do not tell the tag of a build that a run was asked for by, nor all that an expression may want."""
        asked = "build" in self._mentioned or any(route.where for route in self._table.routes)
        return await self.source.run(self._api, run.id) if asked else run

    async def take(self, past: Past, *, dry_run: bool = False) -> Past:
        """Put a wanted run into the inbox, unless what it left is gone or somebody was faster.

        Raises QueueUnavailable, and the verdicts of the platform.
        """
        if await self._expired(past):
            return replace(past, fate=Fate.EXPIRED)
        if dry_run or past.event is None:
            return past
        (answer,) = await self._inbox.accept([past.event])
        return replace(past, fate=Fate.TAKEN if isinstance(answer, Accepted) else Fate.KNOWN)

    async def _looked(self, run: Run) -> Past:
        events, deliveries = await self._ledger.of_run(run.source, run.id)
        meant, every = (self._led(run, effects=effects) for effects in (self._effects, True))
        left_out = tuple(one for one in every if one.id not in {other.id for other in meant})
        run = msgspec.structs.replace(run, fields={})
        if not meant:
            return Past(run, Fate.LEFT_OUT if left_out else Fate.NO_ROUTE, left_out=left_out)
        known = {one.delivery.id for one in deliveries}
        shut = {one.delivery.route for one in deliveries if _shut(one, run)}
        missing = tuple(one for one in meant if one.id not in known and one.route not in shut)
        event = self._event(run, missing)
        if not missing or any(one.id == event.id or _leads_there(one) for one in events):
            return Past(run, Fate.KNOWN, left_out=left_out)
        return Past(run, Fate.WANTED, missing, left_out, event)

    def _led(self, run: Run, *, effects: bool) -> tuple[Delivery, ...]:
        """What the planner will make of it, if the run is as its routes expect."""
        event = EventRecord(
            id="",
            state=EventState.ACCEPTED,
            source=run.source,
            run_id=run.id,
            kind="",
            via=via(BACKFILL, effects=effects),
            at=0,
            body=self._body,
        )
        scope = scope_of(self._table.sources[run.source], run, b"", event.via)
        return plan_of(event, run, self._table, scope).to_targets

    def _event(self, run: Run, deliveries: Iterable[Delivery]) -> Event:
        """One for each finish of a run and what is missing of it: a route that is new makes it another one."""
        missing = sorted(one.id for one in deliveries)
        return Event(
            id=digest(BACKFILL, run.source, run.id, run.life, *missing),
            source=run.source,
            run_id=run.id,
            via=via(BACKFILL, effects=self._effects),
            body=self._body,
        )

    @property
    def _body(self) -> bytes:
        places = self._selection.places
        return b"" if places == Places() else msgspec.json.encode(places)

    async def _expired(self, past: Past) -> bool:
        """Whether each delivery would read something that the platform does not have any more. It is asked once for
        each storage, which costs little beside what a dead letter costs."""
        streams = dict.fromkeys(stream for one in past.deliveries for stream in one.streams)
        gone = {stream for stream in streams if await self._gone(past.run, stream)}
        return all(gone.intersection(one.streams) for one in past.deliveries)

    async def _gone(self, run: Run, stream: str) -> bool:
        """An alias that the list does not tell is taken to be there; so are the log and the run itself."""
        kind, _, alias = stream.partition(":")
        asks: dict[str, tuple[dict[str, str], Callable[[str], Awaitable[Any]]]] = {
            "items": (run.datasets, lambda ident: self.source.count(self._api, run, ident)),
            "records": (run.stores, lambda ident: self.source.keys(self._api, run, ident, after=None)),
            "requests": (run.queues, lambda ident: self.source.request_count(self._api, ident)),
        }
        storages, ask = asks.get(kind, ({}, None))
        ident = storages.get(alias or "default")
        if ident is None or ask is None:
            return False
        try:
            await ask(ident)
        except NotFound:
            return True
        return False


def _exact(patterns: tuple[str, ...]) -> str:
    """The one name that is meant; empty for a pattern or none."""
    return patterns[0] if len(patterns) == 1 and "*" not in patterns[0] else ""


def _shut(one: DeliveryRecord, run: Run) -> bool:
    """Whether it is a gate of this finish that lets nobody through: it is under way, a dead letter, or given up."""
    return one.delivery.target == GATE and one.delivery.life == run.life and one.state is not DeliveryState.DELIVERED


def _leads_there(event: EventRecord) -> bool:
    """Whether an announcement is about to be planned, which leads to all that the run leads to."""
    return not event.state.final and not backfilled(event.via)
