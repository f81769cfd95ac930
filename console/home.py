"""The folder `.runrelay` beside a routes file: what `runrelay up` keeps between two starts."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

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


async def queue_ended(home: Path, url: str) -> NoReturn:
    """Waits on a connection of its own until the queue server here is gone. Raises CommandFailed then."""
    reader, writer = await asyncio.open_unix_connection(url.removeprefix("unix://"))
    try:
        with suppress(ConnectionError):
            await reader.read()
    finally:
        writer.close()
    log = home / "queue" / "valkey.log"
    raise CommandFailed(
        "process_died", f"the queue server ended, see {log}; start `runrelay up` again: what was accepted is kept"
    )


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
