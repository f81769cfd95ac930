"""`runrelay status`: how things stand, on one screen."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import typer

from config.contracts.errors import ConfigInvalid
from config.contracts.source import Source
from config.durability import findings
from config.freshness import Freshness
from config.routes import RouteTable
from config.settings import Settings
from console.cli.options import Config, Json, example
from console.cli.output import Output, plain
from console.holds import hold_facts, hold_words
from console.moments import iso, when_of
from console.opening import nearby, open_ledger, open_settings, open_table
from console.signals import run
from workers.ledger.expiring import Expiring, expiring
from workers.ledger.freshness import Stale, stale, wanted
from workers.ledger.quarantine import Held, held
from workers.ledger.standing import Memory, Standing, look

#: Records looked at from each end of a list: somebody waits for the answer.
MOST = 5000
_MIB = 1024 * 1024
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay status", "runrelay status --json"))(status)


def status(config: Config = None, json: Json = False) -> None:
    """Show how things stand: what waits and for how long, what is paused, what died and why, what is held
    in quarantine or stale, and who works.

    Of more than 10,000 open records, or 5,000 dead letters, only so many are looked at, and it says so.
    """
    settings, out = nearby(open_settings(config)), Output(json)
    table = _table(settings, out)
    sources = table.sources if table else {}
    seen = run(_ask(settings, sources, wanted(table) if table else {}))
    standing = seen.standing
    out.fact(
        sources=list(sources),
        redis=_redis_facts(standing.memory, seen.findings),
        **_facts(standing),
        quarantined=[{**one._asdict(), "oldest": iso(one.oldest)} for one in seen.held],
        stale=[{**one._asdict(), "since": iso(one.since), "last": iso(one.last)} for one in seen.stale],
        expiring=[{**one._asdict(), "expires": iso(round(one.expires * 1000))} for one in seen.expiring],
    )
    for name, words in (
        ("sources", ", ".join(sources) or "unknown"),
        *_redis_lines(standing, seen.findings),
        *_lines(standing),
        *_held_lines(seen.held),
        *_stale_lines(seen.stale),
        *_expiring_lines(seen.expiring),
    ):
        out.tell(f"{name:<14} {plain(words, 1000).plain}")


class _Seen(NamedTuple):
    """All that is asked of Redis."""

    standing: Standing
    findings: list[str]
    expiring: list[Expiring]
    held: list[Held]
    stale: list[Stale]


def _table(settings: Settings, out: Output) -> RouteTable | None:
    """A file that cannot be used any more must not hide how things stand."""
    try:
        return open_table(settings)
    except ConfigInvalid:
        out.note(f"{settings.config} cannot be used now: `runrelay check` says why")
        return None


async def _ask(settings: Settings, sources: Mapping[str, Source], fresh: Mapping[str, Freshness]) -> _Seen:
    async with open_ledger(settings.redis_url, settings.namespace) as ledger:
        redis, keys = ledger.redis, ledger.keys
        standing = await look(redis, keys, MOST)
        return _Seen(
            standing,
            await findings(redis, settings.durability),
            await expiring(redis, keys, sources, MOST),
            await held(redis, keys, MOST),
            await stale(redis, keys, fresh, standing.at),
        )


def _redis_facts(memory: Memory | None, found: Sequence[str]) -> dict[str, Any]:
    """Bytes; null where Redis does not tell."""
    return {
        "used": memory.used if memory else None,
        "limit": memory.limit if memory else None,
        "findings": list(found),
    }


def _facts(standing: Standing) -> dict[str, Any]:
    """How things stand as JSON has it; ages in seconds."""
    return {
        "at": iso(standing.at),
        "open": standing.open,
        "looked_at": standing.looked,
        "states": standing.states,
        "oldest_event": _age(standing, standing.oldest_event),
        "oldest_deliveries": [
            {"route": place.route, "target": place.target, "age": _age(standing, birth)}
            for place, birth in standing.oldest.items()
        ],
        "paused": [hold_facts(one) for one in standing.paused],
        "dead": standing.dead,
        "dead_by_reason": [{**one._asdict(), "newest": iso(one.newest)} for one in standing.letters],
        "last_delivery": {route: iso(ended) for route, ended in standing.delivered.items()},
        "slots_wanted": standing.wanted,
        "workers": standing.workers,
    }


def _redis_lines(standing: Standing, found: Sequence[str]) -> Iterator[tuple[str, str]]:
    memory = standing.memory
    used = f"{memory.used / _MIB:,.0f} of {memory.limit / _MIB:,.0f} MiB used" if memory else "it does not tell its use"
    yield "redis", f"{used}; {'as durable as asked for' if not found else 'not as it should be: runrelay doctor'}"
    for sentence in found:
        yield "", sentence


def _lines(standing: Standing) -> Iterator[tuple[str, str]]:
    yield "workers", ", ".join(standing.workers) or "none has signed on lately: nothing is delivered"
    beyond = f" (of {standing.looked:,} looked at)" if standing.looked < standing.open else ""
    yield "open", f"{standing.open:,}; {standing.wanted:,} want a worker's slot now"
    for part, states in standing.states.items():
        yield f"  {part}", ", ".join(f"{count:,} {state}" for state, count in sorted(states.items())) + beyond
    if standing.oldest_event is not None:
        yield "oldest event", f"waits for {_since(standing, standing.oldest_event)}"
    for place, birth in sorted(standing.oldest.items(), key=lambda each: each[1]):
        yield "oldest", f"{'/'.join(place)} waits for {_since(standing, birth)}"
    for one in standing.paused:
        yield "failing" if one.why == "failing" else "paused", hold_words(one)
    yield from _dead_lines(standing)
    for route, ended in standing.delivered.items():
        yield "last delivery", f"{route}: {when_of(ended)}, {_since(standing, ended)} ago"


def _dead_lines(standing: Standing) -> Iterator[tuple[str, str]]:
    yield "dead", f"{standing.dead:,}"
    for one in standing.letters:
        yield "", f"{one.number:,} {one.reason}, the newest {when_of(one.newest)}: runrelay show {one.example[:12]}"


def _held_lines(found: Sequence[Held]) -> Iterator[tuple[str, str]]:
    for one in found:
        what = f"{one.route}: {one.count:,} {one.reason}, the oldest since {when_of(one.oldest)}"
        yield "quarantined", f"{what}: runrelay quarantine show {one.example[:12]}"


def _stale_lines(found: Sequence[Stale]) -> Iterator[tuple[str, str]]:
    for one in found:
        last = f"last delivery {when_of(one.last)}" if one.last else "no delivery yet"
        yield "stale", f"{one.route}: since {when_of(one.since)}, {one.wanted} is wanted, {last}"


def _expiring_lines(soon: Sequence[Expiring]) -> Iterator[tuple[str, str]]:
    """By route: how many deliveries lose the data they need within a day."""
    first: dict[str, Expiring] = {}
    for one in soon:
        first.setdefault(one.route, one)
    for route, number in Counter(one.route for one in soon).items():
        when, run_id = when_of(round(first[route].expires * 1000)), first[route].run_id
        yield (
            "expiring",
            f"{route}: the data of {number:,} not delivered, the first at {when} (run {run_id})",
        )


def _since(standing: Standing, ms: int) -> str:
    """`3 h`: to the largest unit it fills."""
    seconds = max(standing.at - ms, 0) // 1000
    size, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return f"{seconds // size} {unit}"


def _age(standing: Standing, birth: int | None) -> float | None:
    return None if birth is None else (standing.at - birth) / 1000
