"""Azurite of npm, a server that speaks as Azure's blobs do
(learn.microsoft.com/azure/storage/common/storage-use-azurite).

Its program is `azurite-blob` on PATH, what `AZURITE` names, or where `npm install -g azurite` puts it.
"""

import base64
import hashlib
import hmac
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from http.client import HTTPConnection
from pathlib import Path

from tests.services import Service, free_port, fresh_folder, listens

#: The account that everybody's Azurite has.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION = "2021-08-06"
#: What is signed first: the method, and eleven headers that are not sent.
_START = "PUT" + "\n" * 12


@dataclass
class Azurite:
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    def make(self, container: str) -> None:
        """An empty container: learn.microsoft.com/rest/api/storageservices/create-container."""
        date = formatdate(usegmt=True)
        told = f"x-ms-date:{date}\nx-ms-version:{_VERSION}\n/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
        signed = hmac.new(base64.b64decode(KEY), (_START + told).encode(), hashlib.sha256).digest()
        headers = {
            "x-ms-date": date,
            "x-ms-version": _VERSION,
            "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(signed).decode()}",
            "Content-Length": "0",
        }
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("PUT", f"/{ACCOUNT}/{container}?restype=container", headers=headers)
        assert connection.getresponse().status == 201
        connection.close()


@contextmanager
def azurite() -> Iterator[Azurite]:
    with fresh_folder() as folder:
        port = free_port()
        place = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence"]
        command = [_program(), *place, "--disableTelemetry", "--skipApiVersionCheck", "--silent"]
        with Service(command, folder, lambda: listens(port)).running():
            yield Azurite(port)


def _program() -> str:
    if found := os.environ.get("AZURITE") or shutil.which("azurite-blob"):
        return found
    npm = shutil.which("npm")
    root = subprocess.run([npm, "root", "-g"], check=True, capture_output=True, text=True).stdout if npm else ""
    program = Path(root.strip()).parent.parent / "bin" / "azurite-blob"
    if root and program.exists():
        return str(program)
    raise RuntimeError("azurite-blob is not installed: npm install -g azurite, or name it in AZURITE")
