"""Opens what a command needs: settings, routes, the ledger. A `.env` beside the routes file is read like one beside
them: for variables the environment does not have."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis

from config import logs
from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from config.keys import Keys
from config.routes import RouteTable, load
from config.settings import Settings, load_settings
from console.home import address_in, home_of
from workers.ledger.ledger import Ledger


def open_settings(config: Path | None = None) -> Settings:
    """Raises ConfigInvalid."""
    file = load_settings(config=config).config.parent / ".env"
    try:
        return load_settings(config=config, _env_file=file)
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigInvalid([Problem(f"the file cannot be read: {exc}", str(file))]) from None


def open_table(settings: Settings) -> RouteTable:
    """The routes; from now on its secrets are masked wherever something is printed. Raises ConfigInvalid."""
    table = load(settings.config)
    logs.add_secret(*table.secrets)
    return table


def nearby(settings: Settings) -> Settings:
    """The same settings, looking at the queue server of an `up` that runs beside the routes file if no REDIS_URL says
    otherwise."""
    said = "redis_url" in settings.model_fields_set
    url = None if said else address_in(home_of(settings.config))
    return settings.model_copy(update={"redis_url": url}) if url else settings


@asynccontextmanager
async def open_ledger(redis_url: str, namespace: str) -> AsyncIterator[Ledger]:
    """The ledger, for looking at."""
    redis = Redis.from_url(redis_url, socket_connect_timeout=5, socket_timeout=10)
    try:
        yield Ledger(redis, Keys(namespace))
    finally:
        await redis.aclose()
