"""Mosquitto of the package `mosquitto`, with users and rights: mosquitto.org/man/mosquitto-conf-5.html."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services import Service, free_port, fresh_folder, listens

#: The users, and what each may do. `reader` may publish nothing.
USER, READER, PASSWORD = "writer", "reader", "a-right-password"
#: Largest packet it takes.
MAX_PACKET = 16 * 1024**2
_RIGHTS = f"""
user {USER}
topic readwrite #
user {READER}
topic read #
"""


@dataclass
class Broker:
    port: int
    service: Service


@contextmanager
def mosquitto() -> Iterator[Broker]:
    with fresh_folder() as folder:
        port = free_port()
        _configure(folder, port)
        service = Service(["/usr/sbin/mosquitto", "-c", str(folder / "m.conf")], folder, lambda: listens(port))
        with service.running():
            yield Broker(port, service)


def _configure(folder: Path, port: int) -> None:
    passwords, rights = folder / "passwords", folder / "rights"
    passwords.touch(0o600)
    for name in (USER, READER):
        subprocess.run(["mosquitto_passwd", "-b", str(passwords), name, PASSWORD], check=True, capture_output=True)
    rights.write_text(_RIGHTS)
    lines = [
        *("user root", f"listener {port} 127.0.0.1", "allow_anonymous false"),
        *(f"password_file {passwords}", f"acl_file {rights}", f"max_packet_size {MAX_PACKET}"),
        *("max_queued_messages 0", "max_inflight_messages 0"),
    ]
    (folder / "m.conf").write_text("\n".join(lines) + "\n")
