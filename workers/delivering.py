"""The turn of one delivery: go on where the ledger says, and turn whatever happens into its next state."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import msgspec
import structlog
from redis.exceptions import RedisError

from config.contracts.delivery import Checkpoint, Delivery, DeliveryState
from config.contracts.errors import ConfigInvalid, NotFound, NotYet, Permanent, Superseded, Transient, WorkError
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.sink import writes_whole
from config.contracts.source import Settle, Source
from config.route import GATE, Retry, Route, Target
from config.routes import RestoredRoute
from workers.gating import Counting, counts_only, judged, target_of
from workers.ledger.changes import Changes
from workers.ledger.holding import holding
from workers.ledger.ledger import LeaseLost
from workers.ledger.lives import Range, ranges, under_way_before
from workers.ledger.records import Lease, Signal, TakenDelivery
from workers.metrics import DELIVERIES, SLICE_SECONDS, count_receipt, count_tally
from workers.pipeline import Work, ship
from workers.progress import Progress, Slice, SliceOver
from workers.routing.scope import scope_of
from workers.runtime import Runtime
from workers.verdicts import Again, check_poison, decide, signal_of, until_settled, waited_out

log = structlog.get_logger("runrelay.worker")

#: Seconds until we look again whether an earlier life of the run is through.
BEHIND = 5.0
#: How often something the platform does not know is asked for again before that is final.
GRACE = 4
#: Records of a run that has no other delivery.
_AN_EVENT_AND_ITSELF = 2


async def deliver(runtime: Runtime, delivery_id: str, seq: int, alone: bool = False) -> None:
    """Give one delivery its turn, if this wake-up is its newest. Never raises for what can happen to a delivery, but
    Suspect unless `alone` if it must be (see `Company`)."""
    taken = await runtime.ledger.take_delivery(delivery_id, seq, alone=alone)
    if taken is None:
        return
    turn = Turn(runtime, *taken)
    began = time.perf_counter()
    try:
        async with holding(runtime.ledger, turn.lease):
            outcome = await turn.run()
    except LeaseLost:
        outcome = "lease_lost"
    seconds = time.perf_counter() - began
    SLICE_SECONDS.observe(seconds)
    turn.report(outcome, seconds)


class Turn:
    """One slice of one delivery, from the lease to its return."""

    def __init__(self, runtime: Runtime, lease: Lease, record: TakenDelivery) -> None:
        self.runtime, self.lease, self.record = runtime, lease, record
        self.delivery: Delivery = record.delivery
        self.retry, self.settle = Retry(), Settle()
        self.route: Route | None = None
        self.facts: dict[str, object] = {}
        turn = Slice(runtime.settings.slice_seconds, lambda: runtime.yielding, lambda: runtime.crowded)
        self.progress = Progress(runtime.ledger, lease, record.delivery, record.checkpoint, turn)

    async def run(self) -> str:
        """Returns the word for how it ended."""
        try:
            check_poison(self.record.lonely)
            await self._ship_in_time()
        except SliceOver:
            attempt, trouble = self._tries()
            await self.runtime.ledger.hand_back(
                self.lease, DeliveryState.WAITING.value, signal=self._heard(), attempt=attempt, trouble=trouble
            )
            return "slice"
        except NotYet as error:
            return await self._wait(error)
        except Superseded as error:
            return await self._end(DeliveryState.SUPERSEDED, reason=error.reason.value, detail=error.detail)
        except WorkError as error:
            return await self._settle(error)
        except (LeaseLost, RedisError):
            raise
        except Exception as error:
            log.exception("delivery.broke", delivery_id=self.delivery.id)
            return await self._settle(Transient(Reason.INTERNAL_ERROR, type(error).__name__))
        return await self._finish()

    async def _ship_in_time(self) -> None:
        """A single step may outlast the slice, but arq's own limit must not be reached: it counts no attempt."""
        settings, loop = self.runtime.settings, asyncio.get_running_loop()
        most = (settings.slice_seconds + settings.job_timeout) / 2

        @contextmanager
        def publishing() -> Iterator[None]:
            nonlocal most
            usual, most = most, settings.publish_timeout
            limit.reschedule(loop.time() + most)
            yield
            most = usual
            limit.reschedule(loop.time() + most)

        try:
            async with asyncio.timeout(most) as limit:
                await self._ship(publishing)
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise Transient(Reason.TOO_SLOW, f"one step took longer than {most:.0f} s") from exc

    async def _ship(self, publishing: Callable[[], AbstractContextManager[None]]) -> None:
        runtime, delivery = self.runtime, self.delivery
        source, api = runtime.source(delivery.source)
        self.settle = source.settle
        run = self.record.run
        if run is None:
            raise Permanent(Reason.DATA_EXPIRED, "the event this delivery was planned from is no longer kept")
        restored = await self._restored()
        self.route = route = restored.route
        target = target_of(route) if delivery.target == GATE else _named(route, delivery.target)
        self.retry = target.retry
        work = Work(
            source=source,
            api=api,
            run=run,
            route=route,
            target=target,
            sink=Counting(),
            scope=_scope(source, run, self.record),
            rows={},
            progress=self.progress,
            budget=runtime.budget,
            unsure=self.record.broken_off,
            publishing=publishing,
        )
        if delivery.target == GATE:
            await ship(replace(work, expect=route.expect, counts=counts_only(route)))
            return
        changes = await self._changes(target)
        rows = {} if changes else await self._rows(source)
        spec = restored.sinks[target.sink]
        if writes_whole(spec.module, target.options):
            rows = {}
        async with runtime.connections.use(spec, runtime.surroundings) as sink:
            await ship(replace(work, sink=sink, rows=rows, changes=changes))

    async def _restored(self) -> RestoredRoute:
        """The route and its sinks as they were planned, with today's secrets."""
        try:
            return await self.runtime.restored(self.delivery.cfg)
        except ConfigInvalid as exc:
            raise Transient(Reason.CONFIG_GONE, str(exc.problems[0])) from exc

    async def _changes(self, target: Target) -> Changes | None:
        """What the target was last delivered, if that matters. Raises NotYet while another run has its turn, Superseded
        if a newer one had it."""
        if target.only is None:
            return None
        changes = Changes(self.runtime.ledger, self.lease, self.delivery, target.only)
        await changes.begin()
        return changes

    async def _rows(self, source: Source) -> dict[str, Range]:
        """The rows of each stream that are this delivery's; all there are if they are others at each finish. One object
        is written whole, after the one it replaces: raises NotYet while the delivery of an earlier life is under way.
        """
        if self.record.family <= _AN_EVENT_AND_ITSELF:
            return {}
        others = await self.runtime.ledger.beside(self.delivery)
        if under_way_before(self.delivery, others):
            raise NotYet(Reason.SUPERSEDED, "an earlier finish of this run is being delivered", wait=BEHIND)
        return ranges(self.delivery, others) if source.grows else {}

    async def _finish(self) -> str:
        at, route, name = self.progress.at, self.route, self.delivery.target
        if name == GATE:
            return await self._judge()
        if route and route.freshness and any(one.name == name for one in route.to):
            await self.runtime.ledger.note_fresh(route.name)
        for row in at.receipts:
            count_receipt(row)
        count_tally(self.delivery, at.tally)
        return await self._end(
            DeliveryState.PARTIAL if any(row.rejected for row in at.receipts) else DeliveryState.DELIVERED
        )

    async def _judge(self) -> str:
        """The run is as expected, or it is held."""
        ledger, run, route, at = self.runtime.ledger, self.record.run, self.route, self.progress.at
        assert run, "a gate that has come to its end had it"
        assert route, "and this"
        usual = await ledger.usual(route.name, run.actor_id)
        verdict = judged(route, run, at, self.record.leads_to, usual)
        counted = None if verdict.held else (ledger.keys.usual(route.name, run.actor_id), verdict.items)
        reason = Reason.NOT_AS_EXPECTED.value if verdict.held else ""
        self.facts = {"reason": reason, "detail": verdict.held} if verdict.held else {}
        said = {**self._last(reason, verdict.held), "facts": msgspec.json.encode(verdict.facts)}
        await ledger.judge(self.lease, verdict.born, counted, self._heard(), **said)
        return DeliveryState.QUARANTINED.value if verdict.held else DeliveryState.DELIVERED.value

    async def _end(self, state: DeliveryState, reason: str = "", detail: str = "") -> str:
        if reason:
            self.facts = {"reason": reason, "detail": detail}
        await self.runtime.ledger.finish(self.lease, state, self._heard(), **self._last(reason, detail))
        return state.value

    def _last(self, reason: str, detail: str) -> dict[str, str | int | bytes]:
        """What the record says when all is over."""
        attempt, trouble = self._tries()
        packed = _pack(msgspec.structs.replace(self.progress.at, position=None, tally={}, seen={}))
        return {"checkpoint": packed, "attempt": attempt, "trouble": trouble, "reason": reason, "detail": detail}

    async def _wait(self, error: NotYet) -> str:
        try:
            patient, at = until_settled(error, self.progress.at, self.settle)
        except WorkError as given_up:
            self.progress.at = waited_out(self.progress.at)
            return await self._settle(given_up)
        return await self._settle(patient, at)

    async def _settle(self, error: WorkError, at: Checkpoint | None = None) -> str:
        """The error's class is the verdict. `at`: the checkpoint with the waiting in it that led here."""
        ledger, (attempt, trouble) = self.runtime.ledger, self._tries()
        now = await ledger.now()
        verdict = decide(
            _graced(error, attempt),
            attempt=attempt,
            age=(now - trouble) / 1000 if trouble else 0.0,
            retry=self.retry,
            random=self.runtime.random.random,
        )
        said = {"reason": verdict.reason.value, "detail": verdict.detail}
        self.facts = {**said}
        signal = signal_of(error)
        if not isinstance(verdict, Again):
            await ledger.finish(
                self.lease, DeliveryState.DEAD, signal, checkpoint=_pack(self.progress.at), attempt=attempt + 1, **said
            )
            return DeliveryState.DEAD.value
        if verdict.paused or verdict.reason is Reason.IN_TURN:
            trouble = 0
        elif verdict.attempt > attempt:
            trouble = trouble or now
        # What tries for all that wait with it pays for none of it.
        counted = attempt if self.record.probing and signal is Signal.FAULT else verdict.attempt
        self.facts |= {"wait": round(verdict.wait, 1), "attempt": counted}
        state = DeliveryState.PAUSED if verdict.paused else DeliveryState.WAITING
        await ledger.hand_back(
            self.lease,
            state.value,
            wait=verdict.wait,
            signal=signal,
            attempt=counted,
            trouble=trouble,
            checkpoint=_pack(self._kept(at or self.progress.at)),
            **said,
        )
        return state.value if verdict.paused else "again"

    def _heard(self) -> Signal:
        """A target that had nothing to take may be dead all the same."""
        began, at = _touched(self.record.checkpoint), _touched(self.progress.at)
        return Signal.GOOD if at > began else Signal.READ

    def _tries(self) -> tuple[int, int]:
        """How many tries failed since the delivery last got further, and when the first of them did."""
        began, durable = self.record.checkpoint, self.progress.durable
        if (durable.stream, durable.batch) != (began.stream, began.batch):
            return 0, 0
        return self.record.attempt, self.record.trouble

    def _kept(self, at: Checkpoint) -> Checkpoint:
        """The waiting to remember, over what is durable and nothing else: what moved in memory alone did not happen."""
        return msgspec.structs.replace(
            self.progress.durable, waits=at.waits, unsettled=at.unsettled, timeouts=at.timeouts
        )

    def report(self, outcome: str, seconds: float) -> None:
        """One wide line per turn."""
        one = self.delivery
        DELIVERIES.labels(one.route, one.target, outcome).inc()
        log.info(
            "delivery.turn",
            outcome=outcome,
            delivery_id=one.id,
            source=one.source,
            run_id=one.run_id,
            route=one.route,
            target=one.target,
            sink=one.sink,
            rows={row.stream: row.delivered for row in self.progress.at.receipts},
            seconds=round(seconds, 3),
            **self.facts,
        )


def _graced(error: WorkError, attempt: int) -> WorkError:
    """What a platform does not know may be unknown to one of its replicas only: not final at once."""
    if isinstance(error, NotFound) and attempt < GRACE:
        return Transient(error.reason, error.detail)
    return error


def _scope(source: Source, run: Run, record: TakenDelivery) -> dict[str, Any]:
    scope = scope_of(source, run, record.body, record.via)
    found = {"items_read": None, "held": None, **record.facts}
    return {**scope, **found, "route": record.delivery.route, "target": record.delivery.target}


def _named(route: Route, name: str) -> Target:
    return next(one for one in route.targets if one.name == name)


def _touched(checkpoint: Checkpoint) -> int:
    """What the far side has had a say in. Rows that are staged are delivered, but not out."""
    return sum(row.rejected + row.out for row in checkpoint.receipts)


def _pack(checkpoint: Checkpoint) -> bytes:
    return msgspec.json.encode(checkpoint)
