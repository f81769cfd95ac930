"""The emulator put together: every part, and the order in which they start and stop."""

from emulator.access import Access
from emulator.datasets import Datasets
from emulator.dispatches import Dispatches
from emulator.documents import Documents, open_database
from emulator.lives import Lives
from emulator.programs import Programs
from emulator.records import Records
from emulator.runlog import Logs
from emulator.runs import Runs
from emulator.settings import EmulatorSettings
from emulator.stamps import stable_id
from emulator.storages import Storages
from emulator.webhooks import Webhooks


class Platform:
    """One local Apify with one user. Raises: EmulatorError if its Actors cannot be loaded."""

    def __init__(self, settings: EmulatorSettings) -> None:
        self.settings = settings
        self.user_id = stable_id(f"user {settings.username}")
        self.programs = Programs(settings.username, settings.actors)
        self.access = Access(settings.token)
        self.logs = Logs(settings.data / "logs")
        self._database = open_database(settings.data / "emulator.db")
        self.documents = Documents(self._database)
        self.storages = Storages(
            self.documents,
            Datasets(settings.data / "datasets", settings.item_count_lag),
            Records(self._database, settings.data / "stores"),
            self.user_id,
            settings.username,
        )
        self.runs = Runs(self.documents, self.storages, settings, self.user_id)
        self.webhooks = Webhooks(self.documents, self.user_id)
        self.dispatches = Dispatches(self.documents, self.webhooks, settings, self.runs.present)
        self.lives = Lives(self.runs, self.programs, self.logs, self.access, settings, self.dispatches.fire)

    async def start(self) -> None:
        """Take up what an earlier process left."""
        await self.dispatches.start()
        self.lives.recover()

    async def stop(self) -> None:
        """End all Actors, then stop sending webhooks, then close the database."""
        await self.lives.close()
        await self.dispatches.close()
        self._database.close()
