"""Lives of events as no test would write them: any steps in any order, against a real Valkey and a model in memory."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis.asyncio import Redis

from config.contracts.delivery import Checkpoint, DeliveryState
from config.contracts.event import Event, EventState, event_id
from config.queue import Accepted
from tests.workers.ledger.books import DOCUMENTS, Books, delivery, run
from tests.workers.ledger.model import FINAL, RESTING, Model, Record
from tests.workers.ledger.seen import Seen, look, turn_forward
from workers.ledger.ledger import LeaseLost, Suspect
from workers.ledger.letters import Letter, Outcome, dead_letter, drop, next_generation, replay, retry
from workers.ledger.records import Lease

#: Places of each lane: few, so that most stand in line.
BREADTH = 2
TARGETS = ("rows", "log", "web")
HELD = ("source:apify", "sink:disk", *(f"target:all/{target}" for target in TARGETS))
#: Longer than a lease, shorter than the longest wait.
STEP_MS = 45_000
HOUR_MS = 3_600_000

T = TypeVar("T")
picks = st.integers(0, 1000)
TO_TARGETS = st.sets(st.sampled_from(TARGETS))
WAITS = st.sampled_from([0.0, 20.0, 60.0, 3000.0])
ENDINGS = ("hand back", "die", "dead", "dead", "delivered", "partial")
CHANGES = ("renew", "checkpoint", "hand back", "hand back later", "finish", "plan")


class Life(RuleBasedStateMachine):
    """Rules pick among what is there by number. `queue`: wake-ups in arq's queue; `late`: leases that were lost;
    `letters`: dead letters as somebody once saw them."""

    url: str
    runner: asyncio.Runner
    lived = 0

    def __init__(self) -> None:
        super().__init__()
        Life.lived += 1
        self.redis = self.wait(self._connect())
        self.books, self.model = Books(self.redis), Model()
        self.queue: list[tuple[Record, int]] = []
        self.late: list[Lease] = []
        self.letters: list[tuple[Record, Letter]] = []

    async def _connect(self) -> Redis:
        redis: Redis = Redis.from_url(self.url)
        await redis.flushall()
        await redis.set("rr:breadth", BREADTH)
        return redis

    def wait(self, step: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(step)

    @initialize(leads_to=TO_TARGETS)
    def begin(self, leads_to: set[str]) -> None:
        """Most that can happen happens to deliveries."""
        for number in range(2):
            self.accept(number)
        self.both_agree()
        self.wake(0, False)
        self.plan(0, leads_to)

    # the door

    @rule(number=st.integers(0, 4))
    def accept(self, number: int) -> None:
        body = b"%d" % number
        event = Event(id=event_id("apify", None, body), source="apify", run_id="run1", kind="X", body=body)
        (answer,) = self.wait(self.books.inbox.accept([event]))
        assert isinstance(answer, Accepted) == self.model.accept(event.id)

    # a worker

    @precondition(lambda self: self.queue)
    @rule(pick=picks, alone=st.booleans())
    def wake(self, pick: int, alone: bool) -> None:
        """arq hands out a wake-up, and forgets it unless work begins or a lonelier process is wanted."""
        record, seq = self.queue[pick % len(self.queue)]
        expected = self.model.take(record, current=True, alone=alone)
        assert self.wait(self._take(record, seq, alone)) == expected
        if expected == "not now" and not record.held:  # it stands in a line
            self.wait(self._forget(f"{record.id}:{seq}"))

    @precondition(lambda self: self.queue)
    @rule(pick=picks, ends=st.sampled_from(ENDINGS), leads_to=TO_TARGETS, wait=WAITS)
    def turn(self, pick: int, ends: str, leads_to: set[str], wait: float) -> None:
        """A wake-up, and at once what it leads to."""
        record, _ = self.queue[pick % len(self.queue)]
        self.wake(pick, True)
        if not record.held:
            return
        place = self.held().index(record)
        if ends == "hand back":
            self.hand_back(place, wait, 1)
        elif ends == "die":
            self._die(record)
        elif record.kind == "ev" and ends != "dead":
            self.plan(self.held("ev").index(record), leads_to)
        else:
            self.finish(place, ends)

    @precondition(lambda self: self.queue)
    @rule(pick=picks, off=st.sampled_from([-1, 1]))
    def wake_out_of_turn(self, pick: int, off: int) -> None:
        record, seq = self.queue[pick % len(self.queue)]
        assert self.unchanged(lambda: self._take(record, seq + off, alone=True)) == "not now"

    @precondition(lambda self: self.ended())
    @rule(pick=picks)
    def wake_what_has_ended(self, pick: int) -> None:
        record = self.ended()[pick % len(self.ended())]
        assert self.unchanged(lambda: self._take_newest(record)) == "not now"

    async def _take_newest(self, record: Record) -> str:
        return await self._take(record, int(await self.books.field(record.kind, record.id, "seq") or 0), alone=True)

    async def _take(self, record: Record, seq: int, alone: bool) -> str:
        ledger = self.books.ledger
        take = ledger.take_event if record.kind == "ev" else ledger.take_delivery
        try:
            taken = await take(record.id, seq, alone=alone)
        except Suspect:
            return "alone"
        if taken is None:
            return "not now"
        assert taken[0] == Lease(record.kind, record.id, record.token)
        return "taken"

    @precondition(lambda self: self.held("ev"))
    @rule(pick=picks, leads_to=TO_TARGETS)
    def plan(self, pick: int, leads_to: set[str]) -> None:
        record = self.pick_held(pick, "ev")
        lease, deliveries = lease_of(record), [delivery(target) for target in sorted(leads_to)]
        state = EventState(self.model.plan(record, deliveries))
        self.wait(
            self.books.ledger.plan(
                lease, state, run=run(), deliveries=deliveries, documents=DOCUMENTS if deliveries else {}
            )
        )

    @precondition(lambda self: self.held("dl"))
    @rule(pick=picks, offset=st.integers(1, 9))
    def checkpoint(self, pick: int, offset: int) -> None:
        record = self.pick_held(pick, "dl")
        self.model.checkpoint(record, offset)
        self.wait(self.books.ledger.checkpoint(lease_of(record), Checkpoint(offset=offset)))

    @precondition(lambda self: self.held())
    @rule(pick=picks)
    def renew(self, pick: int) -> None:
        self.wait(self.books.ledger.renew(lease_of(self.pick_held(pick))))

    @precondition(lambda self: self.held())
    @rule(pick=picks, wait=WAITS, attempt=st.integers(0, 3))
    def hand_back(self, pick: int, wait: float, attempt: int) -> None:
        record = self.pick_held(pick)
        lease = lease_of(record)
        self.model.hand_back(record, attempt, wait)
        self.wait(self.books.ledger.hand_back(lease, record.state, wait, attempt=attempt))

    @precondition(lambda self: self.held())
    @rule(pick=picks, state=st.sampled_from(["dead", "dead", "delivered", "partial", "superseded"]))
    def finish(self, pick: int, state: str) -> None:
        record = self.pick_held(pick)
        lease = lease_of(record)
        self.model.finish(record, state if state in ENDS[record.kind] else "dead")
        self.wait(self.books.ledger.finish(lease, ENDS[record.kind][record.state]))

    # what goes wrong

    @precondition(lambda self: self.held())
    @rule(pick=picks)
    def die(self, pick: int) -> None:
        self._die(self.pick_held(pick))

    def _die(self, record: Record) -> None:
        lease = lease_of(record)
        self.model.die(record)
        self.late.append(lease)
        self.wait(self.books.expire(lease))

    @precondition(lambda self: self.queue)
    @rule(pick=picks)
    def lose_a_wake_up(self, pick: int) -> None:
        record, seq = self.queue[pick % len(self.queue)]
        record.lost = True
        self.wait(self._forget(f"{record.id}:{seq}"))

    async def _forget(self, job: str) -> None:
        await self.redis.zrem(self.books.keys.queue, job)
        await self.redis.delete(f"arq:job:{job}")

    @precondition(lambda self: self.late)
    @rule(pick=picks, change=st.sampled_from(CHANGES))
    def come_back_late(self, pick: int, change: str) -> None:
        """Whoever lost the lease goes on writing, and can do nothing."""
        lease = self.late[pick % len(self.late)]
        self.unchanged(lambda: self._write_late(lease, change))

    async def _write_late(self, lease: Lease, change: str) -> None:
        ledger, dead = self.books.ledger, ENDS[lease.kind]["dead"]
        steps: dict[str, Callable[[], Awaitable[None]]] = {
            "renew": lambda: ledger.renew(lease),
            "checkpoint": lambda: ledger.checkpoint(lease, Checkpoint(offset=99)),
            "hand back": lambda: ledger.hand_back(lease, RESTING[lease.kind], attempt=9),
            "hand back later": lambda: ledger.hand_back(lease, RESTING[lease.kind], 9.0),
            "finish": lambda: ledger.finish(lease, dead, reason="late"),
            "plan": lambda: ledger.plan(
                lease, EventState.PLANNED, run=run(), deliveries=[delivery("late")], documents={"late": b"{}"}
            ),
        }
        with pytest.raises(LeaseLost):
            await steps[change]()

    @rule(alive=st.booleans())
    def let_time_pass(self, alive: bool) -> None:
        """Longer than a lease: who is alive has renewed it."""
        holders = self.held()
        for record in [] if alive else holders:
            self._die(record)
        self.wait(turn_forward(self.redis, self.books.keys, STEP_MS))
        for record in holders if alive else []:
            self.wait(self.books.ledger.renew(lease_of(record)))

    # the sweeper, and people

    @precondition(lambda self: len(self.ended()) < len(self.model.records))
    @rule(pick=picks)
    def look_too_early(self, pick: int) -> None:
        """The sweeper thinks that something is overdue, as after a jump of the clock."""
        open_ones = [record for record in self.model.records.values() if not record.final]
        record = open_ones[pick % len(open_ones)]
        self.wait(self.books.overdue(record.kind, record.id))
        self.sweep()

    @rule()
    def sweep(self) -> None:
        overdue = self.wait(self._overdue())
        self.model.sweep(overdue)
        assert self.wait(self.books.ledger.sweep(100)) == len(overdue)

    async def _overdue(self) -> list[str]:
        due = await self.books.due()
        return [member for member, left in due.items() if left <= 0 and not self.model.records[member].held]

    @precondition(lambda self: not self.model.paused)
    @rule(name=st.sampled_from(HELD))
    def pause(self, name: str) -> None:
        self.model.paused.add(name)
        self.wait(self.books.ledger.pause(name))

    @rule(name=st.sampled_from(HELD))
    def resume(self, name: str) -> None:
        self.model.paused.discard(name)
        self.wait(self.books.ledger.resume(name))

    @precondition(lambda self: self.letters)
    @rule(pick=picks, kept=st.booleans())
    def retry(self, pick: int, kept: bool) -> None:
        self._answer(pick, retry, self.model.retry, kept)

    @precondition(lambda self: self.letters)
    @rule(pick=picks, kept=st.booleans())
    def drop(self, pick: int, kept: bool) -> None:
        self._answer(pick, drop, self.model.drop, kept)

    def _answer(
        self,
        pick: int,
        really: Callable[..., Coroutine[Any, Any, Outcome]],
        meant: Callable[..., Outcome],
        kept: bool,
    ) -> None:
        """kept: whether whoever answers the letter goes on believing that it is still there."""
        record, letter = self.letters[pick % len(self.letters)]
        ended = self.wait(self.books.field(record.kind, record.id, "ended"))
        expected = meant(record, same=ended == b"%d" % letter.ended)
        assert self.wait(really(self.books.ledger, letter)) is expected
        if not kept:
            self.letters.remove((record, letter))

    @precondition(lambda self: self.model.deliveries())
    @rule(pick=picks)
    def replay(self, pick: int) -> None:
        ones = self.model.deliveries()
        again = next_generation(ones[pick % len(ones)])
        expected = self.model.replay(again)
        assert self.wait(replay(self.books.ledger, "apify", "run1", [again])) == [expected]

    # what is always so

    @invariant()
    def both_agree(self) -> None:
        seen = self.wait(look(self.redis, self.books.keys, list(self.model.records.values())))
        for member, record in self.model.records.items():
            meant = (record.state, record.token, record.crashes, record.attempt, record.offset)
            told = 1 if record.final else len(meant)  # what has ended may forget how it got there
            assert seen.fields[member][:told] == meant[:told], member
            assert (member in seen.due) is not record.final
            assert (member in seen.dead) is (record.state == "dead")
            assert seen.leases.pop(record.id, None) == (record.token if record.held else None)
        assert seen.leases == {}
        assert seen.due | seen.dead <= set(self.model.records)
        assert not any(self.model.records[member].final for member in seen.standing)
        self._look_at_wake_ups(seen)
        self.wait(self._look_for_letters(seen.dead))

    def _look_at_wake_ups(self, seen: Seen) -> None:
        """One at most for each record, and the newest; none for what has ended or waits, one or a place in a line for
        all that is ready."""
        by_id = {record.id: record for record in self.model.records.values()}
        self.queue = [(by_id[id], int(seq)) for id, _, seq in (job.partition(":") for job in seen.wake_ups)]
        assert sorted(seen.wake_ups) == sorted(seen.jobs)
        assert len({record.id for record, _ in self.queue}) == len(self.queue)
        assert [seq for _, seq in self.queue] == [seen.seqs[record.member] for record, _ in self.queue]
        assert not any(record.final or record.waits for record, _ in self.queue)
        woken = {record.member for record, _ in self.queue}
        assert {record.member for record in by_id.values() if record.ready} <= woken | seen.standing

    async def _look_for_letters(self, dead: set[str]) -> None:
        known = {record.member for record, _ in self.letters}
        for member in sorted(dead - known):
            record = self.model.records[member]
            letter = await dead_letter(self.books.ledger, record.kind, record.id)
            assert letter
            self.letters.append((record, letter))

    # the end

    def teardown(self) -> None:
        """Whatever happened: with workers that work, everything accepted comes to its end, and nothing is left over."""
        try:
            self.wait(self._to_the_end())
        finally:
            self.wait(self.redis.aclose())

    async def _to_the_end(self) -> None:
        for name in HELD:
            await self.books.ledger.resume(name)
        for record in self.held():
            self.model.die(record)
            await self.redis.delete(self.books.keys.lease(record.id))
        for _ in range(50):
            if not await self.books.due():
                break
            await turn_forward(self.redis, self.books.keys, HOUR_MS)
            await self.books.ledger.sweep(100)
            for job in await self.books.queued():
                await self._work_on(*job.split(":"))
        await self.books.ledger.sweep(100)
        assert await self.redis.exists(self.books.keys.lines) == 0
        seen = await look(self.redis, self.books.keys, list(self.model.records.values()))
        assert (seen.due, seen.wake_ups, seen.jobs, seen.leases, seen.standing) == (set(), [], [], {}, set())
        assert {state for state, *_ in seen.fields.values()} <= FINAL

    async def _work_on(self, id: str, seq: str) -> None:
        ledger = self.books.ledger
        if f"ev:{id}" in self.model.records:
            event = await ledger.take_event(id, int(seq), alone=True)
            if event:
                await ledger.plan(event[0], EventState.UNMATCHED, run=run(), deliveries=[], documents={})
        elif taken := await ledger.take_delivery(id, int(seq), alone=True):
            await ledger.finish(taken[0], DeliveryState.DELIVERED)

    # picking

    def ended(self) -> list[Record]:
        return [record for record in self.model.records.values() if record.final]

    def held(self, *kinds: str) -> list[Record]:
        return [one for one in self.model.records.values() if one.held and (not kinds or one.kind in kinds)]

    def pick_held(self, pick: int, *kinds: str) -> Record:
        held = self.held(*kinds)
        return held[pick % len(held)]

    def unchanged(self, step: Callable[[], Coroutine[Any, Any, T]]) -> T:
        before = self.wait(self.books.snapshot())
        answer = self.wait(step())
        assert self.wait(self.books.snapshot()) == before
        return answer


ENDS: dict[str, dict[str, EventState | DeliveryState]] = {
    "ev": {"dead": EventState.DEAD, "superseded": EventState.SUPERSEDED},
    "dl": {"dead": DeliveryState.DEAD, "delivered": DeliveryState.DELIVERED, "partial": DeliveryState.PARTIAL},
}


def lease_of(record: Record) -> Lease:
    return Lease(record.kind, record.id, record.token)


def live(url: str, how: settings) -> int:
    """Lives, one after the other, in an empty server each. Returns how many."""
    before = Life.lived
    with asyncio.Runner() as runner:
        machine = type("Life", (Life,), {"url": url, "runner": runner})
        run_state_machine_as_test(machine, settings=how)
    return Life.lived - before


def test_the_ledger_is_what_the_model_says_whatever_happens(valkey_server: str) -> None:
    live(valkey_server, settings(max_examples=50, stateful_step_count=40))
