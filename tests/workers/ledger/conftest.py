"""A ledger on a real, empty Valkey."""

import pytest
from redis.asyncio import Redis

from tests.workers.ledger.books import Books


@pytest.fixture
def books(redis: Redis) -> Books:
    return Books(redis)
