"""The turn of one event: plan it, and turn whatever happens into its next state."""

import time

import structlog
from redis.exceptions import RedisError

from config.contracts.errors import NotYet, Transient, WorkError
from config.contracts.event import EventState
from config.contracts.reasons import Reason
from config.route import Retry
from workers.ledger.holding import holding
from workers.ledger.ledger import LeaseLost
from workers.ledger.records import EventRecord, Lease
from workers.metrics import PLANS
from workers.planner import Plan, make_plan
from workers.runtime import Runtime
from workers.verdicts import Again, check_poison, decide, signal_of

log = structlog.get_logger("runrelay.worker")


async def plan_event(runtime: Runtime, event_id: str, seq: int, alone: bool = False) -> None:
    """Plan one event, if this wake-up is its newest. Never raises for what can happen to an event, but Suspect unless
    `alone` if it must be (see `Company`)."""
    taken = await runtime.ledger.take_event(event_id, seq, alone=alone)
    if taken is None:
        return
    lease, event = taken
    began = time.perf_counter()
    try:
        async with holding(runtime.ledger, lease):
            outcome, facts = await _plan(runtime, lease, event)
    except LeaseLost:
        outcome, facts = "lease_lost", {}
    PLANS.labels(event.source, outcome).inc()
    log.info(
        "event.planned",
        outcome=outcome,
        event_id=event.id,
        source=event.source,
        run_id=event.run_id,
        via=event.via,
        seconds=round(time.perf_counter() - began, 3),
        **facts,
    )


async def _plan(runtime: Runtime, lease: Lease, event: EventRecord) -> tuple[str, dict[str, object]]:
    try:
        check_poison(event.lonely)
        source, api = runtime.source(event.source)
        plan = await make_plan(event, source, api, runtime.table, runtime.names, runtime.ledger)
    except WorkError as error:
        return await _settle(runtime, lease, event, error)
    except RedisError:
        raise
    except Exception as error:
        log.exception("event.plan_broke", event_id=event.id)
        return await _settle(runtime, lease, event, Transient(Reason.INTERNAL_ERROR, type(error).__name__))
    return await _keep(runtime, lease, plan)


async def _keep(runtime: Runtime, lease: Lease, plan: Plan) -> tuple[str, dict[str, object]]:
    await runtime.ledger.plan(
        lease,
        plan.state,
        run=plan.run,
        deliveries=plan.deliveries,
        documents=plan.documents,
        gated=plan.gated,
        reason=plan.reason,
        detail=plan.detail,
        after=plan.after,
        keep_body=plan.keep_body,
    )
    targets = [f"{one.route}/{one.target}" for one in plan.deliveries]
    return plan.state.value, {"status": plan.run.status, "targets": targets}


async def _settle(
    runtime: Runtime, lease: Lease, event: EventRecord, error: WorkError
) -> tuple[str, dict[str, object]]:
    now = await runtime.ledger.now()
    since = event.at if isinstance(error, NotYet) else event.trouble or now
    verdict = decide(
        error, attempt=event.attempt, age=(now - since) / 1000, retry=Retry(), random=runtime.random.random
    )
    facts: dict[str, object] = {"reason": verdict.reason.value, "detail": verdict.detail}
    if isinstance(verdict, Again):
        await runtime.ledger.hand_back(
            lease,
            EventState.ACCEPTED.value,
            wait=verdict.wait,
            signal=signal_of(error),
            attempt=verdict.attempt,
            trouble=0 if verdict.paused else event.trouble or now,
            reason=verdict.reason.value,
            detail=verdict.detail,
        )
        return "again", {**facts, "wait": round(verdict.wait, 1), "attempt": verdict.attempt}
    state = EventState.SUPERSEDED if verdict.reason is Reason.SUPERSEDED else EventState.DEAD
    await runtime.ledger.finish(lease, state, reason=verdict.reason.value, detail=verdict.detail)
    return state.value, facts
