"""A run of Apify's in our words, and in those that templates use."""

from collections.abc import Mapping
from typing import Any

import msgspec

from config.contracts.run import Run
from config.sources.apify.answers import Meta, RunFields, RunOptions, StorageIds, seconds

#: Run statuses that are final (API reference, ActorJobStatus). More may come.
TERMINAL = frozenset({"SUCCEEDED", "FAILED", "TIMED-OUT", "ABORTED"})
#: Run statuses that are not.
UNDER_WAY = frozenset({"READY", "RUNNING", "TIMING-OUT", "ABORTING"})
#: How runs are started (API reference, RunOrigin).
ORIGINS = frozenset(
    {"DEVELOPMENT", "WEB", "API", "SCHEDULER", "TEST", "WEBHOOK", "ACTOR", "CLI", "CI", "STANDBY", "MCP"}
)
_CONSOLE = "https://console.apify.com"


def told(source: str, run: RunFields, fields: dict[str, Any]) -> Run:
    """A run has ended once it says when, whatever word it has for that, unless the word is known to mean that it goes
    on. Raises Transient if the time is none."""
    storages, meta = run.storage_ids or StorageIds(), run.meta or Meta()
    finished = None if run.status in UNDER_WAY else run.finished_at
    return Run(
        id=run.id,
        source=source,
        status=run.status,
        terminal=bool(finished),
        succeeded=bool(finished) and run.status == "SUCCEEDED",
        life=finished or "",
        finished=seconds(finished, "finishedAt"),
        account=run.user_id or "",
        cost=run.usage_total_usd,
        origin=meta.origin or "",
        build=run.build_number or "",
        tags=_asked(run),
        schedule_id=meta.schedule_id or "",
        actor_id=run.act_id or "",
        task_id=run.actor_task_id or "",
        datasets=_storages(storages.datasets, run.default_dataset_id),
        stores=_storages(storages.key_value_stores, run.default_key_value_store_id),
        queues=_storages(storages.request_queues, run.default_request_queue_id),
        fields=fields,
    )


def described(run: Run) -> dict[str, Any]:
    """What templates see: the run as the platform tells it, and the names it does not tell."""
    return {
        "run": {**run.fields, "console_url": console_url(run.id)},
        "actor": {"id": run.actor_id, "name": run.actor},
        "task": {"id": run.task_id, "name": run.task},
        "build": {"number": run.build, "tags": list(run.tags)},
        "schedule": {"id": run.schedule_id, "name": run.schedule},
    }


def console_url(run_id: str) -> str:
    """Where a person looks at a run."""
    return f"{_CONSOLE}/view/runs/{run_id}"


def build_of(run: Run) -> str | None:
    """The id of the build that ran."""
    return msgspec.convert(run.fields, RunFields).build_id


def _asked(run: RunFields) -> tuple[str, ...]:
    """The tag the run was asked for by; it may have been a number."""
    asked = (run.options or RunOptions()).build
    return (asked,) if asked and asked != run.build_number else ()


def _storages(aliases: Mapping[str, str | None] | None, default: str | None) -> dict[str, str]:
    """Alias → id; an alias that leads nowhere is none."""
    named = {alias: ident for alias, ident in (aliases or {}).items() if ident}
    return {**({"default": default} if default else {}), **named}
