"""The emulator put together: every part, and the order in which they start and stop."""

from emulator.access import Access, Account
from emulator.datasets import Datasets
from emulator.dispatches import Dispatches
from emulator.documents import Documents, open_database
from emulator.events import Events
from emulator.lives import Lives
from emulator.programs import Programs
from emulator.queues import Queues
from emulator.records import Records
from emulator.runlog import Logs
from emulator.runs import Runs
from emulator.settings import EmulatorSettings
from emulator.storages import Storages
from emulator.tasks import Tasks
from emulator.webhooks import Webhooks


class Platform:
    """One local Apify with one user. Raises: EmulatorError if its Actors cannot be loaded."""

    def __init__(self, settings: EmulatorSettings) -> None:
        self.settings = settings
        self.programs = Programs(settings.username, settings.actors)
        owner = Account.named(settings.username)
        self.user_id = owner.id
        self.access = Access(owner, settings.token, settings.strangers, restricted=settings.restricted)
        self.logs = Logs(settings.data / "logs")
        self._database = open_database(settings.data / "emulator.db")
        self.documents = Documents(self._database)
        self.queues = Queues(self._database)
        self.storages = Storages(
            self.documents,
            Datasets(settings.data / "datasets", settings.item_count_lag),
            Records(self._database, settings.data / "stores"),
            self.queues,
            owner,
        )
        self.runs = Runs(self.documents, self.storages, settings, self.user_id)
        self.tasks = Tasks(self.documents, self.programs)
        self.webhooks = Webhooks(self.documents)
        self.dispatches = Dispatches(self.documents, self.webhooks, settings, self.access, self.runs.present)
        self.events = Events(settings.base_url, settings.clock_factor)
        self.lives = Lives(
            self.runs,
            self.programs,
            self.storages,
            self.logs,
            self.access,
            self.events,
            settings,
            self.dispatches.fire,
        )

    async def start(self) -> None:
        """Take up what an earlier process left."""
        await self.dispatches.start()
        self.lives.recover()

    async def stop(self) -> None:
        """End all Actors, then stop sending webhooks, then close the database."""
        await self.lives.close()
        await self.dispatches.close()
        self._database.close()
