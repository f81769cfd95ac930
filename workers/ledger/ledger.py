"""The ledger: what must be done, who is doing it, how far it got and how it ended. All of it lives in Redis, and every
step that changes two things is one Lua script (`workers/lua`)."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from config.contracts.after import After, AfterState, after_id
from config.contracts.delivery import Checkpoint, Delivery, DeliveryState
from config.contracts.errors import RunrelayError
from config.contracts.event import EventState
from config.contracts.run import Run
from config.keys import Keys, RecordKind
from config.scripts import script
from workers.ledger.packing import pack
from workers.ledger.records import (
    AfterRecord,
    Born,
    DeliveryRecord,
    EventRecord,
    Fields,
    LeadsTo,
    Lease,
    Signal,
    TakenDelivery,
    after_record,
    delivery_record,
    event_record,
    taken_delivery,
)

#: A lease nobody renews ends after this long: the longest pause between a kill and somebody else going on.
LEASE_MS = 30_000
_SCRIPTS = (
    "take",
    "renew",
    "turn",
    "doubt",
    "checkpoint",
    "hand_back",
    "finish",
    "plan",
    "judge",
    "sweep",
    "pace",
    "collect",
    "collected",
)
#: What people do: see `workers.ledger.letters` and `workers.ledger.quarantine`.
_BY_HAND = ("retry", "drop", "replay", "replan", "pause", "resume", "hurry", "release", "discard", "unlearn")


class LeaseLost(RunrelayError):
    """Somebody else works on the record now. Stop at once; what we wrote since may be written again."""


class Suspect(RunrelayError):
    """Processes died on the record: it is taken only by one that does nothing else meanwhile."""


class Ledger:
    """Reads and changes records. Methods that change one raise LeaseLost when the lease is no longer ours."""

    def __init__(self, redis: Redis, keys: Keys, *, lease_ms: int = LEASE_MS) -> None:
        self.redis = redis
        self.keys = keys
        self.lease_ms = lease_ms
        texts = {name: script("workers", name, "states", "bodies", "births") for name in _SCRIPTS}
        texts |= {name: script("workers", name, "states", "bodies", "births", "letters") for name in _BY_HAND}
        self._scripts = {name: redis.register_script(text) for name, text in texts.items()}

    async def run(self, name: str, *args: str | int | bytes) -> Any:
        """The answer of one script of `workers/lua`."""
        return await self._scripts[name](args=[self.keys.namespace, *args])

    async def _owned(self, name: str, *args: str | int | bytes) -> None:
        if await self.run(name, *args) != 1:
            raise LeaseLost(name)

    # leases

    async def take_event(self, event_id: str, seq: int, *, alone: bool = False) -> tuple[Lease, EventRecord] | None:
        """Begin to plan. None: there is nothing to do for this wake-up.

        alone: whether the process does nothing else meanwhile. Raises Suspect if it should, and does not.
        """
        taken = await self._take("ev", event_id, seq, alone)
        return taken and (taken[0], event_record(event_id, taken[1]))

    async def take_delivery(
        self, delivery_id: str, seq: int, *, alone: bool = False
    ) -> tuple[Lease, TakenDelivery] | None:
        """Begin or go on to deliver; otherwise as `take_event`."""
        taken = await self._take("dl", delivery_id, seq, alone)
        return taken and (taken[0], taken_delivery(taken[1]))

    async def take_after(self, record_id: str, seq: int, *, alone: bool = False) -> tuple[Lease, AfterRecord] | None:
        """Begin or go on to delete; otherwise as `take_event`."""
        taken = await self._take("af", record_id, seq, alone)
        return taken and (taken[0], after_record(taken[1]))

    async def _take(self, kind: RecordKind, record_id: str, seq: int, alone: bool) -> tuple[Lease, Fields] | None:
        answer = await self.run("take", kind, record_id, seq, self.lease_ms, int(alone))
        if answer[0] == b"alone":
            raise Suspect(record_id)
        if answer[0] != b"taken":
            return None
        fields = dict(zip(answer[2::2], answer[3::2], strict=True))
        return Lease(kind, record_id, int(answer[1])), fields

    async def renew(self, lease: Lease) -> None:
        await self._owned("renew", lease.kind, lease.id, lease.token, self.lease_ms)

    async def checkpoint(
        self,
        lease: Lease,
        checkpoint: Checkpoint,
        rejects: Mapping[str, bytes] | None = None,
        parts: Mapping[str, bytes] | None = None,
    ) -> None:
        """After this returns, a killed delivery goes on from here.

        rejects: `<stream>:<row>` → what is kept of each item that was left out since the last one, for 90 days.
        parts: of what the target will have been delivered: see `workers.ledger.changes`.
        """
        rejects = rejects or {}
        said = (msgspec.json.encode(checkpoint), len(rejects), *_flat(rejects), *_flat(parts or {}))
        await self._owned("checkpoint", lease.id, lease.token, *said)

    async def hand_back(
        self,
        lease: Lease,
        state: str,
        wait: float = 0.0,
        signal: Signal = Signal.NOTHING,
        **fields: str | int | bytes,
    ) -> None:
        """Give the lease back; somebody goes on after `wait` seconds, without one when its turn in the lane comes."""
        wait_ms = round(wait * 1000)
        await self._owned(
            "hand_back", lease.kind, lease.id, lease.token, wait_ms, signal.value, "state", state, *_flat(fields)
        )

    async def finish(
        self,
        lease: Lease,
        state: EventState | DeliveryState | AfterState,
        signal: Signal = Signal.NOTHING,
        **fields: str | int | bytes,
    ) -> None:
        """The end of a record. The end of a run's last delivery is in the same step the beginning of what comes after,
        two minutes later: by then other webhooks of the run have been heard."""
        await self._owned("finish", lease.kind, lease.id, lease.token, state.value, signal.value, *_flat(fields))

    async def plan(
        self,
        lease: Lease,
        state: EventState,
        *,
        run: Run,
        deliveries: Sequence[Delivery],
        documents: dict[str, bytes],
        gated: Mapping[str, LeadsTo] | None = None,
        reason: str = "",
        detail: str = "",
        after: After | None = None,
        keep_body: bool = False,
    ) -> None:
        """End planning: in one step, create and wake each delivery that does not exist yet and end the event.

        gated: id of a delivery that is a gate → what it leads to. One that is there already leads to these, too.
        documents: sha → route document, for every `Delivery.cfg`. after: what the last of the deliveries leads to.
        keep_body: whether what the webhook said is kept although all is delivered.
        """
        fields = {
            "snapshot": pack(run),
            "deliveries": " ".join(delivery.id for delivery in deliveries),
            "reason": reason,
            "detail": detail,
        }
        if keep_body:
            fields["keep_body"] = "1"
        encode = msgspec.json.encode
        await self._owned(
            "plan",
            lease.id,
            lease.token,
            state.value,
            len(fields),
            *_flat(fields),
            len(documents),
            *_flat(documents),
            encode(after) if after else b"",
            *(
                part
                for one in deliveries
                for part in (one.id, encode(one), encode(Checkpoint()), (gated or {}).get(one.id, LeadsTo()).lines())
            ),
        )

    async def judge(
        self,
        lease: Lease,
        born: Sequence[Born],
        usual: tuple[str, int] | None,
        signal: Signal,
        **fields: str | int | bytes,
    ) -> None:
        """End a gate, and create in the same step what it leads to.

        usual: the key under which a number of items counts from now on as one that was as expected.
        """
        encode = msgspec.json.encode
        key, count = usual or ("", "")
        await self._owned(
            "judge",
            lease.id,
            lease.token,
            signal.value,
            count,
            key,
            len(fields),
            *_flat(fields),
            *(
                part
                for one in born
                for part in (
                    one.delivery.id,
                    encode(one.delivery),
                    encode(Checkpoint()),
                    one.state.value,
                    one.reason,
                    one.detail,
                    encode(one.facts),
                )
            ),
        )

    async def usual(self, route: str, actor_id: str) -> list[int]:
        """How many items the last runs of an Actor had that were as a route expects, newest first."""
        found = await cast("Awaitable[list[bytes]]", self.redis.lrange(self.keys.usual(route, actor_id), 0, -1))
        return [int(number) for number in found]

    async def note_fresh(self, route: str) -> None:
        """A delivery of the route is through."""
        now = await self.now()
        await cast("Awaitable[int]", self.redis.hset(self.keys.fresh, route, str(now)))

    async def sweep(self, most: int) -> int:
        """Wake somebody for what is overdue, and let lines advance. Returns how many records were overdue."""
        return int(await self.run("sweep", most))

    # by hand

    async def pause(self, name: str, until: int = 0) -> None:
        """Hold `source:<name>`, `sink:<name>` or `target:<route>/<target>`: nothing of it begins before `until` (ms by
        Redis' clock; 0: before `resume`). What is at work ends its slice."""
        await self.run("pause", name, until)

    async def resume(self, name: str) -> int:
        """Let go what was held, and what waits for a far side that had failed. Returns how many waited."""
        return int(await self.run("resume", name))

    # reading

    async def rejects(self, delivery_id: str) -> dict[str, bytes]:
        """`<stream>:<row>` → what is kept of each item of a delivery that was left out."""
        held = await _hash(self.redis, self.keys.rejects(delivery_id))
        return {name.decode(): kept for name, kept in held.items()}

    async def event(self, event_id: str) -> EventRecord | None:
        fields = await _hash(self.redis, self.keys.record("ev", event_id))
        return event_record(event_id, fields) if fields else None

    async def delivery(self, delivery_id: str) -> DeliveryRecord | None:
        fields = await _hash(self.redis, self.keys.record("dl", delivery_id))
        return delivery_record(fields) if fields else None

    async def after(self, record_id: str) -> AfterRecord | None:
        """None until the last delivery of the run's life has come to its end, or if nothing is to be deleted."""
        fields = await _hash(self.redis, self.keys.record("af", record_id))
        return after_record(fields) if fields else None

    async def after_of(self, event: EventRecord) -> AfterRecord | None:
        """What comes after the finish that an event announced."""
        return await self.after(after_id(event.source, event.run_id, event.run.life)) if event.run else None

    async def document(self, sha: str) -> bytes | None:
        """A route's document, as it was when the delivery was planned."""
        document: bytes | None = await self.redis.get(self.keys.document(sha))
        return document

    async def newest_events(self, most: int) -> list[EventRecord]:
        """Newest first."""
        ids = await self.redis.zrevrange(self.keys.events, 0, most - 1)
        records = await asyncio.gather(*(self.event(raw.decode()) for raw in ids))
        return [record for record in records if record]

    async def newest_deliveries(self, most: int) -> list[DeliveryRecord]:
        """Newest first."""
        ids = await self.redis.zrevrange(self.keys.deliveries, 0, most - 1)
        records = await asyncio.gather(*(self.delivery(raw.decode()) for raw in ids))
        return [record for record in records if record]

    async def of_run(self, source: str, run_id: str) -> tuple[list[EventRecord], list[DeliveryRecord]]:
        """Everything known of a run, oldest first."""
        key = self.keys.run(source, run_id)
        found = await _members(self.redis, key)
        while True:
            known, seen = await self._records([raw.decode() for raw in found]), found
            # What ended meanwhile may have led to more.
            if (found := await _members(self.redis, key)) <= seen:
                return known

    async def _records(self, members: Sequence[str]) -> tuple[list[EventRecord], list[DeliveryRecord]]:
        events = [await self.event(member[3:]) for member in members if member.startswith("ev:")]
        deliveries = [await self.delivery(member[3:]) for member in members if member.startswith("dl:")]
        return (
            sorted((one for one in events if one), key=lambda one: one.at),
            sorted((one for one in deliveries if one), key=lambda one: one.at),
        )

    async def finished_delivery(self, source: str, run_id: str) -> bool:
        """Whether some delivery of the run has come to its end."""
        _, deliveries = await self.of_run(source, run_id)
        return any(one.state.final for one in deliveries)

    async def beside(self, delivery: Delivery) -> list[DeliveryRecord]:
        """The other deliveries of the same run to the same target, of all lives and generations, oldest life first."""
        members = await _members(self.redis, self.keys.run(delivery.source, delivery.run_id))
        ask = self.redis.pipeline(transaction=False)
        for member in (raw.decode() for raw in members if raw.startswith(b"dl:")):
            ask.hgetall(self.keys.record("dl", member[3:]))
        same = [
            one
            for one in (delivery_record(fields) for fields in await ask.execute() if fields)
            if (one.delivery.route, one.delivery.target) == (delivery.route, delivery.target)
            and one.delivery.id != delivery.id
        ]
        return sorted(same, key=lambda one: (one.delivery.life, one.delivery.generation))

    async def now(self) -> int:
        """Redis' clock, in ms."""
        seconds, micros = await self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def open_records(self) -> int:
        """How many records are not final."""
        return int(await self.redis.zcard(self.keys.due))


async def _hash(redis: Redis, key: str) -> Fields:
    # redis-py gives its blocking and its asyncio client one signature
    return await cast("Awaitable[Fields]", redis.hgetall(key))


async def _members(redis: Redis, key: str) -> set[bytes]:
    return await cast("Awaitable[set[bytes]]", redis.smembers(key))


def _flat(fields: Mapping[str, Any]) -> list[Any]:
    return [part for pair in fields.items() for part in pair]
