"""The folder `.runrelay` beside a routes file: what `runrelay up` keeps between two starts."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from console.embedded import embedded_valkey
from console.failures import CommandFailed

NAME = ".runrelay"
_ADDRESS = "redis.url"


def home_of(config: Path) -> Path:
    return config.absolute().parent / NAME


def address_in(home: Path) -> str | None:
    """The queue server of an `up` that runs here; None without one."""
    try:
        url = (home / _ADDRESS).read_text().strip()
    except OSError:
        return None
    return url if Path(url.removeprefix("unix://")).exists() else None


@contextmanager
def queue_at(home: Path) -> Iterator[str]:
    """Run the queue server on the data kept here; yields its URL. Raises CommandFailed if somebody else does."""
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitignore").write_text("*\n")
    with _alone(home), embedded_valkey(home / "queue") as url:
        (home / _ADDRESS).write_text(url + "\n")
        try:
            yield url
        finally:
            (home / _ADDRESS).unlink(missing_ok=True)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Two servers on one folder would ruin its data."""
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise CommandFailed("already_up", f"another `runrelay up` works in {home}: stop it first") from None
    finally:
        os.close(lock)
