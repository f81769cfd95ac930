"""`runrelay doctor`: what is not as it should be, and the cure."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import typer

from config.contracts.errors import ConfigInvalid
from config.contracts.source import Source
from config.freshness import Freshness
from config.route import SourceSpec
from config.settings import Settings
from config.sources.apify import ApifySource
from console import examining
from console.cli.options import Config, Json, example
from console.cli.output import Output, plain
from console.cli.verdict import explain, mark
from console.examining import Finding
from console.expiries import sources_of
from console.opening import nearby, open_settings, open_table
from console.signals import run
from workers.ledger.freshness import wanted

#: Seconds one examination may take.
LIMIT = 10.0
Examination = tuple[str, Coroutine[Any, Any, list[Finding]]]


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay doctor", "runrelay doctor --json | grep false"))(doctor)


def doctor(config: Config = None, json: Json = False) -> None:
    """Examine the installation: Redis, clocks, token, what is held or stale, data about to expire, spool folder, public
    address, secrets and webhooks.

    Each thing is looked at by itself, for ten seconds at most, and nothing is changed. Says what is wrong and what to
    do about it. Exits with 1 if anything is.
    """
    settings, out = nearby(open_settings(config)), Output(json)
    found = [*_file(settings), *run(_examined(settings))]
    for one in found:
        out.fact(check=one.check, ok=one.well if one.tried else None, message=one.message, cure=one.cure)
        out.tell(f"{mark(one)} {plain(one.check).plain}: {plain(one.message, 1000).plain}")
        if one.cure:
            out.tell(f"      cure: {plain(one.cure, 1000).plain}")
    raise typer.Exit(0 if all(one.well for one in found) else 1)


def _file(settings: Settings) -> Iterator[Finding]:
    try:
        open_table(settings)
        yield Finding("file", f"{settings.config} can be used")
    except ConfigInvalid as invalid:
        yield from (Finding("file", str(problem), _MEND) for problem in invalid.problems)


_MEND = "mend it: `runrelay check` shows where"


async def _examined(settings: Settings) -> list[Finding]:
    """All at once; in the order of the examinations."""
    at_redis, elsewhere = await asyncio.gather(_at_redis(settings), _all(_elsewhere(settings)))
    return [*at_redis, *elsewhere]


async def _at_redis(settings: Settings) -> list[Finding]:
    """If it does not answer, that alone is told."""
    silent = await _alone("redis", examining.redis_answers(settings))
    return silent or await _all(_in_redis(settings))


async def _all(examinations: Iterator[Examination]) -> list[Finding]:
    found = await asyncio.gather(*(_alone(name, asking) for name, asking in examinations))
    return [one for each in found for one in each]


def _in_redis(settings: Settings) -> Iterator[Examination]:
    yield "redis", examining.redis_durability(settings)
    yield "redis_clock", examining.redis_clock(settings)
    yield "workers", examining.workers_alive(settings)
    yield "holds", examining.holds(settings)
    yield "quarantine", examining.quarantine(settings)
    yield "freshness", examining.freshness(settings, _fresh(settings))
    yield "source_data", examining.source_data(settings, sources_of(settings))


def _elsewhere(settings: Settings) -> Iterator[Examination]:
    yield "spool", examining.spool(settings)
    for spec, source in _sources(settings):
        yield f"{source.name}.token", examining.token(source)
        yield f"{source.name}.address", examining.address(settings, spec, source)
        if isinstance(source, ApifySource):
            yield f"{source.name}.webhooks", examining.webhooks(settings, source)


def _fresh(settings: Settings) -> dict[str, Freshness]:
    try:
        return wanted(open_table(settings))
    except ConfigInvalid:
        return {}


def _sources(settings: Settings) -> list[tuple[SourceSpec, Source]]:
    try:
        table = open_table(settings)
        return [(table.declared[name], source) for name, source in table.sources.items()]
    except ConfigInvalid:
        return []


async def _alone(name: str, asking: Coroutine[Any, Any, list[Finding]]) -> list[Finding]:
    """What goes wrong while asking is a finding as well; a bug of ours stays one."""
    try:
        async with asyncio.timeout(LIMIT):
            return await asking
    except TimeoutError:
        return [Finding(name, f"no answer within {LIMIT:.0f} s", "check the network between here and there")]
    except Exception as error:
        if (failure := explain(error)) is None:
            raise
        message, _, cure = failure.message.rpartition(": ")
        return [Finding(name, message or failure.message, cure)]
