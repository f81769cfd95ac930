"""Which rows of a run one delivery is about, among all deliveries of the same run to the same target.

Where datasets only grow (`Source.grows`), a run that finished again sends what was added since its last delivery ended,
and a replay sends what the finish it belongs to sent, and no row of another one. For targets that write one object
whole none of this counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from config.contracts.delivery import Delivery, DeliveryState, Receipt
from workers.ledger.records import DeliveryRecord


class Range(NamedTuple):
    """Rows from `start` on, to before `end`; without one, to wherever the dataset ends once its counts have settled."""

    start: int = 0
    end: int | None = None


def under_way_before(delivery: Delivery, others: Sequence[DeliveryRecord]) -> bool:
    """Whether an earlier finish of the run is still being delivered to the target. One in quarantine is not: its rows
    are those of the later one now."""
    open_ones = (one for one in others if not one.state.final and one.state is not DeliveryState.QUARANTINED)
    return any(one.delivery.life < delivery.life for one in open_ones)


def ranges(delivery: Delivery, others: Sequence[DeliveryRecord]) -> dict[str, Range]:
    """stream → its rows, for streams of items.

    others: every other delivery of the run to the same target.
    """
    before = _reached(one for one in others if one.delivery.life < delivery.life)
    if not delivery.generation:
        return {stream: Range(start) for stream, start in before.items()}
    older = [one for one in others if _replayed_by(delivery, one.delivery)]
    later = any(one.delivery.life > delivery.life for one in others)
    streams = [stream for stream in delivery.streams if stream.startswith("items:")]
    return {stream: _again(stream, older, before, later=later) for stream in streams}


def _replayed_by(delivery: Delivery, one: Delivery) -> bool:
    return one.life == delivery.life and one.generation < delivery.generation


def _again(stream: str, older: Sequence[DeliveryRecord], before: Mapping[str, int], *, later: bool) -> Range:
    """The end is known if one of the older deliveries reached it, or if a later finish went on from where they were."""
    rows = [row for row in _rows(older) if row.stream == stream]
    start = min((row.from_offset for row in rows), default=before.get(stream, 0))
    if later or any(row.status in {"balanced", "count_lagging"} for row in rows):
        return Range(start, _reached(older).get(stream, start))
    return Range(start)


def _reached(ones: Iterable[DeliveryRecord]) -> dict[str, int]:
    """stream → one past the furthest row any of them sent."""
    reached: dict[str, int] = {}
    for row in _rows(ones):
        reached[row.stream] = max(reached.get(row.stream, 0), row.from_offset + row.read)
    return reached


def _rows(ones: Iterable[DeliveryRecord]) -> list[Receipt]:
    return [row for one in ones for row in one.checkpoint.receipts if row.stream.startswith("items:")]
