"""Fixtures of real servers that come as wheels: each is started once for a test session."""

from collections.abc import Iterator

import pytest

from console.servers.listening import ListeningServer
from console.servers.nats import embedded_nats
from console.servers.postgres import PostgresServer, embedded_postgres
from console.servers.seaweedfs import SeaweedServer, embedded_seaweedfs


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with embedded_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[SeaweedServer]:
    """Its identities: one that may do everything; `writer` makes no buckets, `reader` and `blind` miss one right."""
    others = {"writer": ("Read", "Write", "List"), "reader": ("Read", "List"), "blind": ("Write",)}
    with embedded_seaweedfs(others) as server:
        yield server


#: Who may do what on `nats_server`; everybody's password is `good`.
_NATS_USERS = """
accounts {
  main { jetstream: enabled, users: [
    {user: relay, password: good}
    {user: reader, password: good, permissions: {publish: ["_INBOX.>", "$JS.API.>"]}}
    {user: blind, password: good, permissions: {publish: ["shop.>"]}}
    {user: deaf, password: good, permissions: {subscribe: ["shop.>"]}}
  ] }
  bare { users: [ {user: without, password: good} ] }
}
no_auth_user: relay
"""


@pytest.fixture(scope="session")
def nats_server() -> Iterator[ListeningServer]:
    with embedded_nats(_NATS_USERS) as server:
        yield server
