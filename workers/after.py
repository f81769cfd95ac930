"""The turn of what comes after: delete at the platform what was delivered everywhere, and nothing else.

Deleting cannot be taken back, so everything that stands against it is looked at right before each step: the ledger must
hold the run as delivered throughout, and the platform must still show the finish that was delivered. What remains is
the moment between that look and the request: Delete run refuses a run that goes on again, storages have no such guard.
"""

from collections.abc import Sequence

import structlog
from redis.exceptions import RedisError

from config.contracts.after import After, AfterState
from config.contracts.delivery import DeliveryState
from config.contracts.errors import NotFound, RunrelayError, Transient, WorkError
from config.contracts.event import EventState
from config.contracts.reasons import Reason
from config.route import Retry
from workers.ledger.holding import holding
from workers.ledger.ledger import LeaseLost
from workers.ledger.records import AfterRecord, DeliveryRecord, EventRecord, Lease, Signal
from workers.metrics import AFTERS
from workers.runtime import Runtime
from workers.verdicts import Again, check_poison, decide, signal_of

log = structlog.get_logger("runrelay.worker")

#: Seconds between two looks at a run that is still under way in the ledger: soon at first, then ever less often.
SOONEST, LATEST = 30.0, 600.0
_FAILED = frozenset(
    {
        DeliveryState.QUARANTINED,
        DeliveryState.PARTIAL,
        DeliveryState.SUPERSEDED,
        DeliveryState.DEAD,
        DeliveryState.DROPPED,
    }
)


class Keep(RunrelayError):
    """Something stands against deleting, for good."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class Open(RunrelayError):
    """Something of the run is still under way: look again later."""


async def delete_after(runtime: Runtime, after_id: str, seq: int, alone: bool = False) -> None:
    """Give one after record its turn, if this wake-up is its newest. Never raises for what can happen to it, but
    Suspect unless `alone` if it must be (see `Company`)."""
    taken = await runtime.ledger.take_after(after_id, seq, alone=alone)
    if taken is None:
        return
    lease, record = taken
    try:
        async with holding(runtime.ledger, lease):
            outcome, facts = await _turn(runtime, lease, record)
    except LeaseLost:
        outcome, facts = "lease_lost", {}
    after = record.after
    AFTERS.labels(after.source, outcome).inc()
    log.info(
        "after.turn",
        outcome=outcome,
        after_id=after.id,
        source=after.source,
        run_id=after.run_id,
        delete=list(after.delete),
        **facts,
    )


async def _turn(runtime: Runtime, lease: Lease, record: AfterRecord) -> tuple[str, dict[str, object]]:
    """Returns the word for how it ended, and what the log says of it."""
    try:
        check_poison(record.lonely)
        await _delete(runtime, record.after)
    except Open as error:
        return await _wait(runtime, lease, record, str(error))
    except Keep as error:
        return await _finish(runtime, lease, AfterState.KEPT, error.reason, error.detail)
    except WorkError as error:
        return await _settle(runtime, lease, record, error)
    except (LeaseLost, RedisError):
        raise
    except Exception as error:
        log.exception("after.broke", after_id=lease.id)
        return await _settle(runtime, lease, record, Transient(Reason.INTERNAL_ERROR, type(error).__name__))
    return await _finish(runtime, lease, AfterState.DONE, signal=Signal.GOOD)


async def _delete(runtime: Runtime, after: After) -> None:
    """Raises Open, Keep, and the verdicts of the platform. What is gone already is deleted."""
    source, api = runtime.source(after.source)
    for what in after.delete:
        hold(after, *await _known(runtime, after))
        try:
            run = await source.run(api, after.run_id)
        except NotFound:
            return
        if not run.terminal or run.life != after.life:
            raise Keep(Reason.SUPERSEDED, f"the run was resurrected and is {run.status} now")
        await source.delete(api, run, what)


async def _known(runtime: Runtime, after: After) -> tuple[list[EventRecord], list[DeliveryRecord]]:
    """All that the ledger has of the run, by every source: two of them may be of one account."""
    sources = {after.source, *runtime.table.sources}
    found = [await runtime.ledger.of_run(source, after.run_id) for source in sources]
    return [event for events, _ in found for event in events], [one for _, ones in found for one in ones]


def hold(after: After, events: Sequence[EventRecord], deliveries: Sequence[DeliveryRecord]) -> None:
    """Nothing may be deleted unless the ledger has the whole run as delivered, of every life and by first deliveries:
    what is a dead letter may want to be read again, and what was replayed once may be replayed again.

    Raises Open while that cannot be told yet, Keep if it is not so.
    """
    for one in deliveries:
        place = f"{one.delivery.route}/{one.delivery.target}"
        if one.delivery.generation:
            raise Keep(Reason.NOT_DELIVERED, f"{place} was replayed")
        if one.state in _FAILED:
            raise Keep(Reason.NOT_DELIVERED, f"{place} is {one.state}")
        if one.delivery.life > after.life:
            raise Keep(Reason.SUPERSEDED, f"{place} took a later finish of the run")
        if not one.state.final:
            raise Open(f"{place} is {one.state}")
    for event in events:
        if event.state is EventState.DEAD:
            raise Keep(Reason.NOT_DELIVERED, "an announcement of the run is a dead letter")
        if event.state is EventState.DROPPED:
            raise Keep(Reason.NOT_DELIVERED, "an announcement of the run was dropped")
        if not event.state.final:
            raise Open(f"an announcement of the run is {event.state}")


async def _finish(
    runtime: Runtime,
    lease: Lease,
    state: AfterState,
    reason: str = "",
    detail: str = "",
    signal: Signal = Signal.NOTHING,
) -> tuple[str, dict[str, object]]:
    await runtime.ledger.finish(lease, state, signal, reason=reason, detail=detail)
    return state.value, {"reason": str(reason), "detail": detail} if reason else {}


async def _wait(runtime: Runtime, lease: Lease, record: AfterRecord, detail: str) -> tuple[str, dict[str, object]]:
    age = (await runtime.ledger.now() - record.at) / 1000
    wait = min(max(SOONEST, age / 4), LATEST)
    said = {"reason": Reason.NOT_DELIVERED.value, "detail": detail}
    await runtime.ledger.hand_back(lease, AfterState.WAITING.value, wait, Signal.NOTHING, **said)
    return "again", {**said, "wait": round(wait, 1)}


async def _settle(
    runtime: Runtime, lease: Lease, record: AfterRecord, error: WorkError
) -> tuple[str, dict[str, object]]:
    now = await runtime.ledger.now()
    trouble = record.trouble or now
    verdict = decide(
        error, attempt=record.attempt, age=(now - trouble) / 1000, retry=Retry(), random=runtime.random.random
    )
    if not isinstance(verdict, Again):
        return await _finish(runtime, lease, AfterState.DEAD, verdict.reason.value, verdict.detail)
    said = {"reason": verdict.reason.value, "detail": verdict.detail}
    state = AfterState.PAUSED if verdict.paused else AfterState.WAITING
    await runtime.ledger.hand_back(
        lease,
        state.value,
        wait=verdict.wait,
        signal=signal_of(error),
        attempt=verdict.attempt,
        trouble=0 if verdict.paused else trouble,
        **said,
    )
    outcome = state.value if verdict.paused else "again"
    return outcome, {**said, "wait": round(verdict.wait, 1), "attempt": verdict.attempt}
