"""What a target was last delivered, item by item, for `only: {change: …}`.

Two hashes of Redis, each with a bucket of keys a field (see `workers.routing.changes`) and a field `meta`; `last` also
says `by` whom it was compared with last, for what that one noted is true as long as nobody else goes to the target:

- `last` is what the target had before the delivery under way. Of its keys only those are touched that are about to be
  sent: from before the batch goes out, nobody knows what the target has of them. Should the delivery never come to its
  end, the next one sends them, whatever they are like.
- `next` is what the target has of the run under way. It grows in the same step as the checkpoint, so that the two tell
  of the same rows after whatever break, and takes the place of `last` in the step that ends the delivery well.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, cast

import msgspec

from config.contracts.delivery import Delivery
from config.contracts.errors import NotYet, Permanent, Superseded
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Rejected
from config.route import Only
from workers.ledger.ledger import LeaseLost, Ledger
from workers.ledger.records import Lease
from workers.routing.changes import (
    IN_DOUBT,
    KNOWN_IN_DOUBT,
    NEW_IN_DOUBT,
    NOWHERE,
    Bucket,
    Compared,
    Entry,
    Keyed,
    Known,
    Note,
    bucket_of,
    compare,
    keyed,
    packed,
    removed,
    unpacked,
)

#: Seconds until a delivery looks again whether its turn has come, should nobody call it.
IN_TURN = 60.0
#: Buckets that are looked at together when all are.
TOGETHER = 1024
#: The fields beside the buckets, and the word that begins `next` anew.
META, BY, ANEW = "meta", "by", "anew"
Notes = Mapping[int, Note]
Parts = Mapping[str, bytes]


class Meta(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of all keys together.

    Attributes:
        key: JSON list of the fields they are made of; sink: name of the one that has their items.
        count: how many they are; fresh: how many of them the target had never heard of.
        finished: when the run finished that they are from, as Unix seconds; 0.0 while none is through.
    """

    key: str
    sink: str = ""
    count: int = 0
    fresh: int = 0
    finished: float = 0.0
    source: str = ""
    run: str = ""


class Sifted(NamedTuple):
    """What of a batch is sent, what cannot be compared, and what is remembered of each row, sent or not."""

    batch: Batch
    rejected: Sequence[Rejected]
    notes: Notes


class Changes:
    """The memory of one target, for one turn of one delivery."""

    def __init__(self, ledger: Ledger, lease: Lease, delivery: Delivery, only: Only) -> None:
        self._ledger, self._lease, self._delivery, self._only = ledger, lease, delivery, only
        self._place = f"{delivery.route}/{delivery.target}"
        self._keys = ledger.keys.last(delivery.route, delivery.target), ledger.keys.next(delivery.id)
        self._nothing = Meta(msgspec.json.encode(only.key).decode(), delivery.sink)
        self._before = self._meta = self._nothing
        self._last, self._next = Known(), Known()
        self._again = delivery.generation > 0

    @property
    def tells_of_gone(self) -> bool:
        return "removed" in self._only.change

    async def begin(self) -> None:
        """Before anything else. Raises NotYet (in_turn) while another run has its turn, Superseded if a newer one had
        it, Permanent (overtaken), LeaseLost."""
        one = self._delivery
        word, before, meta = await self._ledger.run(
            "turn", one.id, self._lease.token, self._place, repr(one.turn), msgspec.json.encode(self._nothing)
        )
        match word:
            case b"lost":
                raise LeaseLost("turn")
            case b"wait":
                raise NotYet(Reason.IN_TURN, "another run goes to this target first", wait=IN_TURN)
            case b"superseded":
                raise Superseded(Reason.SUPERSEDED, "the target has a newer run: older items would undo its changes")
            case b"overtaken":
                raise Permanent(
                    Reason.OVERTAKEN,
                    "the target was sent something else since this broke off, so it cannot go on where it stopped: "
                    f"runrelay replay {one.run_id}",
                )
        self._before, self._meta = self._read_meta(before), self._read_meta(meta)

    def _read_meta(self, text: bytes) -> Meta:
        return msgspec.json.decode(text, type=Meta) if text else self._nothing

    async def sift(self, batch: Batch) -> Sifted:
        """What is sent of it is in doubt from now on. Raises Permanent (too_many_keys), LeaseLost."""
        only = self._only
        items, rejected = await asyncio.to_thread(keyed, batch, only.key, named=self.tells_of_gone)
        compared = await self._compared(batch, items)
        self._check_room(compared)
        await self._doubt(compared.doubts)
        return Sifted(compared.batch, rejected, compared.notes)

    async def _compared(self, batch: Batch, items: Sequence[Keyed]) -> Compared:
        texts = await self._fetch(sorted({bucket_of(one.key) for one in items}))

        def look() -> Compared:
            self._last.buckets, self._next.buckets = _unpack(texts)
            return compare(batch, items, self._last, self._next, self._only.change, again=self._again)

        return await asyncio.to_thread(look)

    def _check_room(self, compared: Compared) -> None:
        notes = [note for note in compared.notes.values() if self._next.get(note.key) is None]
        if self.tells_of_gone:
            count = self._meta.count + len(notes)
        else:
            count = self._before.count + self._meta.fresh + sum(note.fresh for note in notes)
        self._check_count(count)

    def _check_count(self, count: int) -> None:
        if count > self._only.max_keys:
            raise Permanent(
                Reason.TOO_MANY_KEYS,
                f"more than {self._only.max_keys:,} different keys: raise `max_keys` of `only` (a million take 25 MB "
                "of Redis, with `removed` 75), then `runrelay replay RUN --using now`; or leave fields out of `key`",
            )

    async def _doubt(self, doubts: Mapping[bytes, Entry]) -> None:
        """Nobody knows from here on what the target has of these."""
        if not doubts:
            return
        for key, entry in doubts.items():
            self._last.put(key, entry)
        parts = self._pack(self._last, {bucket_of(key) for key in doubts})
        flat = [part for pair in parts.items() for part in pair]
        begun = msgspec.json.encode(self._nothing)
        if await self._ledger.run("doubt", self._lease.id, self._lease.token, self._place, begun, *flat) != 1:
            raise LeaseLost("doubt")

    async def parts(self, notes: Iterable[Note]) -> Parts:
        """What is written with a checkpoint, by name, for rows of the batch that was sifted last."""
        return await asyncio.to_thread(self._noted, list(notes))

    def _noted(self, notes: Sequence[Note]) -> Parts:
        new = [note for note in notes if self._next.get(note.key) is None]
        for note in notes:
            self._next.put(note.key, note.entry)
        self._count(len(new), sum(note.fresh for note in new))
        return {**self._pack(self._next, {bucket_of(note.key) for note in notes}), **self._told()}

    def _count(self, more: int, fresh: int = 0) -> None:
        """Raise the numbers, and say whose they are."""
        one, had = self._delivery, self._meta
        self._meta = Meta(had.key, had.sink, had.count + more, had.fresh + fresh, one.turn, one.source, one.run_id)

    def _told(self) -> Parts:
        return {META: msgspec.json.encode(self._meta)}

    def anew(self) -> Parts:
        """What is written when the delivery begins anew: what it has noted so far does not count."""
        self._meta = self._nothing
        return {ANEW: b""}

    async def gone(self, row: int, skip: int, size: int) -> AsyncIterator[Sifted]:
        """Items for the keys that the run does not have, without the first `skip`, at most `size` at once; rows are
        numbered from `row`, one past the last one of the run, on. What is sent is in doubt from then on."""
        waiting: list[tuple[bytes, Entry]] = []
        at = row + skip
        async for key, entry in self._gone(row):
            if skip:
                skip -= 1
                continue
            waiting.append((key, entry))
            if len(waiting) == size:
                yield await self._farewell(waiting, at)
                at, waiting = at + size, []
        if waiting:
            yield await self._farewell(waiting, at)

    async def _farewell(self, ones: Sequence[tuple[bytes, Entry]], at: int) -> Sifted:
        """What is remembered of those that the target does not take: all others are forgotten."""
        texts = await self._fetch(sorted({bucket_of(key) for key, _ in ones}))
        self._last.buckets, self._next.buckets = _unpack(texts)
        doubts = {key: entry._replace(value=_doubt_of(entry)) for key, entry in ones}
        await self._doubt({key: entry for key, entry in doubts.items() if entry.value != _had(self._last, key)})
        lines = [removed(entry.name, self._only.key) for _, entry in ones]
        notes = {
            row: Note(key, entry._replace(row=row), entry._replace(row=row))
            for row, (key, entry) in enumerate(doubts.items(), at)
        }
        return Sifted(Batch(0, at, b"".join(lines), len(lines), tuple(notes)), (), notes)

    async def _gone(self, row: int) -> AsyncIterator[tuple[bytes, Entry]]:
        """Every key with a name that the target has and the rows before `row` do not have, always in the same order."""
        async for name, had, has in self._all(self._keys[0]):
            for rest, entry in had.items():
                if entry.name and not (rest in has and has[rest].row < row):
                    yield bytes.fromhex(name) + rest, entry

    async def rest(self, *, keep: bool) -> AsyncIterator[Parts]:
        """The last parts, to be written with checkpoints once every row is through. `keep`: whether keys that the run
        does not have stay known. Raises Permanent (too_many_keys)."""
        if keep:
            async for parts in self._carried():
                yield parts
        if not self._meta.run:
            self._count(0)
            yield self._told()

    async def _carried(self) -> AsyncIterator[Parts]:
        parts: dict[str, bytes] = {}
        async for name, had, has in self._all(self._keys[0]):
            lacking = {rest: entry._replace(row=NOWHERE) for rest, entry in had.items() if rest not in has}
            if lacking:
                parts[name] = packed({**has, **lacking}, named=self.tells_of_gone)
                self._count(len(lacking))
            if len(parts) == TOGETHER:
                self._check_count(self._meta.count)
                yield {**parts, **self._told()}
                parts = {}
        self._check_count(self._meta.count)
        if parts:
            yield {**parts, **self._told()}

    async def unsaid(self, rows: Collection[int], end: int) -> Parts:
        """What is written if the target turned rows down only when all was published: nobody knows what it has of them.
        Nothing if that is known already. `end`: one past the last row of the run."""
        refused = list[tuple[bytes, Entry]]()
        async for name, _, has in self._all(self._keys[1]):
            ones = ((bytes.fromhex(name) + rest, entry) for rest, entry in has.items())
            refused += [(key, entry) for key, entry in ones if entry.row in rows and entry.value not in IN_DOUBT]
        if any(row >= end for row in rows):
            at = end
            async for key, entry in self._gone(end):
                refused += [(key, entry._replace(row=at))] if at in rows else []
                at += 1
        if not refused:
            return {}
        texts = await self._fetch(sorted({bucket_of(key) for key, _ in refused}))
        self._last.buckets, self._next.buckets = _unpack(texts)
        notes = [Note(key, one, one._replace(value=_had(self._last, key) or NEW_IN_DOUBT)) for key, one in refused]
        known = [note.refused() for note in notes if _had(self._next, note.key) != note.doubt.value]
        return self._noted(known) if known else {}

    async def _all(self, key: str) -> AsyncIterator[tuple[str, Bucket, Bucket]]:
        """Every bucket of one of the two hashes, in order: what `last` has, and what `next` has."""
        held = await cast("Awaitable[list[bytes]]", self._ledger.redis.hkeys(key))
        names = sorted(name.decode() for name in held if name not in {META.encode(), BY.encode()})
        for begin in range(0, len(names), TOGETHER):
            some = names[begin : begin + TOGETHER]
            last, done = _unpack(await self._fetch(some))
            for name in some:
                yield name, last[name], done[name]

    async def _fetch(self, names: Sequence[str]) -> "_Texts":
        if not names:
            return _Texts((), (), ())
        ask = self._ledger.redis.pipeline(transaction=False)
        for key in self._keys:
            ask.hmget(key, list(names))
        last, done = await ask.execute()
        return _Texts(names, last, done)

    def _pack(self, known: Known, names: Iterable[str]) -> dict[str, bytes]:
        return {name: packed(known.buckets[name], named=self.tells_of_gone) for name in sorted(names)}


class _Texts(NamedTuple):
    """Buckets as they lie in Redis."""

    names: Sequence[str]
    last: Sequence[bytes | None]
    done: Sequence[bytes | None]


def _unpack(texts: _Texts) -> tuple[dict[str, Bucket], dict[str, Bucket]]:
    last, done = (dict(zip(texts.names, map(unpacked, held), strict=True)) for held in (texts.last, texts.done))
    return last, done


def _doubt_of(entry: Entry) -> bytes:
    return NEW_IN_DOUBT if entry.value == NEW_IN_DOUBT else KNOWN_IN_DOUBT


def _had(known: Known, key: bytes) -> bytes | None:
    entry = known.get(key)
    return entry.value if entry else None
