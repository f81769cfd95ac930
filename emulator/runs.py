"""Runs as the API knows them: their fields, lists, and what is shown to whom (Apify API, "Run object")."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from emulator import pricing
from emulator.access import Account
from emulator.documents import Document, Documents, Filter, shown
from emulator.errors import not_found
from emulator.programs import Program
from emulator.query import Query
from emulator.settings import EmulatorSettings
from emulator.stamps import millis_between, new_id, stable_id, stamp
from emulator.storages import StorageKind, Storages

TERMINAL = frozenset({"SUCCEEDED", "FAILED", "TIMED-OUT", "ABORTED"})
STATUSES = TERMINAL | {"READY", "RUNNING", "TIMING-OUT", "ABORTING"}
ORIGINS = frozenset(
    {"DEVELOPMENT", "WEB", "API", "SCHEDULER", "TEST", "WEBHOOK", "ACTOR", "CLI", "CI", "STANDBY", "MCP"}
)

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

    @classmethod
    def of_task(cls, options: Document) -> "RunOptions":
        """The `options` of a task."""
        return cls(
            timeout_secs=options.get("timeoutSecs"),
            memory_mbytes=options.get("memoryMbytes"),
            max_items=options.get("maxItems"),
            max_total_charge_usd=options.get("maxTotalChargeUsd"),
            restart_on_error=options.get("restartOnError"),
            build=options.get("build"),
        )

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

    account: Account
    client_ip: str | None
    user_agent: str | None
    origin: str = "API"

    @property
    def meta(self) -> Document:
        """As runs tell it; nothing here is started by a schedule."""
        who = {"origin": self.origin, "clientIp": self.client_ip, "userAgent": self.user_agent}
        return {**who, "scheduleId": None, "scheduledAt": None}


class Runs:
    """All runs, finished ones included."""

    def __init__(self, documents: Documents, storages: Storages, settings: EmulatorSettings, user_id: str) -> None:
        self._documents, self._storages, self._settings, self._user_id = documents, storages, settings, user_id

    def create(
        self, program: Program, options: RunOptions, starter: Starter, input_size: int, task: Document | None = None
    ) -> Document:
        """A new run, READY, with its default storages; of a task, if one is given."""
        run_id, now = new_id(), stamp()
        storages = self._new_storages(program, run_id, starter.account)
        run = {
            "id": run_id,
            "actId": program.id,
            "userId": starter.account.id,
            "actorTaskId": task and task["id"],
            "startedAt": now,
            "finishedAt": None,
            "status": "READY",
            "statusMessage": None,
            "isStatusMessageTerminal": None,
            "meta": starter.meta,
            "stats": {"inputBodyLen": input_size} | dict.fromkeys((*_COUNTERS, *_MEASURES), 0),
            "options": options.over(_default_options(program, task)),
            "buildId": program.build_id,
            "buildNumber": program.build_number,
            "exitCode": None,
            "generalAccess": "RESTRICTED" if self._settings.restricted else "ANYONE_WITH_ID_CAN_READ",
            "defaultKeyValueStoreId": storages["keyValueStores"]["default"],
            "defaultDatasetId": storages["datasets"]["default"],
            "defaultRequestQueueId": storages["requestQueues"]["default"],
            "storageIds": storages,
            "containerUrl": f"{self._settings.base_url}/containers/{run_id}",
            "isContainerServerReady": False,
            "gitBranchName": None,
            "metamorphs": None,
            "platformUsageBillingModel": "USER",
            **pricing.of_program(program),
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

    def change(self, run_id: str, **fields: object) -> Document:
        """Set these fields of a run; returns the run."""
        run = self.get(run_id) | fields
        self.save(run)
        return run

    def count(self, run_id: str, counter: str) -> Document:
        """Add one to a counter of a run's statistics; returns the run."""
        run = self.get(run_id)
        run["stats"][counter] += 1
        self.save(run)
        return run

    def measure(self, run_id: str, info: Document) -> None:
        """Note what the processes of a living run use: the data of a `systemInfo` event."""
        run = self._documents.get("run", run_id)
        if run is None or run["finishedAt"]:
            return
        peak = max(run["stats"]["memMaxBytes"], info["memCurrentBytes"])  # a peak outlives a restart
        run["stats"] |= {name: info[name] for name in _MEASURES if name in info} | {"memMaxBytes": peak}
        self.save(run)

    def end(self, run_id: str, status: str, message: str, code: int | None) -> Document:
        """A life of the run is over; a last word that the Actor has said stands. Returns the run."""
        run, now = self.get(run_id), stamp()
        if not run["isStatusMessageTerminal"]:
            run |= {"statusMessage": message, "isStatusMessageTerminal": True}
        run |= {"status": status, "finishedAt": now, "exitCode": code}
        run["stats"] |= {"memCurrentBytes": 0, "cpuCurrentUsage": 0}
        run["_spentMillis"] += millis_between(run["_lifeStartedAt"], now)
        self.save(run)
        return run

    def charge(self, run: Document, event: str, count: int, key: str | None) -> None:
        """Count an event that the Actor charges for, once for each idempotency key.

        The limit of the run is not looked at: the API leaves it to the Actor (Apify API, "Charge events in run").
        Raises: ApiError 400 if the run cannot charge for it.
        """
        pricing.check_event(run, event)
        if key is None or self._is_first(run, key):
            self._count_event(run, event, count)

    def charge_items(self, dataset: Document, count: int) -> None:
        """Count items pushed to the default dataset of a run whose Actor charges for them."""
        run = self._documents.get("run", dataset["actRunId"] or "")
        if run is None or run["defaultDatasetId"] != dataset["id"]:
            return
        if pricing.DATASET_ITEM in run.get("chargedEventCounts", {}):
            self._count_event(run, pricing.DATASET_ITEM, count)

    def unfinished(self) -> list[Document]:
        """Runs that some earlier process left unfinished."""
        return self._documents.all("run", Filter().add("json_extract(body, '$.finishedAt') IS NULL"))

    def last(self, scope: Filter, query: Query) -> Document:
        """The run with the latest start, of the status and origin asked for. Raises: ApiError 404."""
        where = scope.among(_STATUS, query.choices("status", STATUSES))
        where.among("json_extract(body, '$.meta.origin')", query.choices("origin", ORIGINS))
        if found := self._documents.all("run", where, desc=True, limit=1):
            return found[0]
        raise not_found("Actor run")

    def page(self, query: Query, scope: Filter) -> Document:
        """A page of runs in short form, oldest start first unless `desc`."""
        where = scope.among(_STATUS, query.choices("status", STATUSES))
        if after := query.moment("startedAfter"):
            where.add("created>=?", stamp(after))
        if before := query.moment("startedBefore"):
            where.add("created<=?", stamp(before))
        page = self._documents.page("run", query, where)
        return {**page, "items": [_short(self.present(run)) for run in page["items"]]}

    def delete(self, run: Document) -> None:
        """Remove a finished run and its default storages."""
        self._documents.delete("run", run["id"])
        self._documents.delete_owned("charge", run["id"])
        for kind, id_ in _storages_of(run):
            self._storages.delete(kind, id_)

    def open_storages(self, run: Document, level: str) -> None:
        """Give the run's storages the general access that the run was given."""
        for kind, id_ in _storages_of(run):
            if storage := self._storages.find(kind, id_):
                storage["generalAccess"] = level
                self._storages.touch(kind, storage)

    def present(self, run: Document, *, priced: bool = True) -> Document:
        """A run as the API shows it; without a token (`priced` false) its costs are hidden."""
        millis = run["_spentMillis"]
        if run["finishedAt"] is None:
            millis += millis_between(run["_lifeStartedAt"], stamp())
        units = round(run["options"]["memoryMbytes"] / 1024 * millis / 3_600_000, 6)
        stats = {**run["stats"], "durationMillis": millis, "runTimeSecs": millis / 1000, "computeUnits": units}
        view = {**shown(run), "stats": stats, "usage": pricing.metered(units)}
        return view | pricing.costs(run, units) if priced else view

    def _new_storages(self, program: Program, run_id: str, account: Account) -> Document:
        """The default storages of a new run, and the further datasets its Actor declares: ids by alias."""

        def new(kind: StorageKind, schema: Document | None) -> str:
            return str(self._storages.create(kind, actor=program.id, run=run_id, schema=schema, account=account)["id"])

        datasets = {"default": None, **program.manifest.datasets}
        return {
            "datasets": {alias: new("dataset", schema) for alias, schema in datasets.items()},
            "keyValueStores": {"default": new("store", program.manifest.store)},
            "requestQueues": {"default": new("queue", None)},
        }

    def _is_first(self, run: Document, key: str) -> bool:
        """Whether this idempotency key is new in this run; from now on it is not."""
        id_ = stable_id(f"{run['id']} {key}")
        if self._documents.get("charge", id_):
            return False
        self._documents.put("charge", {"id": id_}, created=stamp(), owner=run["id"], name=None)
        return True

    def _count_event(self, run: Document, event: str, count: int) -> None:
        run["chargedEventCounts"][event] += count
        self.save(run)


def _storages_of(run: Document) -> Iterator[tuple[StorageKind, str]]:
    kinds: dict[str, StorageKind] = {"datasets": "dataset", "keyValueStores": "store", "requestQueues": "queue"}
    for family, ids in run["storageIds"].items():
        yield from ((kinds[family], id_) for id_ in ids.values())


def of_actor(program: Program) -> Filter:
    """The runs of this Actor."""
    return Filter().add("owner=?", program.id)


def of_task(task: Document) -> Filter:
    """The runs of this task."""
    return Filter().add("json_extract(body, '$.actorTaskId')=?", task["id"])


_STATUS = "json_extract(body, '$.status')"
_COUNTERS = ("restartCount", "resurrectCount", "rebootCount", "migrationCount", "metamorph")
_MEASURES = (
    *("memAvgBytes", "memMaxBytes", "memCurrentBytes", "cpuAvgUsage", "cpuMaxUsage", "cpuCurrentUsage"),
    *("netRxBytes", "netTxBytes"),
)


def _default_options(program: Program, task: Document | None) -> Document:
    manifest = program.manifest
    options = {"build": program.build_tag, "timeoutSecs": manifest.timeout_secs, "memoryMbytes": manifest.memory_mbytes}
    return RunOptions.of_task(task["options"]).over(options) if task else options


def _short(view: Document) -> dict[str, Any]:
    return {name: view[name] for name in _SHORT}
