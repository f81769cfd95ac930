"""A run as the platform describes it when we ask, in the words every platform shares."""

from typing import Any

import msgspec


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run, fetched with our own token: the only account of it that we believe.

    Attributes:
        id: the platform's id.
        source: name under `sources:` in runrelay.yaml.
        status: the platform's own word, for instance `SUCCEEDED` or `TIMED-OUT`.
        terminal: whether the run has ended.
        succeeded: whether it came to its own end, so that what it left is all there is to find.
        life: the moment it finished, ISO 8601, exactly as the platform wrote it if it writes that; a run that is
            resurrected and finishes again has another life. Empty while the run has not ended.
        finished: the same as Unix seconds; 0.0 while the run has not ended.
        cost: US dollars; None if the platform does not say.
        account: id of the account that owns the run.
        origin: how it was started (`API`, `SCHEDULER`, …); empty if unknown.
        actor_id, actor: id and `owner/name` of the program; the name is empty until somebody resolved it.
        task_id, task: the same of the saved task it was started from; empty without one.
        build: number of the build that ran, for instance `0.1.7`; empty if unknown.
        tags: names of that build: the one the run was asked for by and, once somebody resolved them, those that lead to
            the build by then.
        schedule_id, schedule: id and name of the schedule that started it; empty without one.
        datasets: alias → dataset id; `default` is the run's own.
        stores: alias → key-value store id.
        queues: alias → request queue id.
        fields: the platform's whole run object, as fetched.
    """

    id: str
    source: str
    status: str
    terminal: bool
    life: str
    finished: float
    account: str
    succeeded: bool = False
    cost: float | None = None
    origin: str = ""
    actor_id: str = ""
    actor: str = ""
    task_id: str = ""
    task: str = ""
    build: str = ""
    tags: tuple[str, ...] = ()
    schedule_id: str = ""
    schedule: str = ""
    datasets: dict[str, str] = {}
    stores: dict[str, str] = {}
    queues: dict[str, str] = {}
    fields: dict[str, Any] = {}
