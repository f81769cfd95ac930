"""A run, a task or a job of ittybit's in our words."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from config.contracts.run import Run
from config.sources.ittybit.answers import Thing, odd, shaped
from config.sources.ittybit.outputs import outputs
from config.sources.ittybit.statuses import OVER, SUCCESS
from config.sources.ittybit.works import Work
from config.wire.moments import NEVER_SAID, iso, seconds

T = TypeVar("T")
#: Most bytes of an analysis that is kept with its run, and of a run that is kept with any.
_ANALYSIS, _RUN = 16 * 1024, 256 * 1024


def told(source: str, fields: Mapping[str, Any], kept: dict[str, Any]) -> Run:
    """A run has ended if it says so in a word that is known. Raises Transient if the time of its end is none.

    kept: what stays of it in `Run.fields`.
    """
    thing = shaped(fields, Thing)
    over = thing.status in OVER
    ended = _ended(thing) if over else None
    return Run(
        id=thing.id,
        source=source,
        status=thing.status,
        terminal=over,
        succeeded=thing.status in SUCCESS,
        life=_iso(ended) if over else "",
        finished=_moment(ended),
        account="",
        datasets={"default": thing.id},
        stores={"default": thing.id},
        fields=kept,
    )


def begun(fields: Mapping[str, Any]) -> float | None:
    """When it was made, Unix seconds; None if it does not say. Raises Transient."""
    written = shaped(fields, Thing).created_at
    return None if written is None else _moment(written)


def kept(work: Work) -> dict[str, Any]:
    """The run with its tasks, and all that they put out in one list. Of a large analysis only its size is kept: the
    run goes along with each delivery, and its items are read from the platform."""
    whole = _kept(work, _ANALYSIS)
    return whole if len(msgspec.json.encode(whole)) <= _RUN else _kept(work, 0)


def _kept(work: Work, most: int) -> dict[str, Any]:
    tasks = [_slim(task, most) for task in work.tasks]
    found = [
        {**output.about, "url": output.url} if output.url else {**output.about, "output": _small(output.said, most)}
        for output in outputs(work)
    ]
    return {**_slim(work.fields, most), "tasks": tasks, "outputs": found}


def _slim(task: Mapping[str, Any], most: int) -> dict[str, Any]:
    put_out = {name: _small_all(task[name], most) for name in ("outputs", "output") if name in task}
    return {**task, **put_out}


def _small_all(said: Any, most: int) -> Any:
    return [_small(one, most) for one in said] if isinstance(said, list) else _small(said, most)


def _small(said: Any, most: int) -> Any:
    if isinstance(said, str) or (isinstance(said, dict) and "url" in said):
        return said
    size = len(msgspec.json.encode(said))
    return said if said is None or size <= most else {"omitted_bytes": size}


def _ended(thing: Thing) -> Any:
    """The moment of the end, as it was written; None if it does not say at all."""
    moments = (thing.finished_at, thing.updated_at, thing.created_at)
    return next((moment for moment in moments if moment is not None), None)


def _moment(written: Any) -> float:
    """Unix seconds."""
    return 0.0 if written is None else _read(seconds, written)


def _iso(written: Any) -> str:
    return NEVER_SAID if written is None else _read(iso, written)


def _read(how: Callable[[Any], T], written: Any) -> T:
    try:
        return how(written)
    except (ValueError, OverflowError):
        raise odd("has a moment that is none") from None
