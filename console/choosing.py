"""Which source of a file is meant, and its platform."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from config.contracts.source import Source
from config.routes import RouteTable
from config.sources.apify import ApifySource
from console.failures import CommandFailed
from workers.fetch.api import HttpApi, open_session

_S = TypeVar("_S", bound=Source)


def chosen(table: RouteTable, name: str | None) -> Source:
    """The source of a name, or the only one. Raises CommandFailed."""
    return _one(table.sources, name, "source")


def chosen_apify(table: RouteTable, name: str | None) -> ApifySource:
    """The same, for what only Apify can be asked. Raises CommandFailed."""
    found = {each: source for each, source in table.sources.items() if isinstance(source, ApifySource)}
    if name in table.sources.keys() - found.keys() or not found:
        others = [name] if name else list(table.sources)
        types = ", ".join(f"{each} is of type {table.declared[each].type}" for each in others)
        raise CommandFailed("source_unfit", f"only sources of type apify know this command; {types}")
    source = _one(found, name, "Apify source")
    if not source.manners.token:
        raise CommandFailed("token_missing", f"`token` of the source {source.name} is empty: set APIFY_TOKEN")
    return source


def _one(found: Mapping[str, _S], name: str | None, what: str) -> _S:
    known = ", ".join(found) or "none"
    if name is None and len(found) != 1:
        raise CommandFailed("source_unclear", f"say which source with --source; the file has {known}")
    source = next(iter(found.values())) if name is None else found.get(name)
    if source is None:
        raise CommandFailed("source_not_found", f"the file has no {what} {name!r}; it has {known}")
    return source


@asynccontextmanager
async def api_of(source: Source, *, token: bool = True) -> AsyncIterator[HttpApi]:
    """The platform; without `token` as somebody sees it who knows ids and nothing else."""
    manners = source.manners if token else replace(source.manners, token="")
    async with open_session() as session:
        yield HttpApi(session, manners)
