"""`runrelay up`: a whole installation in one terminal, for a laptop or a small server."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from config.reloading import hearing_hangups
from config.settings import Settings
from console.cli.options import Config, Host, Json, example, port
from console.cli.output import Output
from console.cli.serving import EMULATOR_PORT, LOOPBACK, RECEIVER_PORT, WORKER_PORT
from console.home import home_of, queue_at, queue_ended
from console.opening import open_settings, open_table
from console.processes import Crew
from console.signals import run
from workers.rehearsal import prove

#: Seconds a worker gets to bring its slices to a checkpoint.
PATIENCE = 130.0
#: Who reads runrelay.yaml anew on SIGHUP.
RELOADING = ("worker", "receiver")


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay up --config runrelay.yaml", "runrelay up --emulator"))(up)


def up(
    config: Config = None,
    host: Host = LOOPBACK,
    port: Annotated[int, port("Port for webhooks.")] = RECEIVER_PORT,
    worker_port: Annotated[int, typer.Option("--worker-port", min=0, max=65535, help="Of the worker.")] = WORKER_PORT,
    emulator: Annotated[bool, typer.Option("--emulator", help="A local Apify, too.")] = False,
    emulator_port: Annotated[
        int, typer.Option("--emulator-port", min=0, max=65535, help="Of the emulator.")
    ] = EMULATOR_PORT,
    json: Json = False,
) -> None:
    """Run a receiver and a worker on a queue server of their own, with your routes file, until Ctrl-C.

    What has to survive a restart lies in .runrelay beside the file. `runrelay runs` and the others find it there.
    """
    settings = open_settings(config)
    prove(open_table(settings))
    ports = {"emulator": emulator_port if emulator else None, "worker": worker_port, "receiver": port}
    with suppress(KeyboardInterrupt):  # that is how it ends
        run(_Up(settings, host, ports, Output(json)).perform())


class _Up:
    def __init__(self, settings: Settings, host: str, ports: dict[str, int | None], out: Output) -> None:
        self.settings, self.host, self.ports, self.out = settings, host, ports, out
        self.home = home_of(settings.config)

    async def perform(self) -> None:
        with queue_at(self.home) as redis_url:
            async with Crew(self._pass_on, patience=PATIENCE) as crew:
                env = self._environment(redis_url)
                urls = {"queue": redis_url}
                for part, number in self.ports.items():
                    if number is not None:
                        urls[part] = await crew.start(part, self._words(part, number), env=env)
                self._announce(urls)
                with hearing_hangups(lambda: crew.tell(RELOADING, signal.SIGHUP)):
                    await crew.together(queue_ended(self.home, redis_url))

    def _words(self, part: str, number: int) -> list[str]:
        host = self.host if part == "receiver" else LOOPBACK
        own = ["--data", str(self.home / "emulator")] if part == "emulator" else ["--config", str(self.settings.config)]
        return [part, "--host", host, "--port", str(number), *own]

    def _environment(self, redis_url: str) -> dict[str, str]:
        """What the children see: ours, and where things are."""
        spool = self.settings.spool_dir if "spool_dir" in self.settings.model_fields_set else self.home / "spool"
        style = {"RUNRELAY_LOG_FORMAT": "console"} if sys.stderr.isatty() and self.settings.log_format == "auto" else {}
        return {**os.environ, "REDIS_URL": redis_url, "RUNRELAY_SPOOL_DIR": str(Path(spool).absolute()), **style}

    def _announce(self, urls: dict[str, str]) -> None:
        self.out.fact(event="ready", url=urls["receiver"], **urls)
        for part, url in urls.items():
            self.out.tell(f"{part:<9} {url}")
        self.out.note("up until Ctrl-C; `runrelay runs` here shows what arrives")

    def _pass_on(self, part: str, line: str) -> None:
        sys.stderr.write(f"{part:<9}| {line}\n")
