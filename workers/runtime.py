"""What the jobs of one worker process share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from config.contracts.errors import Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Surroundings
from config.contracts.source import Api, Source
from config.routes import RouteTable
from config.settings import Settings
from workers.company import Company
from workers.fetch.budget import Budget
from workers.ledger.ledger import Ledger
from workers.names import Names


@dataclass(slots=True)
class Runtime:
    """One per process.

    Attributes:
        apis: by name of the source.
        budget: what all readers of the process share.
        company: what has its turn now.
        stopping: set once the process has been told to stop; slices end at their next checkpoint.
    """

    settings: Settings
    table: RouteTable
    ledger: Ledger
    apis: Mapping[str, Api]
    names: Names = field(default_factory=Names)
    budget: Budget = field(default_factory=Budget)
    company: Company = field(default_factory=Company)
    stopping: bool = False
    random: Random = field(default_factory=Random)

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
        return Surroundings(self.settings.spool_dir, self.source, self.settings.public_url)

    def source(self, name: str) -> tuple[Source, Api]:
        """Raises Transient (config_gone) if the file names no such source any more."""
        if name not in self.table.sources:
            raise Transient(Reason.CONFIG_GONE, f"runrelay.yaml has no source {name!r}; put it back or drop the work")
        return self.table.sources[name], self.apis[name]
