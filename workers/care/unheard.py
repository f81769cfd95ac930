"""Runs whose announcement the platform has given up: a second way to find what nobody here has heard of."""

import math
import time
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet

import msgspec
import structlog

from config.contracts.api import Api, TooLarge
from config.contracts.errors import Forbidden, NotFound
from config.contracts.run import Run
from config.contracts.source import Announcing, Source, Unheard

log = structlog.get_logger("runrelay.reconciler")

#: Most of them that are looked at in one go, the newest first.
MOST = 1000
#: Seconds for which a platform that does not tell is not asked again.
PAUSE = 3600.0


class UnheardRuns:
    """Those of one source. A platform that does not tell has none."""

    def __init__(self, source: Source, api: Api) -> None:
        self._source, self._api = source, api
        self._asked_from = -math.inf
        #: run → the newest announcement of it
        self._given_up: dict[str, Unheard] = {}
        #: what the runs of the last look were, by the announcement, so that each is fetched once
        self._met: dict[str, Run | None] = {}

    def answer(self, run_id: str) -> str:
        """What the last try to announce a run met, for people; empty if nobody knows."""
        found = self._given_up.get(run_id)
        return found.answer if found else ""

    async def runs(self, since: float, *, but: AbstractSet[str]) -> AsyncIterator[Run]:
        """Those that have ended, but for the ids in `but`. `since`: when they were announced at the earliest, Unix
        seconds."""
        self._given_up = await self._look(since)
        met: dict[str, Run | None] = {}
        for one in self._given_up.values():
            if one.run_id not in but:
                met[one.id] = self._met[one.id] if one.id in self._met else await self._meet(one.run_id)
        self._met = met
        for run in filter(None, met.values()):
            yield run

    async def _look(self, since: float) -> dict[str, Unheard]:
        found: dict[str, Unheard] = {}
        if not isinstance(self._source, Announcing) or time.monotonic() < self._asked_from:
            return found
        try:
            async for one in self._source.unheard(self._api, since=since):
                found.setdefault(one.run_id, one)
                if len(found) == MOST:
                    break
        except (Forbidden, NotFound, TooLarge) as exc:
            self._asked_from = time.monotonic() + PAUSE
            detail = "the list is too large" if isinstance(exc, TooLarge) else exc.detail
            log.warning("reconciler.dispatches_hidden", source=self._source.name, detail=detail)
        return found

    async def _meet(self, run_id: str) -> Run | None:
        """None: it is gone, or has been resurrected. In both cases this announcement is about nothing any more."""
        try:
            run = await self._source.run(self._api, run_id)
        except NotFound:
            return None
        return msgspec.structs.replace(run, fields={}) if run.terminal else None
