"""What people do about runs that are not as their route expects: each delivery that is held is let go, or given up."""

from workers.ledger.ledger import Ledger
from workers.ledger.letters import Outcome
from workers.ledger.records import DeliveryRecord


async def release(ledger: Ledger, record: DeliveryRecord, usual: tuple[str, int] | None = None) -> Outcome:
    """Deliver it after all.

    usual: the key under which so many items count from now on as a number that was as expected.
    """
    key, count = usual or ("", "")
    return Outcome((await ledger.run("release", record.delivery.id, count, key)).decode())


async def discard(ledger: Ledger, record: DeliveryRecord) -> Outcome:
    """Give it up for good."""
    return Outcome((await ledger.run("discard", record.delivery.id)).decode())
