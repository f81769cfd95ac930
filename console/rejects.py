"""Items that a far side could not take, as the ledger keeps them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from workers.ledger.ledger import Ledger
from workers.ledger.records import DeliveryRecord
from workers.rejecting import Reject

#: How many of a delivery people are shown; JSON has all.
SHOWN = 20


async def rejects_of(ledger: Ledger, deliveries: Sequence[DeliveryRecord]) -> dict[str, list[dict[str, Any]]]:
    """Delivery id → `stream row why item` of each, in order; only of deliveries that have some."""
    found = {}
    for one in deliveries:
        if any(row.rejected for row in one.checkpoint.receipts):
            found[one.delivery.id] = _in_order(await ledger.rejects(one.delivery.id))
    return found


def _in_order(kept: dict[str, bytes]) -> list[dict[str, Any]]:
    read = [(name.rpartition(":")[0], msgspec.json.decode(written, type=Reject)) for name, written in kept.items()]
    read.sort(key=lambda pair: (pair[0], pair[1].row))
    return [{"stream": stream, "row": one.row, "why": one.why, "item": one.item} for stream, one in read]


def lines_of(rejects: Sequence[dict[str, Any]]) -> list[str]:
    """One line each, and how many more there are."""
    told = [f"{one['stream']} row {one['row']}: {one['why']}  {one['item']}".rstrip() for one in rejects[:SHOWN]]
    return told + ([f"and {len(rejects) - SHOWN} more: see them with --json"] if len(rejects) > SHOWN else [])
