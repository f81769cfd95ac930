"""What a webhook says, once it has been authenticated and read."""

import hashlib
from enum import StrEnum

import msgspec


class EventState(StrEnum):
    """accepted → planning → planned | unmatched | superseded | dead; a person may make `dead` `dropped`"""

    ACCEPTED = "accepted"
    PLANNING = "planning"
    PLANNED = "planned"
    UNMATCHED = "unmatched"
    SUPERSEDED = "superseded"
    DEAD = "dead"
    DROPPED = "dropped"

    @property
    def final(self) -> bool:
        return self in {self.PLANNED, self.UNMATCHED, self.SUPERSEDED, self.DEAD, self.DROPPED}


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One announcement that a run finished. Only `run_id` is believed; the rest is kept for people.

    Attributes:
        id: sha256 hex of the source and the platform's dispatch id, or of the source and the body.
        source: name under `sources:` in runrelay.yaml.
        run_id: the platform's id of the run, 1-128 printable ASCII characters.
        kind: the platform's word for what happened, as received; empty if it did not say.
        body: the webhook's body as received, at most 1 MiB; of a backfill, where it leads.
        via: how it came: `webhook`, `call`, `reconcile`, or as `config.contracts.old_runs` says.
    """

    id: str
    source: str
    run_id: str
    kind: str = ""
    body: bytes = b""
    via: str = "webhook"


class Ignored(msgspec.Struct, frozen=True):
    """Genuine, but of a kind that never means that a run has ended."""

    kind: str


class Test(msgspec.Struct, frozen=True):
    """Somebody pressed the platform's test button."""

    __test__ = False


def event_id(source: str, dispatch_id: str | None, body: bytes) -> str:
    """The identity of an announcement: the dispatch where the platform names one, else the bytes it sent."""
    return digest(source, dispatch_id or body)


def digest(*parts: str | bytes) -> str:
    """sha256 hex over parts, each with its length in front so that no two lists of parts look alike."""
    sha = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        sha.update(b"%d:" % len(raw))
        sha.update(raw)
    return sha.hexdigest()
