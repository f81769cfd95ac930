"""Names and accounts a platform knows by id, asked for once an hour."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec

from config.contracts.run import Run
from config.contracts.source import Api, Source

LIFETIME = 3600.0
MOST = 10_000


class Names:
    """One per worker process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, ...], tuple[float, str]] = OrderedDict()

    async def account(self, source: Source, api: Api) -> str:
        """The id of the token's own account."""
        return await self._ask((source.name, "account"), lambda: source.account(api))

    async def named(self, source: Source, api: Api, run: Run) -> Run:
        """The run with the names of its program and task; a name we may not see stays empty."""
        actor = await self._ask((source.name, "actor", run.actor_id), lambda: source.actor_name(api, run.actor_id))
        task = await self._ask((source.name, "task", run.task_id), lambda: source.task_name(api, run.task_id))
        return msgspec.structs.replace(run, actor=actor, task=task)

    async def _ask(self, key: tuple[str, ...], ask: Callable[[], Awaitable[str]]) -> str:
        now = time.monotonic()
        if key in self._kept and self._kept[key][0] > now:
            return self._kept[key][1]
        answer = await ask()
        self._kept[key] = (now + LIFETIME, answer)
        self._kept.move_to_end(key)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return answer
