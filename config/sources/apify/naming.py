"""Names for ids: Actors, tasks, schedules, builds.

What is gone, or not for our token to see, has no name. A refused token does not make anything nameless: then the run
waits.
"""

from config.contracts.api import Api
from config.contracts.errors import Forbidden, NotFound
from config.sources.apify.answers import Builds, Named, data
from config.sources.apify.paths import segment
from config.wire.answers import SMALL


async def owned_name(api: Api, collection: str, ident: str) -> str:
    """`owner/name` of an Actor (`actors`) or a task (`actor-tasks`); empty without an id or a name."""
    named = await _named(api, collection, ident)
    return f"{named.username}/{named.name}" if named.username and named.name else ""


async def plain_name(api: Api, collection: str, ident: str) -> str:
    """The name of a schedule (`schedules`); empty without an id or a name."""
    return (await _named(api, collection, ident)).name or ""


async def tags_of(api: Api, actor_id: str, build_id: str | None) -> tuple[str, ...]:
    """The tags of an Actor that lead to a build (API reference, Actor, `taggedBuilds`)."""
    if not (actor_id and build_id):
        return ()
    try:
        actor = data(await api.get(f"/actors/{segment(actor_id)}", most=SMALL), Builds)
    except (NotFound, Forbidden):
        return ()
    return tuple(tag for tag, build in (actor.tagged_builds or {}).items() if build and build.build_id == build_id)


async def _named(api: Api, collection: str, ident: str) -> Named:
    if not ident:
        return Named()
    try:
        return data(await api.get(f"/{collection}/{segment(ident)}", most=SMALL), Named)
    except (NotFound, Forbidden):
        return Named()
