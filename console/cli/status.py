"""`runrelay status`: how things stand, on one screen."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from config.contracts.errors import ConfigInvalid
from config.durability import findings
from config.settings import Settings
from console.cli.ledger import when_of
from console.cli.options import Config, Json, example
from console.cli.output import Output, plain
from console.opening import nearby, open_ledger, open_settings, open_table
from console.signals import run
from workers.ledger.holds import Hold
from workers.ledger.standing import Memory, Standing, look

#: Records looked at from each end of a list: somebody waits for the answer.
MOST = 5000
_MIB = 1024 * 1024
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay status", "runrelay status --json"))(status)


def status(config: Config = None, json: Json = False) -> None:
    """Show how things stand: what waits and for how long, what is paused, what died and why, and who works.

    Of more than 10,000 open records, or 5,000 dead letters, only so many are looked at, and it says so.
    """
    settings, out = nearby(open_settings(config)), Output(json)
    sources = _sources(settings, out)
    standing, found = run(_ask(settings))
    out.fact(sources=sources, redis=_redis_facts(standing.memory, found), **_facts(standing))
    for name, words in (
        ("sources", ", ".join(sources) or "unknown"),
        *_redis_lines(standing, found),
        *_lines(standing),
    ):
        out.tell(f"{name:<14} {plain(words, 1000).plain}")


def _sources(settings: Settings, out: Output) -> list[str]:
    """A file that cannot be used any more must not hide how things stand."""
    try:
        return list(open_table(settings).sources)
    except ConfigInvalid:
        out.note(f"{settings.config} cannot be used now: `runrelay check` says why")
        return []


async def _ask(settings: Settings) -> tuple[Standing, list[str]]:
    async with open_ledger(settings.redis_url, settings.namespace) as ledger:
        return await look(ledger.redis, ledger.keys, MOST), await findings(ledger.redis, settings.durability)


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
        "at": _iso(standing.at),
        "open": standing.open,
        "looked_at": standing.looked,
        "states": standing.states,
        "oldest_event": _age(standing, standing.oldest_event),
        "oldest_deliveries": [
            {"route": place.route, "target": place.target, "age": _age(standing, birth)}
            for place, birth in standing.oldest.items()
        ],
        "paused": [_hold_facts(one) for one in standing.paused],
        "dead": standing.dead,
        "dead_by_reason": [{**one._asdict(), "newest": _iso(one.newest)} for one in standing.letters],
        "last_delivery": {route: _iso(ended) for route, ended in standing.delivered.items()},
        "slots_wanted": standing.wanted,
        "workers": standing.workers,
    }


def _hold_facts(hold: Hold) -> dict[str, Any]:
    """Moments are null where there is none."""
    moments = {name: _iso(ms) if (ms := getattr(hold, name)) else None for name in ("since", "until")}
    return {**hold._asdict(), **moments}


def _hold_words(hold: Hold) -> str:
    """What is held, why, what waits for it, and what comes next."""
    waiting = f"{hold.waiting:,} wait" if hold.waiting != 1 else "1 waits"
    if hold.why == "held":
        end = f"until {when_of(hold.until)}" if hold.until else f"until `runrelay resume {hold.kind} {hold.name}`"
        return f"{hold.kind} {hold.name}: held by hand {end}, {waiting}"
    said = f": {hold.detail}" if hold.detail else ""
    return f"{hold.kind} {hold.name}: {hold.reason} since {when_of(hold.since)}, {waiting}{said}"


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
        yield "failing" if one.why == "failing" else "paused", _hold_words(one)
    yield from _dead_lines(standing)
    for route, ended in standing.delivered.items():
        yield "last delivery", f"{route}: {when_of(ended)}, {_since(standing, ended)} ago"


def _dead_lines(standing: Standing) -> Iterator[tuple[str, str]]:
    yield "dead", f"{standing.dead:,}"
    for one in standing.letters:
        yield "", f"{one.number:,} {one.reason}, the newest {when_of(one.newest)}: runrelay show {one.example[:12]}"


def _since(standing: Standing, ms: int) -> str:
    """`3 h`: to the largest unit it fills."""
    seconds = max(standing.at - ms, 0) // 1000
    size, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return f"{seconds // size} {unit}"


def _age(standing: Standing, birth: int | None) -> float | None:
    return None if birth is None else (standing.at - birth) / 1000


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
