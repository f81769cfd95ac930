"""What a 200 of the receiver is worth depends on how Redis is set up, and whether it can be given depends on how much
room it has. Both are looked at before the first webhook, and every few seconds from then on."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from config.settings import Durability

#: Seconds between two looks while webhooks come in, and seconds one may take.
EVERY = 5.0
LOOK_TIMEOUT = 2.0
#: Shares of `maxmemory` from which on we warn, and take nothing more: the rest is for the workers, who make room.
CROWDED, FULL = 0.7, 0.9

_WANTED = {
    "appendonly": ("yes", "acknowledged webhooks are lost when Redis dies; set `appendonly yes`"),
    "appendfsync": ("always", "the last second of webhooks is lost when the machine dies; set `appendfsync always`"),
    "maxmemory-policy": ("noeviction", "Redis would evict waiting work; set `maxmemory-policy noeviction`"),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How Redis stood at one look. All texts are sentences that name the cure.

    Attributes:
        policy: why a 200 would promise too much.
        refusals: why nothing can be taken, whatever was promised.
        warnings: what will become one of these.
        replicas: that are connected and in step.
    """

    policy: Sequence[str]
    refusals: Sequence[str]
    warnings: Sequence[str]
    replicas: int


async def look(redis: Redis, durability: Durability) -> Standing:
    """Raises redis.exceptions.RedisError or OSError when Redis cannot be asked."""
    replication, memory = await redis.info("replication"), await redis.info("memory")
    replicas = _replicas(replication)
    refusals = [*_role(replication), *_room(memory, FULL)]
    if durability == "replicated" and not replicas:
        refusals.append("no replica of Redis is connected, and RUNRELAY_DURABILITY=replicated waits for one; start it")
    policy = await _policy(redis) if durability == "strict" else []
    return Standing(policy, refusals, _room(memory, CROWDED), replicas)


async def findings(redis: Redis, durability: Durability) -> list[str]:
    """Why this Redis must not take webhooks. Empty: it may. Raises like `look`."""
    standing = await look(redis, durability)
    return [*standing.refusals, *standing.policy]


class Trust:
    """Whether webhooks may be given to this Redis. A policy that turns bad later is a warning: the door stays open.

    Attributes:
        replicas: of the last look.
        warnings: of the last look.
    """

    def __init__(self, redis: Redis, durability: Durability) -> None:
        self.redis, self.durability = redis, durability
        self.replicas = 0
        self.warnings: Sequence[str] = ()
        self._doubts: Sequence[str] = ()
        self._earned = False
        self._was_replicated = False
        self._again_at = 0.0
        self._looking: asyncio.Task[Sequence[str]] | None = None

    async def doubts(self) -> Sequence[str]:
        """Why not now, as far as known. Looks before the first webhook; later ones do not wait for a look."""
        if not self._earned:
            return await self.look()
        if asyncio.get_running_loop().time() >= self._again_at:
            self._begin()
        return self._doubts

    async def look(self) -> Sequence[str]:
        """Why not now. Whoever asks at the same time shares the look."""
        return await asyncio.shield(self._begin())

    def look_soon(self) -> None:
        """Something went wrong that the next look may explain."""
        self._again_at = 0.0

    def _begin(self) -> "asyncio.Task[Sequence[str]]":
        if self._looking is None or self._looking.done():
            self._again_at = asyncio.get_running_loop().time() + EVERY
            self._looking = asyncio.create_task(self._look())
        return self._looking

    async def _look(self) -> Sequence[str]:
        try:
            async with asyncio.timeout(LOOK_TIMEOUT):
                standing = await look(self.redis, self.durability)
        except (RedisError, OSError, TimeoutError) as exc:
            return [f"Redis does not answer ({type(exc).__name__}); check REDIS_URL and that it is running"]
        self._learn(standing)
        return self._doubts

    def _learn(self, standing: Standing) -> None:
        self._earned = self._earned or not (standing.policy or standing.refusals)
        self._was_replicated = self._was_replicated or standing.replicas > 0
        self.replicas = standing.replicas
        self._doubts = standing.refusals if self._earned else [*standing.refusals, *standing.policy]
        self.warnings = [*standing.warnings, *self._lost_replicas(), *(standing.policy if self._earned else ())]

    def _lost_replicas(self) -> list[str]:
        if self.durability != "strict" or self.replicas or not self._was_replicated:
            return []
        return ["no replica of Redis is connected any longer, webhooks are kept by one server alone; start one again"]


def _role(replication: Mapping[str, Any]) -> list[str]:
    role = replication.get("role")
    return [] if role == "master" else [f"Redis is a {role}, not a primary; point REDIS_URL at the primary"]


def _replicas(replication: Mapping[str, Any]) -> int:
    listed = [value for name, value in replication.items() if name.startswith("slave") and isinstance(value, dict)]
    return sum(replica.get("state") == "online" for replica in listed)


def _room(memory: Mapping[str, Any], share: float) -> list[str]:
    """Without `maxmemory` there is nothing to compare with."""
    used, limit = int(memory.get("used_memory", 0)), int(memory.get("maxmemory") or 0)
    if not limit or used < share * limit:
        return []
    told = f"Redis uses {used / limit:.0%} of its maxmemory, and at {FULL:.0%} no webhook is taken"
    return [f"{told}; raise maxmemory, or let more workers deliver what waits"]


async def _policy(redis: Redis) -> list[str]:
    try:
        config = await redis.config_get(*_WANTED)  # type: ignore[arg-type]  # redis-py annotates *args as lists
    except ResponseError:
        return [
            "Redis does not answer CONFIG GET, so its persistence cannot be checked; "
            "set RUNRELAY_DURABILITY=relaxed to trust whoever runs it, or =replicated to wait for a replica"
        ]
    return [
        f"{name} is {config.get(name, 'unknown')}: {cure}"
        for name, (wanted, cure) in _WANTED.items()
        if config.get(name) != wanted
    ]
