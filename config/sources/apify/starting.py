"""Starting Actors and tasks (Apify API, "Run Actor", "Run task"), and announcing the end of what was started."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from config.contracts.api import Answer, Api
from config.sources.apify.answers import data
from config.sources.apify.paths import program_path
from config.sources.apify.webhooks import AdHocWebhook, encode
from config.wire.answers import SMALL, clock

Permission = Literal["LIMITED_PERMISSIONS", "FULL_PERMISSIONS"]
#: Most bytes of an input (Run Actor, answer 413). A larger one may find the connection closed instead of an answer.
LARGEST_INPUT = 9 * 1024 * 1024
#: How far before a lost start runs are still looked at, for the steps of the platform's clock.
_MARGIN = timedelta(seconds=2)


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The query parameters of Run Actor and Run task, apart from `webhooks`. None leaves the Actor's own default.

    Attributes:
        timeout: seconds; memory: megabytes, a power of 2 from 128.
        wait_for_finish: seconds the platform may hold its answer back, 0-60.
    """

    timeout: float | None = None
    memory: int | None = None
    max_items: int | None = None
    max_total_charge_usd: float | None = None
    restart_on_error: bool | None = None
    build: str | None = None
    wait_for_finish: float | None = None
    force_permission_level: Permission | None = None

    def params(self) -> dict[str, str | int]:
        """As they stand in the URL."""
        return {
            _camel(name): _written(value)
            for name in self.__struct_fields__
            if (value := getattr(self, name)) is not None
        }


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _written(value: str | float | bool) -> str | int:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.15g}" if isinstance(value, float) else value


async def start(
    api: Api,
    actor: str,
    *,
    options: RunOptions,
    body: bytes | None = None,
    content_type: str = "application/json",
    webhooks: Sequence[AdHocWebhook] = (),
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run Actor or Run task, once. Returns the platform's run object.

    actor: as `program_path` takes it, a task with `task:` in front. body: the input; a task's own is overridden by it.

    Raises Transient if nobody knows whether it started, else the verdict of the answer.
    """
    params = options.params() | ({"webhooks": encode(webhooks)} if webhooks else {})
    path = f"{program_path(actor)}/runs"
    return _fields(await api.send("POST", path, params, body=body, content_type=content_type, headers=headers))


async def started_within(api: Api, actor: str, seconds: float) -> list[dict[str, Any]]:
    """Runs of an Actor that the platform started in the last so many seconds, by its own clock, newest first."""
    answer = await api.get(f"{program_path(actor)}/runs", {"desc": "true", "limit": 100}, most=SMALL)
    now = clock(answer.headers) or datetime.now(UTC).timestamp()
    since = datetime.fromtimestamp(now, UTC) - timedelta(seconds=seconds) - _MARGIN
    return [run for run in _fields(answer).get("items") or [] if _moment(run.get("startedAt")) >= since]


def announcement(run: Mapping[str, Any]) -> tuple[str, bytes]:
    """Kind and body of the webhook the platform would send for a run that has ended (default payload template)."""
    kind = f"ACTOR.RUN.{str(run['status']).replace('-', '_')}"
    told = {
        "userId": run.get("userId"),
        "createdAt": run.get("finishedAt"),
        "eventType": kind,
        "eventData": {"actorId": run.get("actId"), "actorRunId": run["id"]},
        "resource": dict(run),
    }
    return kind, json.dumps(told, separators=(",", ":"), sort_keys=True).encode()


def _moment(text: Any) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return datetime.min.replace(tzinfo=UTC)


def _fields(answer: Answer) -> dict[str, Any]:
    return data(answer, dict[str, Any])
