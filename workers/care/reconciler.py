"""Finds finished runs that nobody announced, and puts them into the inbox as their webhook would have done.

Two lists of the platform lead to them: its runs, and the announcements that it has given up. Every worker looks, but
of all workers one at a time. What is found has one identity for each finish of a run, so that finding it again is a
duplicate; a webhook that comes late leads to the deliveries that exist by then.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

import structlog
from redis.exceptions import RedisError

from config.contracts.api import Api
from config.contracts.errors import WorkError
from config.contracts.event import Event, digest
from config.contracts.run import Run
from config.contracts.source import Listing, Reconcile
from config.queue import Accepted, QueueUnavailable, RunQueue
from config.routes import RouteTable
from config.wire.moments import same_moment
from workers.care.unheard import UnheardRuns
from workers.ledger.ledger import Ledger
from workers.ledger.records import EventRecord
from workers.ledger.signs import note_missed
from workers.metrics import RECONCILE_FOUND
from workers.names import Names, mentioned
from workers.routing.match import matching
from workers.runtime import Runtime

log = structlog.get_logger("runrelay.reconciler")

#: Seconds after a finish in which its webhook may still be on its way.
GRACE = 120.0
#: Seconds between two questions whose turn it is, at least and at most.
SHORTEST, LONGEST = 0.05, 60.0
#: Most runs of one look, the newest first: what is remembered of them stays small.
MOST = 100_000


async def reconcile_forever(runtime: Runtime, inbox: RunQueue) -> None:
    """Until cancelled. The platform, Redis or the inbox being away is waited out."""
    async with asyncio.TaskGroup() as group:
        for name, source in runtime.table.sources.items():
            if isinstance(source, Listing):
                one = Reconciler(source, runtime.apis[name], runtime.ledger, inbox, runtime.table, runtime.names)
                group.create_task(_watch(one))


async def _watch(reconciler: "Reconciler") -> None:
    RECONCILE_FOUND.labels(reconciler.source.name)  # zero is to be seen, too
    while True:
        wait = LONGEST
        try:
            wait = await reconciler.turn()
        except (WorkError, QueueUnavailable, RedisError, OSError) as exc:
            log.warning("reconciler.waits", source=reconciler.source.name, error=type(exc).__name__, detail=str(exc))
        except Exception:
            log.exception("reconciler.broke", source=reconciler.source.name)
        await asyncio.sleep(wait)


class Reconciler:
    """Looks for the unannounced runs of one source."""

    def __init__(
        self, source: Listing, api: Api, ledger: Ledger, inbox: RunQueue, table: RouteTable, names: Names
    ) -> None:
        self.source = source
        self._api, self._ledger, self._inbox = api, ledger, inbox
        self._table, self._names = table, names
        #: (run, life) of the last look that need not be looked up again
        self._settled: frozenset[tuple[str, str]] = frozenset()
        self._unheard = UnheardRuns(source, api)

    async def turn(self) -> float:
        """Look, if it is time and no other worker did. Returns seconds until the next question."""
        await self.begin()
        timing = self.source.reconcile
        if timing is None:
            return LONGEST
        redis, turn = self._ledger.redis, self._ledger.keys.reconciled(self.source.name)
        if await redis.set(turn, 1, nx=True, px=round(timing.every * 1000)):
            await self.look(timing)
        left: int = await redis.pttl(turn)
        return min(max(left / 1000, SHORTEST), LONGEST)

    async def begin(self) -> None:
        """Note the source's first start. A ledger that was lost begins anew: nothing older is caught up."""
        if await self._ledger.redis.setnx(self._ledger.keys.since(self.source.name), await self._ledger.now()):
            hint = "runs that ended before this are not caught up: `runrelay backfill --since 7d --dry-run` lists them"
            log.info("reconciler.first_start", source=self.source.name, hint=hint)

    async def first_start(self) -> float | None:
        """Unix seconds; None before any worker has started."""
        noted = await self._ledger.redis.get(self._ledger.keys.since(self.source.name))
        return int(noted) / 1000 if noted else None

    async def look(self, timing: Reconcile) -> None:
        """Put into the inbox what nobody announced, and say so if webhooks should have."""
        taken, missed = 0, list[str]()
        try:
            async for run in self.unannounced(timing.lookback):
                if await self.take(run):
                    taken += 1
                    if await self.wanted(run) and timing.announced:
                        missed.append(run.id)
                        await self._count(run)
        finally:
            self._tell(taken, missed)

    async def _count(self, run: Run) -> None:
        """A webhook should have announced the run."""
        RECONCILE_FOUND.labels(self.source.name).inc()
        await note_missed(self._ledger.redis, self._ledger.keys, self.source.name, run.id)

    def _tell(self, taken: int, missed: Sequence[str]) -> None:
        facts = {"source": self.source.name, "runs": taken, "missed": len(missed)}
        if missed:
            answer = next(filter(None, map(self._unheard.answer, missed)), "check them")
            log.warning("reconciler.webhooks_missing", **facts, hint=f"webhooks are evidently broken: {answer}")
        elif taken:
            log.info("reconciler.found", **facts)

    async def unannounced(self, lookback: float, *, within: float | None = None) -> AsyncIterator[Run]:
        """Runs that ended without anybody saying so, in short form, the newest start first.

        lookback: seconds within which they started. within: seconds within which they ended, `lookback` unless given.
        """
        now, first = await self._ledger.now() / 1000, await self.first_start()
        if first is None:
            return
        oldest, newest = max(now - (within or lookback), first), now - GRACE
        settled: set[tuple[str, str]] = set()
        async for run in self._ended(now - max(lookback, within or 0), oldest):
            if oldest <= run.finished <= newest:
                if await self._known(run):
                    settled.add((run.id, run.life))
                else:
                    yield run
        self._settled = frozenset(settled)

    async def _ended(self, started_after: float, ended_after: float) -> AsyncIterator[Run]:
        """The runs that are listed, and those whose announcement was given up: they may have started earlier."""
        listed: set[str] = set()
        async for run in self.source.ended_runs(self._api, started_after=started_after):
            listed.add(run.id)
            yield run
            if len(listed) == MOST:
                break
        async for run in self._unheard.runs(ended_after, but=listed):
            yield run

    async def _known(self, run: Run) -> bool:
        """Whether this finish has an event or a delivery, whatever became of it."""
        if (run.id, run.life) in self._settled:
            return True
        events, deliveries = await self._ledger.of_run(self.source.name, run.id)
        announced = any(_announces(event, run) for event in events)
        return announced or any(same_moment(one.delivery.life, run.life) for one in deliveries)

    async def wanted(self, run: Run) -> bool:
        """Whether some route wants the run, as far as a list tells. One whose names cannot be learnt now counts."""
        try:
            named = await self._names.named(self.source, self._api, run, mentioned(self._table))
        except WorkError:
            return True
        return any(True for _ in matching(self._table.routes, named, None))

    async def take(self, run: Run) -> bool:
        """Put a run into the inbox. False: it was found before. Raises QueueUnavailable."""
        found = Event(
            id=digest(self.source.name, run.id, run.life), source=self.source.name, run_id=run.id, via="reconcile"
        )
        (answer,) = await self._inbox.accept([found])
        return isinstance(answer, Accepted)


def _announces(event: EventRecord, run: Run) -> bool:
    """An event that has not met its run yet stands for whatever finish it is going to meet."""
    if event.run:
        return same_moment(event.run.life, run.life)
    return not event.state.final or event.at >= run.finished * 1000
