"""Servers of the system's packages and of npm (`scripts/services.sh` installs them), for tests marked `services`.

Each runs in a fresh folder on free ports of 127.0.0.1, and can be stopped and started in the middle of a test.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from console.processes import bound_to_us
from console.servers.listening import free_port as free_port

#: Seconds a server may take to answer, and to stop.
START_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0


class Service:
    """One process that can be started again in the same folder, on the same ports.

    `ready`: whether it answers; asked again and again while it starts. `user`: whom it runs as; None: as we do.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        ready: Callable[[], bool],
        *,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.command, self.folder, self.ready = command, folder, ready
        self.user, self.environment = user, dict(environment or {})
        self.log = folder / "output.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers. It ends with the thread that called this: call it in the main one."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **self.environment},
                user=self.user,
                group=None if self.user is None else pwd.getpwnam(self.user).pw_gid,
                extra_groups=None if self.user is None else [],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=bound_to_us(signal.SIGKILL),  # noqa: PLW1509  # one prctl call, no locks
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise RuntimeError(f"{self.command[0]} did not start:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """It keeps its connections and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def running(self) -> Iterator[None]:
        """A throw-away server: nothing is lost when it is killed in the end."""
        self.start()
        try:
            yield
        finally:
            self.stop(signal.SIGKILL)


@contextmanager
def fresh_folder(owner: str | None = None) -> Iterator[Path]:
    """One with a short path, for sockets, that belongs to whom the server runs as."""
    folder = Path(tempfile.mkdtemp(prefix="rr-"))
    try:
        if owner is not None:
            shutil.chown(folder, owner)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def account(name: str) -> str | None:
    """The system account a server refuses to do without when it is started by root; None if we are not."""
    return name if os.geteuid() == 0 else None
