"""How far one delivery got in this slice, and its receipt. Nothing counts before the ledger has it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog

from config.contracts.delivery import Checkpoint, Delivery, Receipt
from config.contracts.errors import Permanent, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Rejected, Taken
from workers.ledger.ledger import Ledger
from workers.ledger.records import Lease
from workers.rejecting import Reject

#: Where slots are scarce a slice ends after this many checkpoints, so that many small deliveries are not kept waiting
#: by a large one.
CHECKPOINTS = 50
#: Seconds for which a checkpoint that was taken says that the lease is ours: far less than a lease lasts.
CONFIRMED = 1.0
#: How often one stream may begin again because the sink lost what it had.
RESTARTS = 3
#: How many of the items a batch's far side could not take are named in the log.
TOLD = 5

log = structlog.get_logger("runrelay.worker")


class SliceOver(Exception):
    """Time to give others a turn. Everything taken so far is in the ledger."""


class Slice:
    """The turn of one delivery: at most `seconds` long, or CHECKPOINTS checkpoints while slots are scarce, and over
    when the process stops."""

    def __init__(
        self, seconds: float, stopping: Callable[[], bool], crowded: Callable[[], bool] = lambda: True
    ) -> None:
        self._stopping, self._crowded = stopping, crowded
        self._clock = asyncio.get_running_loop().time
        self._end = self._clock() + seconds
        self._left = CHECKPOINTS

    def spend(self) -> None:
        """After each checkpoint. Raises SliceOver."""
        self._left -= 1
        if (self._left <= 0 and self._crowded()) or self._clock() >= self._end or self._stopping():
            raise SliceOver


class Progress:
    """The checkpoint of a running delivery. `at` is where it is, `durable` what the ledger has of that."""

    def __init__(self, ledger: Ledger, lease: Lease, delivery: Delivery, checkpoint: Checkpoint, turn: Slice) -> None:
        self.ledger, self.lease, self.delivery, self.turn = ledger, lease, delivery, turn
        self.at = self.durable = checkpoint
        self._clock = asyncio.get_running_loop().time
        self._confirmed = 0.0

    @property
    def receipt(self) -> Receipt:
        """The row of the stream under way."""
        return self.at.receipts[-1]

    @property
    def begun(self) -> bool:
        """Whether the stream under way has a row already."""
        return len(self.at.receipts) > self.at.stream

    def begin(self, stream: str, offset: int, end: int | None = None) -> None:
        """Open the row of the next stream. `end`: one past its last row, if that was settled by an older delivery."""
        row = Receipt(
            route=self.delivery.route,
            target=self.delivery.target,
            sink=self.delivery.sink,
            stream=stream,
            from_offset=offset,
        )
        self._move(receipts=(*self.at.receipts, row), offset=offset)
        if end is not None:
            self._move(end=end, expected=end)

    async def restart(self, why: WorkError, parts: Mapping[str, bytes] | None = None) -> None:
        """Begin the stream again, from its first row. Raises `why` when that has been of no use RESTARTS times.

        parts: see `Ledger.checkpoint`.
        """
        if self.at.restarts >= RESTARTS:
            raise why
        stream, offset = self.receipt.stream, self.receipt.from_offset
        tally = {name: number for name, number in self.at.tally.items() if not name.startswith(f"{stream}|")}
        self._move(receipts=self.at.receipts[:-1], batch=0, after=None, position=None, tally=tally)
        self.begin(stream, offset)
        await self._save((), parts, restarts=self.at.restarts + 1)

    async def settled(self, end: int, expected: int) -> None:
        """The platform's counts have settled: from now on the end is fixed."""
        await self._save(end=end, expected=expected, waits=0, unsettled=0.0, timeouts=0)

    async def advance(
        self,
        taken: Taken,
        *,
        read: int,
        filtered: int = 0,
        added: int = 0,
        after: str | None = None,
        rejects: Sequence[Reject] = (),
        tally: Mapping[str, int] | None = None,
        seen: Mapping[str, str] | None = None,
        parts: Mapping[str, bytes] | None = None,
    ) -> None:
        """The far side has it, but for the rejects.

        added: rows among them that the run does not have. tally, seen: see `Checkpoint`. parts: see
            `Ledger.checkpoint`.

        Raises SliceOver when the turn is over, LeaseLost when somebody else goes on.
        """
        self._count(taken, read=read, filtered=filtered, added=added)
        self._tell(taken.rejected)
        if tally:
            self._move(tally=dict(Counter(self.at.tally) + Counter(tally)))
            self._tell_clashes(tally)
        if seen:
            self._move(seen={**seen, **self.at.seen})
        await self._save(
            rejects,
            parts,
            offset=self.at.offset + read + added,
            batch=self.at.batch + 1,
            after=after,
            position=taken.position,
            waits=0,
            unsettled=0.0,
        )
        self.turn.spend()

    async def note(self, parts: Mapping[str, bytes]) -> None:
        """What else the target has: see `Ledger.checkpoint`. Raises SliceOver, LeaseLost."""
        await self._save((), parts)
        self.turn.spend()

    async def confirm(self) -> None:
        """Raises LeaseLost unless the lease was ours a moment ago: every checkpoint that was taken says so."""
        if self._clock() - self._confirmed > CONFIRMED:
            await self.ledger.renew(self.lease)

    async def end(self, published: Taken) -> None:
        """The stream is visible at the far side; the next one starts afresh. After the last one nothing is left to do
        but to finish, which is remembered in one step with it: who dies before it publishes once more."""
        self._count(published)
        self._tell(published.rejected)
        rejects = [Reject(one.offset, one.why, "") for one in published.rejected]
        self._move(
            stream=self.at.stream + 1,
            offset=0,
            batch=0,
            after=None,
            end=None,
            expected=None,
            position=None,
            restarts=0,
        )
        if rejects or self.at.stream < len(self.delivery.streams):
            await self._save(rejects)

    def close(self, expected: int, warnings: Sequence[str] = ()) -> None:
        """Judge the row. Raises Permanent (count_mismatch) if it does not balance: then nothing is published."""
        row = msgspec.structs.replace(self.receipt.closed(expected), warnings=tuple(warnings))
        self._replace(row)
        if row.status == "unbalanced":
            raise Permanent(
                Reason.COUNT_MISMATCH,
                f"{row.stream}: the platform counts {row.expected}, read {row.read}, filtered {row.filtered}, "
                f"rejected {row.rejected}, delivered {row.delivered}",
            )

    def _tell(self, rejected: Sequence[Rejected]) -> None:
        if rejected:
            items = {one.offset: one.why for one in rejected[:TOLD]}
            stream, count = self.receipt.stream, len(rejected)
            log.warning("delivery.rejected", delivery_id=self.delivery.id, stream=stream, count=count, items=items)

    def _tell_clashes(self, tally: Mapping[str, int]) -> None:
        stream = self.receipt.stream
        if count := tally.get(f"{stream}|clash"):
            items = tally.get(f"{stream}|seen", 0)
            log.warning("delivery.clashed", delivery_id=self.delivery.id, stream=stream, count=count, items=items)

    def _count(self, taken: Taken, *, read: int = 0, filtered: int = 0, added: int = 0) -> None:
        row = self.receipt
        self._replace(
            msgspec.structs.replace(
                row,
                read=row.read + read,
                filtered=row.filtered + filtered,
                added=row.added + added,
                rejected=row.rejected + len(taken.rejected),
                delivered=row.delivered + taken.rows,
                out=row.out + taken.out,
                bytes=row.bytes + taken.bytes,
            )
        )

    def _replace(self, row: Receipt) -> None:
        self._move(receipts=(*self.at.receipts[:-1], row))

    def _move(self, **changes: object) -> None:
        self.at = msgspec.structs.replace(self.at, **changes)

    async def _save(
        self, rejects: Sequence[Reject] = (), parts: Mapping[str, bytes] | None = None, **changes: object
    ) -> None:
        stream = self.receipt.stream if rejects else ""
        self._move(**changes)
        asked = self._clock()
        kept = {f"{stream}:{one.row}": msgspec.json.encode(one) for one in rejects}
        await self.ledger.checkpoint(self.lease, self.at, kept, parts)
        self.durable, self._confirmed = self.at, asked
