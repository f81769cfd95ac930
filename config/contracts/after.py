"""What is deleted at the platform once a run's results are everywhere they belong: its identity and its states."""

from enum import StrEnum

import msgspec

from config.contracts.event import digest
from config.contracts.source import Leftover


class AfterState(StrEnum):
    """waiting → running → (waiting | paused) → done | kept | dead; a person may make `dead` `dropped`

    `done`: it is gone. `kept`: nothing more is deleted, because something stands against it. `dead`: the platform said
    no, or was not to be had for too long.
    """

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    KEPT = "kept"
    DEAD = "dead"
    DROPPED = "dropped"

    @property
    def final(self) -> bool:
        return self in {self.DONE, self.KEPT, self.DEAD, self.DROPPED}


class After(msgspec.Struct, frozen=True, kw_only=True):
    """What `plan` found under `after:` of the routes that took a run. It becomes a record of its own when the last
    delivery of the run's life has come to its end.

    Attributes:
        id: see `after_id`.
        source, run_id, life: which finish of which run.
        delete: everything any of the routes wants deleted, in the order of deleting.
    """

    id: str
    source: str
    run_id: str
    life: str
    delete: tuple[Leftover, ...]


def after_id(source: str, run_id: str, life: str) -> str:
    """One for each finish of a run, however many routes and targets took it."""
    return digest("after", source, run_id, life)
