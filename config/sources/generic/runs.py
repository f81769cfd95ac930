"""The platform's list of runs, for those that nobody announced."""

import math
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import msgspec

from config.contracts.api import Api, TooLarge
from config.contracts.errors import NotFound, Permanent
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.sources.generic import filling
from config.sources.generic.door import RUN_ID
from config.sources.generic.options import RunsShape
from config.sources.generic.reading import odd
from config.sources.generic.telling import Telling, moment
from config.sources.generic.walking import Walk
from config.wire.moments import NEVER_SAID
from config.wire.places import at, first, steps

#: Runs of a list that are looked at.
MOST = 5000


async def ended(
    api: Api, shape: RunsShape | None, telling: Telling, base: str, *, started_after: float, actor: str, task: str
) -> AsyncIterator[Run]:
    """See `Listing.ended_runs`. A list that has the newest first is left at the first run that is too old; in any other
    order all of it is looked through.

    Raises Permanent (source_refused) if the file does not say where runs are listed, if an ended one lacks the moment
    of its end, and after MOST of them.
    """
    if shape is None:
        raise Permanent(Reason.SOURCE_REFUSED, "nothing says where its runs are listed: set `runs.fetch` of the source")
    if task:
        raise NotFound(Reason.RUN_NOT_FOUND, "this platform has no saved tasks")
    walk = _walk(shape, base)
    looked, before = 0, math.inf
    async for row, when in walk.rows(api):
        fields = _object(row)
        looked += 1
        if looked > MOST:
            raise Permanent(
                Reason.SOURCE_REFUSED,
                f"`runs` lists more than {MOST}: let `runs.fetch` ask for the newest, or for fewer",
            )
        started = _started(shape, fields, when)
        descends, before = started < before < math.inf, started
        if started < started_after:
            if descends:
                return
            continue
        run = telling.listed(_id(shape, fields), fields, when)
        if run.terminal and actor in {"", run.actor_id}:
            if run.life == NEVER_SAID:
                raise _endless(run.id)
            yield run


def _endless(run_id: str) -> Permanent:
    return Permanent(
        Reason.SOURCE_REFUSED,
        f"`runs` lists {run_id!a} as ended and says nothing at `run.finished`, so nobody can tell which runs are new: "
        "`reconcile` needs a list that does",
    )


async def knock(api: Api, shape: RunsShape, base: str) -> None:
    """Ask whether we may see the list. Raises Unauthorized or Transient; a list that is not there, or is not as the
    file says, says nothing about our token, and whoever reads it will tell."""
    with suppress(Permanent, TooLarge):
        await _walk(shape, base).knock(api)


def _walk(shape: RunsShape, base: str) -> Walk:
    return Walk("runs", shape, filling.split(shape.fetch), base)


def _object(row: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(row, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise odd("lists something as a run that is no object: check `runs.at`") from None


def _id(shape: RunsShape, fields: dict[str, Any]) -> str:
    written = first(fields, shape.id)
    found = str(written) if isinstance(written, str | int) and not isinstance(written, bool) else ""
    if not RUN_ID.match(found):
        raise odd(f"lists a run without an id at {' or '.join(f'`{place}`' for place in shape.id)}: check `runs.id`")
    return found


def _started(shape: RunsShape, fields: dict[str, Any], now: float) -> float:
    """When it began; now if nothing says so."""
    written = at(fields, steps(shape.started)) if shape.started else None
    if written is None or shape.started is None:
        return now
    _, started = moment(written, shape.started, "runs.started", odd)
    return started
