"""Real servers for tests: one Valkey for the whole run, emptied before each test that asks for it."""

from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest
from redis.asyncio import Redis

from config.settings import Settings, load_settings
from console.embedded import embedded_valkey

for contract in ("contract", "killed", "servers", "source_contract"):
    pytest.register_assert_rewrite(f"workers.testing.{contract}")
pytest_plugins = ["tests.matrix", "tests.servers"]

# Properties are about values, not about how busy the machine is.
hypothesis.settings.register_profile(
    "house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    with embedded_valkey() as url:
        yield url


@pytest.fixture
async def redis(valkey_server: str) -> AsyncIterator[Redis]:
    """A client of an empty server."""
    client = Redis.from_url(valkey_server)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def valkey_url(valkey_server: str, redis: Redis) -> str:
    """The URL of an empty server."""
    return valkey_server


@pytest.fixture
def settings(valkey_url: str, tmp_path: pytest.TempPathFactory) -> Settings:
    return load_settings(redis_url=valkey_url, spool_dir=tmp_path)
