"""What there is to tell somebody who was told so much already. Names, ids, reasons and counts only: what a far side
answered may hold what we sent there."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from redis.asyncio import Redis

from config.contracts.alert import AlertKind, Matter
from config.keys import Keys
from config.routes import RouteTable
from workers.ledger.expiring import Expiring, expiring
from workers.ledger.freshness import Stale, stale, wanted
from workers.ledger.holds import Hold, Why
from workers.ledger.ledger import Ledger
from workers.ledger.signs import Loss, Missed, Toll, died, held_back, misread, missed
from workers.ledger.standing import Standing, look

#: What somebody was told: of what lasts, each thing by its name; of what is counted, how far.
Told = dict[str, int]

_WHY: Mapping[Why, str] = {
    "held": "is held by hand",
    "refused": "refuses our credentials",
    "failing": "fails again and again",
}
#: The holds that are told of under each kind.
_HOLDS: Mapping[AlertKind, tuple[Why, ...]] = {"paused": ("held", "refused"), "failing": ("failing",)}
#: The one name under which it is kept up to when (ms) somebody knows of what died, or of what is in quarantine.
_UNTIL = "until"


class News(NamedTuple):
    """Attributes: how many things are new, what they are, what has ended, and what is told once this is."""

    number: int
    about: Sequence[Matter]
    over: Sequence[str]
    told: Told


class Outlook(NamedTuple):
    """How things stand at one moment."""

    ledger: Ledger
    standing: Standing
    expiring: Sequence[Expiring]
    missed: Mapping[str, Missed]
    problems: Sequence[str]
    stale: Sequence[Stale]

    async def news(self, kind: AlertKind, told: Told) -> News:
        """Raises RedisError, OSError."""
        match kind:
            case "dead_letter":
                return await self._toll(died, told)
            case "quarantined":
                return await self._toll(held_back, told)
            case "webhook_missed":
                return self._missed(told)
            case "expiring":
                return self._expiring(told)
            case _:
                return _changes(self._lasting(kind), told)

    def _lasting(self, kind: AlertKind) -> dict[str, Matter]:
        if kind == "reload_failed":
            return {problem: Matter(subject=problem) for problem in self.problems}
        if kind == "stale":
            return dict(_late(one) for one in self.stale)
        return dict(_hold(one) for one in self.standing.paused if one.why in _HOLDS.get(kind, ()))

    async def _toll(self, ask: Callable[[Redis, Keys, int, int], Awaitable[Toll]], told: Told) -> News:
        now = self.standing.at
        toll = await ask(self.ledger.redis, self.ledger.keys, told.get(_UNTIL, 0), now)
        groups = sorted(toll.groups.items(), key=lambda each: -each[1])
        about = [_loss(one, number, toll.examples[one]) for one, number in groups]
        return News(toll.number, about, [], {_UNTIL: now - 1})

    def _missed(self, told: Told) -> News:
        more = {name: one.number - told.get(name, 0) for name, one in self.missed.items()}
        about = [
            Matter(
                subject=f"{_runs(number)} of {name} ended, and no webhook said so",
                source=name,
                count=number,
                example=self.missed[name].example,
            )
            for name, number in more.items()
            if number > 0
        ]
        return News(sum(one.count for one in about), about, [], {name: one.number for name, one in self.missed.items()})

    def _expiring(self, told: Told) -> News:
        """Nobody is told that it is over: either it was delivered, or it is too late."""
        new = [one for one in self.expiring if one.id not in told]
        routes = dict.fromkeys(one.route for one in new)
        about = [_perishing(route, [one for one in new if one.route == route]) for route in routes]
        return News(len(new), about, [], {one.id: 0 for one in self.expiring})


async def outlook(ledger: Ledger, table: RouteTable) -> Outlook:
    """Ten round trips. Raises RedisError, OSError."""
    redis, keys = ledger.redis, ledger.keys
    standing = await look(redis, keys)
    return Outlook(
        ledger,
        standing,
        await expiring(redis, keys, table.sources),
        await missed(redis, keys),
        await misread(redis, keys, standing.at),
        await stale(redis, keys, wanted(table), standing.at),
    )


def _changes(matters: Mapping[str, Matter], told: Told) -> News:
    """Of what begins and ends."""
    about = [matter for name, matter in matters.items() if name not in told]
    return News(len(about), about, [name for name in told if name not in matters], dict.fromkeys(matters, 0))


def _hold(one: Hold) -> tuple[str, Matter]:
    name = f"{one.kind} {one.name} {_WHY[one.why]}"
    words = [
        name,
        f"since {iso(one.since)}" if one.since else "",
        f"until {iso(one.until)}" if one.why == "held" and one.until else "",
        "1 waits" if one.waiting == 1 else f"{one.waiting} wait",
    ]
    route, _, target = one.name.partition("/") if one.kind == "target" else ("", "", "")
    return name, Matter(
        subject=", ".join(filter(None, words)),
        source=one.name if one.kind == "source" else "",
        route=route,
        target=target,
        reason=one.reason,
        count=one.waiting,
        since=iso(one.since) if one.since else "",
        until=iso(one.until) if one.why == "held" and one.until else "",
    )


def _late(one: Stale) -> tuple[str, Matter]:
    name = f"route {one.route} is stale"
    last = f"last delivery {iso(one.last)}" if one.last else "no delivery since that is wanted"
    since = iso(one.since)
    return name, Matter(subject=f"{name} since {since}: {one.wanted} is wanted, {last}", route=one.route, since=since)


def _loss(one: Loss, number: int, example: str) -> Matter:
    where = f"at {one.route}/{one.target}" if one.target else f"of {one.source}"
    return Matter(
        subject=f"{number} × {one.reason} {where}",
        source=one.source,
        route=one.route,
        target=one.target,
        reason=one.reason,
        count=number,
        example=example,
    )


def _perishing(route: str, ones: Sequence[Expiring]) -> Matter:
    soonest = min(ones)
    gone = iso(soonest.expires * 1000)
    count = "1 delivery" if len(ones) == 1 else f"{len(ones)} deliveries"
    held = sum(one.held for one in ones)
    kept = f", {held} in quarantine" if held else ""
    return Matter(
        subject=f"{count} of {route} not done{kept}; the first data may be deleted from {gone} on",
        route=route,
        target=soonest.target,
        count=len(ones),
        example=soonest.id,
        until=gone,
    )


def _runs(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"


def iso(ms: float) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")
