"""The receivers of docs/how-to/deliver-over-http.md, as they stand there."""

import asyncio
import json
import os
import re
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from config.contracts.errors import Unauthorized
from tests.workers.sinks.far_server import closed_port, opened, refused
from workers.sinks import http
from workers.testing.contract import ALL, THREE, send
from workers.testing.shipments import batches, shipment

PAGE = Path(__file__).parents[3] / "docs/how-to/deliver-over-http.md"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"


def program(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


@asynccontextmanager
async def running(*command: str, folder: Path) -> AsyncIterator[str]:
    """The URL of a receiver in a process of its own; what it prints is in `out` of the folder."""
    port = closed_port()
    env = {"PATH": os.environ["PATH"], "CRM_SECRET": SECRET, "PORT": str(port)}
    with (folder / "out").open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, cwd=folder, env=env, stdout=out)
    try:
        await listening(port)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        await process.wait()


async def listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def deliver(url: str, folder: Path) -> None:
    """Everything twice, while a secret is replaced; then somebody who has none of the secrets."""
    for _ in range(2):
        async with opened(url, folder, sign=["the next one", SECRET]) as sink:
            await send(sink, shipment(http.Target()), batches(*THREE))
    error = await refused(lambda: opened(url, folder, sign="another one"))
    assert type(error) is Unauthorized


async def test_the_one_in_python_takes_everything_once(tmp_path: Path) -> None:
    async with running(sys.executable, "-c", program("python"), folder=tmp_path) as url:
        await deliver(url, tmp_path)
    with sqlite3.connect(tmp_path / "leads.db") as db:
        found = [json.loads(item) for (item,) in db.execute("SELECT item FROM leads")]
    assert found == [json.loads(item) for item in ALL]


@pytest.mark.services
async def test_the_one_in_node_takes_everything_once(tmp_path: Path) -> None:
    (tmp_path / "receiver.mjs").write_text(program("js"))
    async with running("node", "receiver.mjs", folder=tmp_path) as url:
        await deliver(url, tmp_path)
    assert re.findall(r"n: (\d)", (tmp_path / "out").read_text()) == ["1", "2", "3", "4", "5"]
