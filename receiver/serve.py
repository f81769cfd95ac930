"""Runs an ASGI application on a port until it is told to stop, and stops without dropping anybody."""

import asyncio
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import structlog
import uvicorn
from starlette.applications import Starlette
from uvicorn.loops.auto import auto_loop_factory

from receiver.limits import RECEIVE_SECONDS, Gate
from receiver.protocol import connections

log = structlog.get_logger()

#: seconds after which requests that will not end are cut off; above the receive deadline and the commit together
GRACE = 20

#: seconds an idle connection is kept; longer than common proxies do, so that they close first and lose no request
KEEP_ALIVE = 75

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(main: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run` on the loop that uvicorn would choose: uvloop where there is one."""
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(main)


async def serve(
    app: Starlette,
    host: str,
    port: int,
    ready: Callable[[str], None],
    *,
    stop: asyncio.Event | None = None,
    proxies: Sequence[str] = (),
    head_seconds: float = RECEIVE_SECONDS,
) -> None:
    """Serve until SIGTERM, SIGINT or `stop`, then let what is under way finish and return.

    Args:
        app: made by `create_app`.
        port: 0 picks a free one.
        ready: called once with the URL when requests are answered.
        stop: set it to end; given, signals are left to the caller.
        proxies: addresses whose X-Forwarded-For is believed.
        head_seconds: within which the headers of a request must have arrived.

    Raises OSError if the address cannot be bound.
    """
    listener = _listen(host, port)
    server = _Server(_config(app, proxies, head_seconds), app.state.gate)
    url = _url(host, listener)
    with closing(listener), _told_by(server, stop):
        log.info("receiver.started", url=url)
        await server.run_on(listener, lambda: ready(url))
    log.info("receiver.stopped", url=url)


class _Server(uvicorn.Server):
    """uvicorn, with our way of stopping: latecomers hear `draining` while those inside finish."""

    def __init__(self, config: uvicorn.Config, gate: Gate) -> None:
        super().__init__(config)
        self.gate = gate
        self.ready: Callable[[], None] = lambda: None

    async def run_on(self, listener: socket.socket, ready: Callable[[], None]) -> None:
        self.ready = ready
        await self.serve(sockets=[listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self.gate.empty.wait()
        await super().shutdown(sockets)

    def leave(self) -> None:
        """The first call drains; the second waits for nobody any longer."""
        if self.should_exit:
            self.force_exit = True
            self.gate.empty.set()
        self.should_exit = True
        self.gate.drain()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn would raise the signal again when it is done, and the process would not end with 0."""
        yield


def _config(app: Starlette, proxies: Sequence[str], head_seconds: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=connections(head_seconds, app.state.metrics),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's delay off only where it sees TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _url(host: str, listener: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"


@contextmanager
def _told_by(server: _Server, stop: asyncio.Event | None) -> Iterator[None]:
    """Ends the server when the event is set or, without one, when the process gets a signal."""
    loop = asyncio.get_running_loop()
    if stop is None:
        for each in STOP_SIGNALS:
            loop.add_signal_handler(each, server.leave)
        try:
            yield
        finally:
            for each in STOP_SIGNALS:
                loop.remove_signal_handler(each)
        return
    waiting = asyncio.create_task(_leave_on(stop, server))
    try:
        yield
    finally:
        waiting.cancel()


async def _leave_on(stop: asyncio.Event, server: _Server) -> None:
    await stop.wait()
    server.leave()
