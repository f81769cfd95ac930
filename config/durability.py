"""What a 200 of the receiver is worth depends on how Redis is set up. These checks say so before the first webhook."""

from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from config.settings import Durability

_WANTED = {
    "appendonly": ("yes", "acknowledged webhooks are lost when Redis dies; set `appendonly yes`"),
    "appendfsync": ("always", "the last second of webhooks is lost when the machine dies; set `appendfsync always`"),
    "maxmemory-policy": ("noeviction", "Redis would evict waiting work; set `maxmemory-policy noeviction`"),
}


async def findings(redis: Redis, durability: Durability) -> list[str]:
    """Why this Redis must not take webhooks: sentences that name the cure. Empty: it may.

    Raises redis.exceptions.RedisError or OSError when Redis cannot be asked.
    """
    role = (await redis.info("replication")).get("role")
    found = [] if role == "master" else [f"Redis is a {role}, not a primary; point REDIS_URL at the primary"]
    if durability != "strict":
        return found
    try:
        config = await redis.config_get(*_WANTED)  # type: ignore[arg-type]  # redis-py annotates *args as lists
    except ResponseError:
        return [
            *found,
            "Redis does not answer CONFIG GET, so its persistence cannot be checked; "
            "set RUNRELAY_DURABILITY=relaxed to trust whoever runs it",
        ]
    return found + _policy(config)


def _policy(config: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} is {config.get(name, 'unknown')}: {cure}"
        for name, (wanted, cure) in _WANTED.items()
        if config.get(name) != wanted
    ]
