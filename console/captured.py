"""Webhooks that could not be verified, as the receiver keeps them."""

import time
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from typing import cast

import msgspec

from config.webhooks.captured import Captured
from console.failures import CommandFailed
from workers.ledger.ledger import Ledger


async def newest(ledger: Ledger, sources: Iterable[str]) -> list[Captured]:
    """Of these sources, the newest first."""
    found = [one for name in sources for one in await _kept(ledger, name)]
    return sorted(found, key=lambda one: one.at, reverse=True)


async def named(ledger: Ledger, sources: Iterable[str], id: str) -> Captured:
    """Raises CommandFailed unless there is exactly one whose id begins so."""
    found = [one for one in await newest(ledger, sources) if one.id.startswith(id)]
    if len(found) != 1:
        why = (
            "several begin so" if found else "none is kept under this id; `runrelay captured list` has those there are"
        )
        raise CommandFailed("capture_not_found", f"{id}: {why}")
    return found[0]


async def forget(ledger: Ledger, sources: Iterable[str]) -> int:
    """Returns how many there were."""
    names = list(sources)
    there = len(await newest(ledger, names))
    if names:
        await ledger.redis.delete(*map(ledger.keys.captured, names))
    return there


async def _kept(ledger: Ledger, source: str) -> list[Captured]:
    """What another version wrote is passed over: it is soon gone."""
    kept = []
    for raw in await cast("Awaitable[list[bytes]]", ledger.redis.lrange(ledger.keys.captured(source), 0, -1)):
        with suppress(msgspec.DecodeError):
            kept.append(msgspec.json.decode(raw, type=Captured))
    return [one for one in kept if one.until > time.time()]
