"""`runrelay receiver`, `worker`: one process each."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import structlog
import typer

from config import logs
from config.queue import RunQueue
from config.reloading import RELOADED, Watch, hearing_hangups, watching
from config.routes import RouteTable
from config.settings import Settings
from console.cli.options import Config, Host, Json, example, port
from console.cli.output import Output
from console.collector import settle
from console.opening import open_settings, open_table

LOOPBACK = "127.0.0.1"
RECEIVER_PORT, WORKER_PORT, EMULATOR_PORT = 8080, 8082, 8090

log = structlog.get_logger("runrelay.console")


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("REDIS_URL=redis://127.0.0.1:6379/0 runrelay receiver --port 8080"))(receiver)
    app.command(epilog=example("REDIS_URL=redis://127.0.0.1:6379/0 runrelay worker"))(worker)


def receiver(
    config: Config = None,
    host: Host = LOOPBACK,
    port: Annotated[int, port("Port for webhooks.")] = RECEIVER_PORT,
    json: Json = False,
) -> None:
    """Take webhooks and commit them to the queue that REDIS_URL names."""
    from receiver.serve import run

    settings, table = _prepared(config)
    run(_receive(settings, table, host, port, Output(json)))


def worker(
    config: Config = None,
    host: Host = LOOPBACK,
    port: Annotated[int, port("Port for /healthz and /metrics.")] = WORKER_PORT,
    json: Json = False,
) -> None:
    """Fetch finished runs and deliver what they left, from the queue that REDIS_URL names."""
    from workers.worker import work

    settings, table = _prepared(config)
    asyncio.run(work(settings, table, host=host, port=port, ready=_ready(Output(json), "worker")))


def _prepared(config: Path | None) -> tuple[Settings, RouteTable]:
    """Nothing starts on a file with a mistake in it."""
    settings = open_settings(config)
    table = open_table(settings)
    logs.configure(settings.log_level, settings.log_format, table.secrets)
    for warning in table.warnings:
        log.warning("config.warned", problem=str(warning))
    return settings, table


async def _receive(settings: Settings, table: RouteTable, host: str, port: int, out: Output) -> None:
    from receiver.app import create_app
    from receiver.serve import serve

    def ready(url: str) -> None:
        _ready(out, "receiver")(url)
        for name in table.sources:
            log.info("receiver.listens", source=name, webhooks=f"{settings.public_url or url}/webhooks/{name}")

    sources, watch = dict(table.sources), Watch(table)

    def swap(newer: RouteTable) -> None:
        sources.clear()
        sources.update(newer.sources)

    async with RunQueue.connect(settings) as queue, watching(watch, swap):
        for finding in await queue.ready():
            log.warning("queue.not_ready", finding=finding)
        app = create_app(sources, queue, settings=settings)
        app.state.metrics.registry.register(RELOADED)
        with hearing_hangups(watch.ask):
            await serve(app, host, port, ready, proxies=settings.trusted_proxies, head_seconds=settings.receive_timeout)


def _ready(out: Output, part: str) -> Callable[[str], None]:
    def ready(url: str) -> None:
        settle()
        out.fact(event="ready", part=part, url=url)
        out.tell(f"{part} at {url}")

    return ready
