"""Runs `python -m pydoc` as a server on loopback, for as long as somebody needs it."""

import asyncio
import ctypes
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from .failures import DocServerFailed

START_TIMEOUT = 30.0  # seconds until the server has to have printed its URL
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")
PR_SET_PDEATHSIG = 1  # prctl(2)


@asynccontextmanager
async def doc_server(folder: Path) -> AsyncIterator[str]:
    """A documentation server of this Python; gives its URL, such as `http://127.0.0.1:40123/`.

    `folder` should be empty: pydoc makes it importable and imports what it documents.
    Raises: DocServerFailed if the server does not come up.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", "pydoc", "-n", "127.0.0.1", "-p", "0"),
        cwd=folder,
        env=_environment(folder),
        stdin=asyncio.subprocess.PIPE,  # stays open and silent: at its end the server stops by itself
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=_die_with_parent(),
    )
    try:
        assert process.stdout is not None
        url = await _announced_url(process.stdout)
        draining = asyncio.create_task(_drain(process.stdout))
        try:
            yield url
        finally:
            draining.cancel()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of the run's own: pydoc's page about `os` prints the environment, and would print the token.

    `BROWSER` is for `antigravity`, which opens a web page when it is imported; no display means no windows.
    """
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**kept, "HOME": str(folder), "BROWSER": "true"}


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel ends the server with the Actor, even if the Actor is killed."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


async def _announced_url(output: asyncio.StreamReader) -> str:
    last_line = "it printed nothing"
    with suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT):
            async for line in output:
                last_line = line.decode(errors="replace").strip() or last_line
                if announced := re.search(r"http://127\.0\.0\.1:\d+/", last_line):
                    return announced.group()
    raise DocServerFailed(f"the documentation server did not start: {last_line}")


async def _drain(output: asyncio.StreamReader) -> None:
    """Throws away what imported modules print; a full pipe would stop the server."""
    while await output.read(65536):
        pass
