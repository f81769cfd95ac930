"""Finding a record by what a person knows of it."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from redis.exceptions import RedisError

from console.failures import CommandFailed
from workers.ledger.ledger import Ledger
from workers.ledger.records import AfterRecord, DeliveryRecord, EventRecord

#: Fewest characters of an id that name it.
SHORTEST = 8
_HEX = re.compile(r"[0-9a-f]{8,64}")
#: Ids of any platform's runs, with or without the name of the source in front.
_RUN = re.compile(r"[A-Za-z0-9._:~-]{1,200}")


@dataclass(frozen=True)
class Found:
    """Everything that belongs to what was asked for."""

    events: list[EventRecord]
    deliveries: list[DeliveryRecord]
    afters: list[AfterRecord] = field(default_factory=list)


async def find(ledger: Ledger, id: str, source: str | None = None) -> Found:
    """By the id of an event, of a delivery or of what was to be deleted after one and died, by the beginning of such
    an id, or by the id of a run, which may be `<source>:<run>`.

    source: of the run; None: of any.

    Raises CommandFailed if there is none, or more than one.
    """
    found = await _by_record(ledger, id) if _HEX.fullmatch(id) else None
    if found is None and _RUN.fullmatch(id):
        found = await _by_run(ledger, id, source)
    if found is None:
        hint = f"give an event's or delivery's id ({SHORTEST} characters of it or more) or a run's: `runrelay runs`"
        raise CommandFailed("not_found", f"the ledger knows no {id!r}: {hint}")
    afters = {after.after.id: after for after in found.afters}
    afters |= {after.after.id: after for event in found.events if (after := await ledger.after_of(event))}
    return replace(found, afters=list(afters.values()))


async def run_named(ledger: Ledger, id: str) -> tuple[str, str] | None:
    """Source and id of the run that the same words lead to; None if the ledger knows none or cannot be asked. Raises
    CommandFailed if there is more than one."""
    try:
        found = await find(ledger, id)
    except RedisError:
        return None
    except CommandFailed as no:
        if no.kind == "not_found":
            return None
        raise
    places = [(one.source, one.run_id) for one in found.events]
    places += [(one.delivery.source, one.delivery.run_id) for one in found.deliveries]
    places += [(one.after.source, one.after.run_id) for one in found.afters]
    return next(iter(places), None)


async def _by_record(ledger: Ledger, prefix: str) -> Found | None:
    events = await _ids(ledger, ledger.keys.events, prefix)
    deliveries = await _ids(ledger, ledger.keys.deliveries, prefix)
    afters = await _ids(ledger, ledger.keys.dead, f"af:{prefix}")
    if len(events) + len(deliveries) + len(afters) > 1:
        raise CommandFailed("ambiguous", f"{prefix} is the beginning of several ids: give more of it")
    if deliveries and (one := await ledger.delivery(deliveries[0])):
        event = await ledger.event(one.delivery.event_id)
        return Found([event] if event else [], [one])
    if events and (known := await ledger.event(events[0])):
        planned = [await ledger.delivery(each) for each in known.deliveries]
        return Found([known], [each for each in planned if each])
    if afters and (after := await ledger.after(afters[0].removeprefix("af:"))):
        return Found([], [], [after])
    return None


async def _ids(ledger: Ledger, key: str, prefix: str) -> list[str]:
    """At most two: that is already one too many."""
    found: list[str] = []
    async for member, _ in ledger.redis.zscan_iter(key, match=f"{prefix}*", count=1000):
        found.append(member.decode())
        if len(found) > 1:
            break
    return found


async def _by_run(ledger: Ledger, id: str, of: str | None) -> Found | None:
    places = [place async for place in _places(ledger, id) if of in {None, place[0]}]
    if len(places) > 1:
        named = " or ".join(sorted(f"{source}:{run_id}" for source, run_id in places))
        raise CommandFailed("ambiguous", f"several sources have a run {id!r}: say {named}")
    return Found(*await ledger.of_run(*places[0])) if places else None


async def _places(ledger: Ledger, id: str) -> AsyncIterator[tuple[str, str]]:
    """Source and id of every run that is meant. The key of a run ends with both, and names of sources have no colon."""
    source, _, run_id = id.partition(":")
    if run_id and await ledger.redis.exists(ledger.keys.run(source, run_id)):
        yield source, run_id
    begun = ledger.keys.run("", "").removesuffix(":")
    async for raw in ledger.redis.scan_iter(match=ledger.keys.run("*", id), count=1000):
        source, _, run_id = raw.decode().removeprefix(begun).partition(":")
        if run_id == id:
            yield source, run_id
