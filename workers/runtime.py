"""What the jobs of one worker process share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from config.contracts.api import Api
from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Surroundings
from config.contracts.source import Source
from config.routes import RestoredRoute, RouteTable
from config.settings import Settings
from workers.company import Company
from workers.connections import Connections
from workers.fetch.budget import Budget
from workers.ledger.collecting import Collected
from workers.ledger.ledger import Ledger
from workers.ledger.pacing import Pacing
from workers.names import Names

#: Routes that are kept as they were restored.
MOST_RESTORED = 256


@dataclass(slots=True)
class Runtime:
    """One per process.

    Attributes:
        apis: by name of the source.
        budget: what all readers of the process share.
        company: what has its turn now.
        connections: sinks that are connected.
        stopping: set once the process has been told to stop; slices end at their next checkpoint.
    """

    settings: Settings
    table: RouteTable
    ledger: Ledger
    apis: Mapping[str, Api]
    names: Names = field(default_factory=Names)
    budget: Budget = field(default_factory=Budget)
    company: Company = field(default_factory=Company)
    connections: Connections = field(default_factory=Connections)
    stopping: bool = False
    random: Random = field(default_factory=Random)
    _restored_with: RouteTable | None = None
    _restored: dict[str, RestoredRoute] = field(default_factory=dict)

    @property
    def crowded(self) -> bool:
        """Whether turns take most of the slots, so that others may be waiting for one."""
        return self.company.turns * 2 > self.settings.max_jobs

    @property
    def yielding(self) -> bool:
        """Whether slices end at their next checkpoint: the process stops, or something must run alone in it."""
        return self.stopping or self.company.wanted > 0

    @property
    def surroundings(self) -> Surroundings:
        """What every sink is lent."""
        pace, collecting = Pacing(self.ledger).pace, Collected(self.ledger)
        return Surroundings(self.settings.spool_dir, self.source, self.settings.public_url, pace, collecting)

    async def restored(self, sha: str) -> RestoredRoute:
        """The route and sinks that a delivery was planned with, with today's secrets.

        Raises Permanent (config_gone) if they are no longer kept, ConfigInvalid.
        """
        table = self.table
        if self._restored_with is not table or len(self._restored) >= MOST_RESTORED:
            self._restored_with, self._restored = table, {}
        if found := self._restored.get(sha):
            return found
        document = await self.ledger.document(sha)
        if document is None:
            raise Permanent(Reason.CONFIG_GONE, "the route this delivery was planned with is no longer kept")
        restored = table.restore(document)
        if self._restored_with is table:
            self._restored[sha] = restored
        return restored

    def source(self, name: str) -> tuple[Source, Api]:
        """Raises Transient (config_gone) if the file names no such source any more."""
        if name not in self.table.sources:
            raise Transient(Reason.CONFIG_GONE, f"runrelay.yaml has no source {name!r}; put it back or drop the work")
        return self.table.sources[name], self.apis[name]
