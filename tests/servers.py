"""Fixtures of real servers that come as wheels: each is started once for a test session."""

from collections.abc import Iterator

import pytest

from console.servers.postgres import PostgresServer, embedded_postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with embedded_postgres() as server:
        yield server
