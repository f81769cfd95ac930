"""Items that a far side cannot take: kept with their reason, as long as they are few."""

from collections.abc import Sequence

import msgspec

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Rejected
from config.route import BadItems

#: However few rows a stream has, so many may be bad.
SOME = 10
#: However many it has, no more than so many.
MOST = 1000
#: Of the rows read so far, one in so many.
ONE_IN = 100
#: Bytes of an item that are kept to know it by.
BEGINNING = 1000


class Reject(msgspec.Struct, frozen=True):
    """One item that was left out.

    Attributes:
        row: its absolute row number; of a document, how many were read before it.
        why: what the far side said.
        item: how the item begins, at most `BEGINNING` bytes of it, or the key of the document.
    """

    row: int
    why: str
    item: str


def judge(policy: BadItems, rejected: Sequence[Rejected], before: int, read: int) -> None:
    """Whether a stream may go on without these items.

    before: how many of it were rejected already. read: rows read of it, with those of this batch.

    Raises Permanent (item_refused): nothing of this batch counts then.
    """
    if not rejected:
        return
    said = f"row {rejected[0].offset}: {rejected[0].why}"
    if policy == "fail":
        raise Permanent(Reason.ITEM_REFUSED, said)
    bad, most = before + len(rejected), min(MOST, max(SOME, read // ONE_IN))
    if bad > most:
        raise Permanent(Reason.ITEM_REFUSED, f"{bad} of {read} items cannot be taken, more than {most}; {said}")


def with_items(rejected: Sequence[Rejected], batch: Batch) -> list[Reject]:
    """What is kept of them."""
    if not rejected:
        return []
    items = dict(zip(batch.numbers, batch.items(), strict=False))
    return [Reject(one.offset, one.why, _beginning(items.get(one.offset, b""))) for one in rejected]


def _beginning(item: bytes) -> str:
    return item[:BEGINNING].decode(errors="ignore")
