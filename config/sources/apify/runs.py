"""Runs, one by one and in lists: looking, waiting, changing, deleting (API reference, "Actor runs")."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from config.contracts.api import Answer, Api
from config.sources.apify import lists
from config.sources.apify.answers import RunFields, data, seconds, shaped
from config.sources.apify.paths import TASK, program_path, segment
from config.sources.apify.starting import RunOptions
from config.sources.apify.telling import TERMINAL
from config.wire.answers import SMALL

#: A run as the platform describes it.
Fields = dict[str, Any]
#: Longest the platform keeps an answer back for `waitForFinish`, seconds.
LONGEST_WAIT = 60


async def get(api: Api, run_id: str, *, wait: float = 0) -> Fields:
    """Get run, at its end or after `wait` seconds (60 at most). An Api without a token will do where the run is open
    to whoever knows its id; what it cost is hidden then."""
    return _run(await api.get(_path(run_id), _waiting(wait), most=SMALL))


async def last(
    api: Api, program: str, *, status: str | None = None, origin: str | None = None, wait: float = 0
) -> Fields:
    """Get last run of an Actor or a task (`program_path`), by the time of its start, among those of one status and
    origin.

    Read its storages by the ids it names: below `/runs/last` a newer run would take their place in between.
    """
    filters = {name: value for name, value in {"status": status, "origin": origin}.items() if value}
    path = f"{program_path(program)}/runs/last"
    return _run(await api.get(path, {**filters, **_waiting(wait)}, most=SMALL))


def listed(
    api: Api,
    program: str | None = None,
    *,
    status: Sequence[str] = (),
    started_after: str | None = None,
    started_before: str | None = None,
    desc: bool = True,
    page: int = lists.PAGE,
) -> AsyncIterator[Fields]:
    """Get list of runs: of the account, of an Actor, or of a task (which knows no dates). Runs come in short form.

    status: any of these. started_after, started_before: ISO 8601, inclusive. desc: the newest first.
    """
    path = f"{program_path(program)}/runs" if program else "/actor-runs"
    filters = {"status": ",".join(status), "startedAfter": started_after, "startedBefore": started_before}
    said: dict[str, str | int] = {name: value for name, value in filters.items() if value}
    return lists.listed(api, path, {**said, "desc": "true" if desc else "false"}, page=page)


async def ended(api: Api, started_after: float, program: str | None = None) -> AsyncIterator[Fields]:
    """Get list of runs: those that have ended, in short form, the newest start first.

    started_after: Unix seconds. program: only of this Actor or task (`program_path`); otherwise all of the account.
    """
    moment = datetime.fromtimestamp(started_after, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    knows_no_dates = (program or "").startswith(TASK)
    async for fields in listed(api, program, status=sorted(TERMINAL), started_after=moment):
        if knows_no_dates and seconds(shaped(fields, RunFields).started_at, "startedAt") < started_after:
            return
        yield fields


async def abort(api: Api, run_id: str, *, gracefully: bool = False) -> Fields:
    """Abort run: at once, or 30 seconds after it has been told. One that has ended stays as it is."""
    params = {"gracefully": "true"} if gracefully else {}
    return data(await api.send("POST", f"{_path(run_id)}/abort", params), Fields)


async def resurrect(api: Api, run_id: str, options: RunOptions) -> Fields:
    """Resurrect run: one that has ended goes on, on its own storages. Of the options all but `wait_for_finish` and
    `force_permission_level` count."""
    return data(await api.send("POST", f"{_path(run_id)}/resurrect", options.params()), Fields)


async def delete(api: Api, run_id: str) -> None:
    """Delete run. Permanent (400) if it has not ended, Forbidden (403) if somebody else started it, NotFound."""
    await api.send("DELETE", _path(run_id))


def _path(run_id: str) -> str:
    return f"/actor-runs/{segment(run_id)}"


def _waiting(seconds: float) -> dict[str, str | int]:
    return {"waitForFinish": min(int(seconds), LONGEST_WAIT)} if seconds else {}


def _run(answer: Answer) -> Fields:
    """The run of an answer. Raises Transient for one that has no id or no status: then nobody knows who answered."""
    fields = data(answer, Fields)
    shaped(fields, RunFields)
    return fields
