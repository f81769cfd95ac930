"""When the platform deletes the data that a dead letter would need, as far as the routes file tells."""

from collections.abc import Mapping

from config.contracts.errors import ConfigInvalid
from config.contracts.source import Source
from config.settings import Settings
from console.moments import iso
from console.opening import open_table
from workers.ledger.expiring import expiry
from workers.ledger.letters import Letter
from workers.ledger.records import DeliveryRecord, EventRecord


def sources_of(settings: Settings) -> Mapping[str, Source]:
    """None if the file cannot be used any more: dead letters can be looked at all the same."""
    try:
        return open_table(settings).sources
    except ConfigInvalid:
        return {}


def expires_at(sources: Mapping[str, Source], letter: Letter) -> str | None:
    """UTC. None: nobody can tell, or no data is needed."""
    match letter:
        case DeliveryRecord():
            return _iso(expiry(sources, letter.delivery.source, letter.delivery.life))
        case EventRecord() if letter.run:
            return _iso(expiry(sources, letter.source, letter.run.life))
    return None


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else iso(round(seconds * 1000))
