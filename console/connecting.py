"""`runrelay check --connect`: is everything the routes file names really there, and are we let in?"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from pydantic import BaseModel

from config.contracts.api import Api
from config.contracts.errors import WorkError
from config.contracts.sink import Checked, Surroundings
from config.contracts.source import Source
from config.route import SinkSpec
from config.routes import RouteTable
from config.settings import Settings
from console import examining
from workers.fetch.api import HttpApi, open_session

#: Seconds that reaching one of them may take.
LIMIT = 30.0
#: How many are reached for at the same time.
TOGETHER = 8


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of one try.

    Attributes:
        name: `source apify`, `sink disk` or `target products/warehouse`.
        message: what is wrong, or what was seen.
        well: whether a delivery would get through.
        tried: False if nobody can say.
    """

    name: str
    message: str
    well: bool = True
    tried: bool = True


async def reach(settings: Settings, table: RouteTable) -> list[Reached]:
    """Everything the file names, in file order. Nothing is delivered, and nothing is left behind."""
    gate = asyncio.Semaphore(TOGETHER)

    async def one(name: str, work: Callable[[], Awaitable[str]]) -> Reached:
        async with gate:
            return await _reached(name, work)

    async with _lent(settings, table) as around:
        tries = [*_sources(table), *_targets(table, around)]
        return list(await asyncio.gather(*(one(name, work) for name, work in tries)))


Try = tuple[str, Callable[[], Awaitable[str]]]


def _sources(table: RouteTable) -> Iterator[Try]:
    for name, source in table.sources.items():
        yield f"source {name}", partial(_token, source)


async def _token(source: Source) -> str:
    found = (await examining.token(source))[0]
    if not found.well:
        raise _Wrong(f"{found.message}: {found.cure}")
    if not found.tried:
        raise _Untried(found.message)
    return found.message


def _targets(table: RouteTable, around: Surroundings) -> Iterator[Try]:
    """Each sink as each target uses it; one that no route uses, as such."""
    routes = [*table.routes, *filter(None, [table.unmatched])]
    used = [(f"target {route.name}/{one.name}", one.sink, one.options) for route in routes for one in route.targets]
    for one in table.alerts.to if table.alerts else ():
        used.append((f"alerts to {one.name}", one.sink, one.options))
    for name, sink, options in used:
        yield name, partial(_check, table.sinks[sink], options, around)


async def _check(spec: SinkSpec, options: BaseModel, around: Surroundings) -> str:
    async with spec.module.connect(spec.config, around) as sink:
        if not isinstance(sink, Checked):
            return f"{spec.type}: connected; whether it can be written to, its first delivery tells"
        await sink.check(options)
    return f"{spec.type}: it can be written to"


class _Wrong(Exception):
    """Said by an examination."""


class _Untried(Exception):
    """Said by an examination that had nothing to ask."""


async def _reached(name: str, work: Callable[[], Awaitable[str]]) -> Reached:
    try:
        async with asyncio.timeout(LIMIT):
            return Reached(name, await work())
    except WorkError as exc:
        return Reached(name, exc.detail or str(exc), well=False)
    except _Wrong as exc:
        return Reached(name, str(exc), well=False)
    except _Untried as exc:
        return Reached(name, str(exc), tried=False)
    except TimeoutError:
        return Reached(name, f"no answer within {LIMIT:.0f} s", well=False)
    except Exception as exc:  # somebody's sink: the others are told all the same
        return Reached(name, f"its sink broke with {type(exc).__name__}: that is a bug of the sink", well=False)


@asynccontextmanager
async def _lent(settings: Settings, table: RouteTable) -> AsyncIterator[Surroundings]:
    """What a worker would lend."""
    async with open_session() as session:
        apis: dict[str, Api] = {name: HttpApi(session, one.manners) for name, one in table.sources.items()}

        def source(name: str) -> tuple[Source, Api]:
            return table.sources[name], apis[name]

        yield Surroundings(settings.spool_dir, source, settings.public_url)
