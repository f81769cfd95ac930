"""What is done in which tier, and how often each fault has to have happened."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.faults import cuts, kills, power, pressure, refusals
from tests.faults.failpoints import STEPS, WHENS
from tests.faults.pressure import Pressure
from tests.faults.rig import Rig

Phase = Callable[[Rig], Awaitable[None]]
PHASES = ("pressure", "kills", "cuts", "refusals", "power")


@dataclass(frozen=True)
class Tier:
    """The numbers of one tier. `rate`: webhooks a second while something is broken; `cuts`: of each round trip."""

    kills: kills.Numbers
    pressure: Pressure
    rate: float
    cuts: int
    refusals: int
    power: int


QUICK = Tier(
    kills=kills.Numbers(
        seconds=200, rate=20, workers=200, receivers=100, valkeys=20, sinks=14, upstream=5, large=2, rounds=1
    ),
    pressure=Pressure(rate=200, seconds=10, burst=2000, burst_seconds=3, copies=2),
    rate=20,
    cuts=25,
    refusals=1,
    power=1,
)
LONG = Tier(
    kills=kills.Numbers(
        seconds=2000, rate=20, workers=2000, receivers=1000, valkeys=200, sinks=140, upstream=100, large=20, rounds=20
    ),
    pressure=Pressure(rate=200, seconds=60, burst=2000, burst_seconds=10, copies=1),
    rate=20,
    cuts=100,
    refusals=10,
    power=100,
)


@dataclass(frozen=True)
class Plan:
    """`wanted`: fault → how often it must happen at least."""

    phases: Sequence[tuple[str, Phase]]
    wanted: dict[str, int]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.phases]


def plan(*, long: bool, only: Sequence[str] | None) -> Plan:
    tier = LONG if long else QUICK
    phases: dict[str, tuple[Phase, dict[str, int]]] = {
        "pressure": (partial(pressure.play, pressure=tier.pressure), {}),
        "kills": (partial(kills.play, numbers=tier.kills), _killed(tier.kills)),
        "cuts": (partial(cuts.play, rate=tier.rate, each=tier.cuts), {f"cut:{kind}": tier.cuts for kind in cuts.KINDS}),
        "refusals": (
            partial(refusals.play, rate=tier.rate, rounds=tier.refusals),
            {f"refuse.{kind}": tier.refusals for kind in refusals.REFUSALS},
        ),
        "power": (partial(power.play, times=tier.power), {"power": tier.power}),
    }
    chosen = [name for name in PHASES if not only or name in only]
    wanted = {kind: number for name in chosen for kind, number in phases[name][1].items()}
    return Plan([(name, phases[name][0]) for name in chosen], wanted)


def _killed(numbers: kills.Numbers) -> dict[str, int]:
    points = {f"{when}:{step}": numbers.rounds for step in STEPS for when in WHENS[step]}
    upstream = {f"upstream.{name}": numbers.upstream for name in kills.UPSTREAM}
    return {**points, **upstream, "worker.kill": 1, "worker.term": 1, "valkey.kill": numbers.valkeys}
