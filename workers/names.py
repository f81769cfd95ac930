"""Names and accounts a platform knows by id, asked for once an hour, and only if somebody mentions them."""

import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Any

import msgspec

from config.contracts.api import Api
from config.contracts.run import Run
from config.contracts.source import Source
from config.route import Route
from config.routes import RouteTable

LIFETIME = 3600.0
MOST = 10_000
#: What a run has only ids of.
NAMES = frozenset({"actor", "task", "schedule", "build"})
_WORD = re.compile(rb"\b(?:" + b"|".join(name.encode() for name in sorted(NAMES)) + rb")\b")
_EVENT = re.compile(rb"\bevent\b")


def mentioned(table: RouteTable) -> frozenset[str]:
    """The names that some route, template or sink of the file may use. A word too many costs a request an hour."""
    routes = (*table.routes, *((table.unmatched,) if table.unmatched else ()))
    return frozenset[str]().union(*(_in(table.document(route)) for route in routes), _told(table, routes))


def uses_event(table: RouteTable, routes: Iterable[Route]) -> bool:
    """Whether one of these routes, or a sink of theirs by itself, may use what the webhook said (`event`)."""
    routes = list(routes)
    return any(_EVENT.search(table.document(route)) for route in routes) or "event" in _told(table, routes)


def _told(table: RouteTable, routes: Iterable[Route]) -> set[str]:
    """The names that sinks use by themselves: `NAMES` of their modules."""
    modules = [table.sinks[target.sink].module for route in routes for target in route.targets]
    return {name for module in modules for name in getattr(module, "NAMES", ())}


@lru_cache(maxsize=4096)
def _in(document: bytes) -> frozenset[str]:
    return frozenset(word.decode() for word in _WORD.findall(document))


class Names:
    """One per worker process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, ...], tuple[float, Any]] = OrderedDict()

    async def account(self, source: Source, api: Api) -> str:
        """The id of the token's own account."""
        return str(await self._ask((source.name, "account"), lambda: source.account(api)))

    async def named(self, source: Source, api: Api, run: Run, wanted: frozenset[str]) -> Run:
        """The run with those names that are wanted; one we may not see stays empty."""
        asks: dict[str, tuple[tuple[str, ...], Callable[[], Awaitable[Any]]]] = {
            "actor": ((run.actor_id,), lambda: source.actor_name(api, run.actor_id)),
            "task": ((run.task_id,), lambda: source.task_name(api, run.task_id)),
            "schedule": ((run.schedule_id,), lambda: source.schedule_name(api, run.schedule_id)),
            "build": ((run.actor_id, run.build or run.id), lambda: source.build_tags(api, run)),
        }
        found = {
            name: await self._ask((source.name, name, *ids), ask) for name, (ids, ask) in asks.items() if name in wanted
        }
        tags = dict.fromkeys((*run.tags, *found.pop("build", ())))
        return msgspec.structs.replace(run, **found, tags=tuple(tags))

    async def _ask(self, key: tuple[str, ...], ask: Callable[[], Awaitable[Any]]) -> Any:
        now = time.monotonic()
        if key in self._kept and self._kept[key][0] > now:
            return self._kept[key][1]
        answer = await ask()
        self._kept[key] = (now + LIFETIME, answer)
        self._kept.move_to_end(key)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return answer
