"""Runs as the API knows them: their fields, lists, and what is shown to whom (Apify API, "Run object")."""

from dataclasses import dataclass
from typing import Any

from emulator.documents import Document, Documents, Filter, shown
from emulator.errors import not_found
from emulator.programs import BUILD_NUMBER, BUILD_TAG, Program
from emulator.query import Query
from emulator.settings import EmulatorSettings
from emulator.stamps import millis_between, new_id, stamp
from emulator.storages import Storages

TERMINAL = frozenset({"SUCCEEDED", "FAILED", "TIMED-OUT", "ABORTED"})
STATUSES = TERMINAL | {"READY", "RUNNING", "TIMING-OUT", "ABORTING"}
ORIGINS = frozenset(
    {"DEVELOPMENT", "WEB", "API", "SCHEDULER", "TEST", "WEBHOOK", "ACTOR", "CLI", "CI", "STANDBY", "MCP"}
)

_PRICE_PER_COMPUTE_UNIT = 0.2  # US dollars; any price will do, it only has to be a number
_SHORT = (
    *("id", "actId", "userId", "actorTaskId", "status", "startedAt", "finishedAt", "buildId", "buildNumber", "meta"),
    *("defaultKeyValueStoreId", "defaultDatasetId", "defaultRequestQueueId", "usageTotalUsd"),
)


@dataclass(frozen=True)
class RunOptions:
    """How a run was asked to behave; None leaves it to the Actor or to the run's former life."""

    timeout_secs: int | None = None
    memory_mbytes: int | None = None
    max_items: int | None = None
    max_total_charge_usd: float | None = None
    restart_on_error: bool | None = None
    build: str | None = None
    permission_level: str | None = None

    def over(self, former: Document) -> Document:
        """These options laid over former ones, in the API's shape."""
        memory = self.memory_mbytes or former["memoryMbytes"]
        given = {
            "build": self.build,
            "timeoutSecs": self.timeout_secs,
            "maxItems": self.max_items,
            "maxTotalChargeUsd": self.max_total_charge_usd,
            "restartOnError": self.restart_on_error,
        }
        options = {**former, **{name: value for name, value in given.items() if value is not None}}
        return {**options, "memoryMbytes": memory, "diskMbytes": 2 * memory}


@dataclass(frozen=True)
class Starter:
    """Who asked for a run."""

    client_ip: str | None
    user_agent: str | None
    origin: str = "API"


class Runs:
    """All runs, finished ones included."""

    def __init__(self, documents: Documents, storages: Storages, settings: EmulatorSettings, user_id: str) -> None:
        self._documents, self._storages, self._settings, self._user_id = documents, storages, settings, user_id

    def create(self, program: Program, options: RunOptions, starter: Starter, input_size: int) -> Document:
        """A new run, READY, with its three default storages."""
        run_id, now = new_id(), stamp()
        dataset, store, queue = (
            self._storages.create(kind, actor=program.id, run=run_id)["id"] for kind in ("dataset", "store", "queue")
        )
        run = {
            "id": run_id,
            "actId": program.id,
            "userId": self._user_id,
            "actorTaskId": None,
            "startedAt": now,
            "finishedAt": None,
            "status": "READY",
            "statusMessage": None,
            "isStatusMessageTerminal": None,
            "meta": {"origin": starter.origin, "clientIp": starter.client_ip, "userAgent": starter.user_agent},
            "stats": {"inputBodyLen": input_size} | dict.fromkeys(_COUNTERS, 0),
            "options": options.over(_default_options(program)),
            "buildId": program.build_id,
            "buildNumber": BUILD_NUMBER,
            "exitCode": None,
            "generalAccess": "RESTRICTED" if self._settings.restricted else "ANYONE_WITH_ID_CAN_READ",
            "defaultKeyValueStoreId": store,
            "defaultDatasetId": dataset,
            "defaultRequestQueueId": queue,
            "storageIds": {
                "datasets": {"default": dataset},
                "keyValueStores": {"default": store},
                "requestQueues": {"default": queue},
            },
            "isContainerServerReady": False,
            "platformUsageBillingModel": "USER",
            "_permissionLevel": options.permission_level or "LIMITED_PERMISSIONS",
            "_lifeStartedAt": now,
            "_spentMillis": 0,
        }
        self._documents.put("run", run, created=now, owner=program.id, name=None)
        return run

    def get(self, run_id: str) -> Document:
        """One run. Raises: ApiError 404."""
        if run := self._documents.get("run", run_id):
            return run
        raise not_found("Actor run")

    def save(self, run: Document) -> None:
        """Keep a changed run."""
        self._documents.save("run", run)

    def unfinished(self) -> list[Document]:
        """Runs that some earlier process left unfinished."""
        return self._documents.all("run", Filter().add(f"{_STATUS} NOT IN ({_TERMINAL_SQL})"))

    def last(self, actor_id: str, query: Query) -> Document:
        """The Actor's run with the latest start, of the status and origin asked for. Raises: ApiError 404."""
        where = Filter().add("owner=?", actor_id).among(_STATUS, query.choices("status", STATUSES))
        where.among("json_extract(body, '$.meta.origin')", query.choices("origin", ORIGINS))
        if found := self._documents.all("run", where, desc=True, limit=1):
            return found[0]
        raise not_found("Actor run")

    def page(self, query: Query, actor_id: str | None) -> Document:
        """A page of runs in short form, oldest start first unless `desc`."""
        where = Filter().among(_STATUS, query.choices("status", STATUSES))
        if actor_id:
            where.add("owner=?", actor_id)
        if after := query.moment("startedAfter"):
            where.add("created>=?", stamp(after))
        if before := query.moment("startedBefore"):
            where.add("created<=?", stamp(before))
        page = self._documents.page("run", query, where)
        return {**page, "items": [_short(self.present(run)) for run in page["items"]]}

    def delete(self, run: Document) -> None:
        """Remove a finished run and its default storages."""
        self._documents.delete("run", run["id"])
        self._storages.delete("dataset", run["defaultDatasetId"])
        self._storages.delete("store", run["defaultKeyValueStoreId"])
        self._storages.delete("queue", run["defaultRequestQueueId"])

    def present(self, run: Document, *, priced: bool = True) -> Document:
        """A run as the API shows it; without a token (`priced` false) its costs are hidden."""
        millis = run["_spentMillis"]
        if run["status"] not in TERMINAL:
            millis += millis_between(run["_lifeStartedAt"], stamp())
        units = round(run["options"]["memoryMbytes"] / 1024 * millis / 3_600_000, 6)
        stats = {**run["stats"], "durationMillis": millis, "runTimeSecs": millis / 1000, "computeUnits": units}
        view = {**shown(run), "stats": stats, "usage": {"ACTOR_COMPUTE_UNITS": units}}
        if priced:
            price = round(units * _PRICE_PER_COMPUTE_UNIT, 6)
            view |= {"usageTotalUsd": price, "usageUsd": {"ACTOR_COMPUTE_UNITS": price}}
        return view


_STATUS = "json_extract(body, '$.status')"
_TERMINAL_SQL = ", ".join(f"'{status}'" for status in sorted(TERMINAL))
_COUNTERS = ("restartCount", "resurrectCount", "rebootCount", "migrationCount", "metamorph")


def _default_options(program: Program) -> Document:
    manifest = program.manifest
    return {"build": BUILD_TAG, "timeoutSecs": manifest.timeout_secs, "memoryMbytes": manifest.memory_mbytes}


def _short(view: Document) -> dict[str, Any]:
    return {name: view[name] for name in _SHORT}
