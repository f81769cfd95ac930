"""Serving the emulator over HTTP."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import replace

import uvicorn
from starlette.applications import Starlette

from emulator.app import create_app
from emulator.neighbours import is_loopback
from emulator.settings import EmulatorError, EmulatorSettings

_GOODBYE_SECONDS = 1  # long polls and followed logs are cut off after this


class _Server(uvicorn.Server):
    """Starts and stops the emulator itself.

    Left to uvicorn, an error at the start would end the process, and a signal would end it before Actors are ended.
    """

    def __init__(self, config: uvicorn.Config, app: Starlette, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._lives, self._lifespan = app.state.platform.lives, app.router.lifespan_context(app)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self._lifespan.__aenter__()
        await super().startup(sockets=sockets)
        self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._lives.close()  # who waits for a run, or follows its log, is answered before the goodbye
        await super().shutdown(sockets=sockets)
        await self._lifespan.__aexit__(None, None, None)


async def serve(
    settings: EmulatorSettings,
    host: str = "127.0.0.1",
    port: int = 8090,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until cancelled or until uvicorn sees a signal; running Actors are ended first.

    Args:
        port: 0 picks a free one.
        ready: told the base URL, such as `http://127.0.0.1:43210`, once requests are taken.
    Raises: EmulatorError if the address is not loopback and no token is set, cannot be bound, or an Actor is broken.
    """
    if not settings.token and not is_loopback(host):
        raise EmulatorError(f"--host {host} can be reached by others: set --token, or use 127.0.0.1.")
    with contextlib.closing(_bind(host, port)) as listener:
        port = listener.getsockname()[1]
        base_url = f"http://{_reachable(host)}:{port}"
        app = create_app(replace(settings, base_url=base_url))
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GOODBYE_SECONDS,
        )
        server = _Server(config, app, lambda: ready(base_url) if ready else None)
        await _until_cancelled(server, listener)


async def _until_cancelled(server: uvicorn.Server, listener: socket.socket) -> None:
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        server.should_exit = True
        await task
        raise


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's delay off only where it sees TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        return listener
    except OSError as error:
        listener.close()
        raise EmulatorError(f"The emulator cannot listen on {host}:{port}: {error.strerror}.") from error


def _reachable(host: str) -> str:
    """The host as our own Actors can reach it, ready for a URL."""
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"[{own}]" if ":" in own else own
