"""RabbitMQ of the package `rabbitmq-server`, with a port mapper (epmd) of its own.

https://www.rabbitmq.com/docs/configure and https://www.rabbitmq.com/docs/networking tell the settings.
"""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services import Service, account, free_port, fresh_folder, listens

#: Largest message it takes, so that one that is too large need not be enormous.
MAX_MESSAGE = 16 * 1024**2


@dataclass
class Broker:
    """`environment` is what its own commands need to find it."""

    port: int
    service: Service
    environment: dict[str, str]

    def url(self, user: str = "guest", password: str = "guest", vhost: str = "") -> str:
        return f"amqp://{user}:{password}@127.0.0.1:{self.port}/{vhost}"

    def control(self, *words: str) -> str:
        """`rabbitmqctl` with these words."""
        done = subprocess.run(
            [_program("rabbitmqctl"), "-q", *words],
            env={**self.service.environment, "PATH": "/usr/sbin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            user=self.service.user,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout


@contextmanager
def rabbitmq() -> Iterator[Broker]:
    user = account("rabbitmq")
    with fresh_folder(user) as folder:
        port, between, mapper = free_port(), free_port(), free_port()
        environment = _environment(folder, between, mapper)
        _configure(folder, port)
        names = Service(
            ["epmd", "-address", "127.0.0.1", "-port", str(mapper)], folder, lambda: listens(mapper), user=user
        )
        broker = Service(
            [_program("rabbitmq-server")], folder, lambda: _answers(port), user=user, environment=environment
        )
        with names.running(), broker.running():
            yield Broker(port, broker, environment)


def _environment(folder: Path, between: int, mapper: int) -> dict[str, str]:
    return {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"t{mapper}@localhost",
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_DIST_PORT": str(between),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(mapper),
        "RUNNING_UNDER_SYSTEMD": "true",  # the server takes the place of its script, so that we have its pid
    }


def _configure(folder: Path, port: int) -> None:
    settings = {
        "listeners.tcp.default": f"127.0.0.1:{port}",
        "distribution.listener.interface": "127.0.0.1",
        "max_message_size": str(MAX_MESSAGE),
        "disk_free_limit.absolute": "1MB",
        "vm_memory_high_watermark.absolute": "2GB",
    }
    text = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (folder / "rabbitmq.conf").write_text(text)
    (folder / "plugins").write_text("[].\n")


def _answers(port: int) -> bool:
    """Whether it speaks: it listens a little earlier, and stays silent."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as one:
            one.sendall(b"AMQP\0\0\x09\x01")
            return one.recv(1) == b"\x01"
    except OSError:
        return False


def _program(name: str) -> str:
    """The one behind the package's wrapper, which would switch users by itself."""
    return str(next(Path("/usr/lib/rabbitmq/lib").glob(f"rabbitmq_server-*/sbin/{name}")))
