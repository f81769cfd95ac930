"""`runrelay emulator`: a local Apify, as a server or for a single run."""

import asyncio
import json as jsons
import signal
import tempfile
from collections.abc import Coroutine, Mapping
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

from config import logs
from console.cli.options import Host, Json, example, port
from console.cli.output import Output, plain
from console.cli.serving import EMULATOR_PORT, LOOPBACK
from console.failures import CommandFailed
from console.opening import open_settings
from console.signals import run as run_until_told
from console.starting import body_of

if TYPE_CHECKING:
    from emulator.rehearsal import Outcome
    from emulator.settings import DispatchCall, EmulatorSettings

DATA = Path("emulator-data")
_SHOWN_ANSWER = 200
_MISSING = "the emulator needs more than is installed: install `runrelay[emulator]`"

log = structlog.get_logger("runrelay.console")

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help=f"Folder for everything it keeps; ./{DATA} unless given; with --run nothing stays unless given.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="RUNRELAY_EMULATOR_TOKEN",
        show_envvar=True,
        help="The only token it accepts; any unless given.",
    ),
]
Actors = Annotated[
    list[Path] | None,
    typer.Option("--actors", help="A folder of Actors, one a folder, or an Actor's own folder. Repeatable."),
]
ClockFactor = Annotated[
    float,
    typer.Option("--clock-factor", min=0, help="Multiplies the platform's waiting times: 0.01 makes a minute 0.6 s."),
]
Faults = Annotated[
    Path | None, typer.Option("--faults", help="What goes wrong, in YAML: docs/reference/emulator-faults.md.")
]
Run = Annotated[
    Path | None, typer.Option("--run", help="Run the Actor in this folder once, print its log, and end as it ended.")
]
Hook = Annotated[
    str | None, typer.Option("--webhook", help="With --run: URL that hears of the run's end, whichever it is.")
]
Header = Annotated[
    list[str] | None, typer.Option("--header", help="With --webhook: 'Name: value' it brings along. Repeatable.")
]
Input = Annotated[str | None, typer.Option("--input", "-i", help="With --run: text, @file, or @- for stdin.")]
Patience = Annotated[
    float, typer.Option("--webhook-patience", min=0, help="With --run: seconds to wait for untaken webhooks.")
]


def add_to(app: typer.Typer) -> None:
    lines = (
        "runrelay emulator --actors .",
        'runrelay emulator --run . --input \'{"url": "http://127.0.0.1:8000"}\'',
        "runrelay emulator --run . --webhook http://127.0.0.1:8080/webhooks/apify --header 'Authorization: Bearer key'",
    )
    app.command(epilog=example(*lines))(emulator)


def emulator(
    data: Data = None,
    token: Token = None,
    actors: Actors = None,
    run: Run = None,
    input: Input = None,
    webhook: Hook = None,
    header: Header = None,
    webhook_patience: Patience = 60.0,
    faults: Faults = None,
    clock_factor: ClockFactor = 1.0,
    host: Host = LOOPBACK,
    port: Annotated[int, port("Port of the API.")] = EMULATOR_PORT,
    json: Json = False,
) -> None:
    """Be a local Apify: its API, with Actors that really run.

    An Actor written for Apify runs as it is: its .actor/actor.json, input schema and Dockerfile's CMD are read, and the
    official SDKs and clients find what they expect. Point a client at the printed address, with any token:

        ApifyClient("any", api_url="http://127.0.0.1:8090")

    Each attempt to send a webhook is one line: event, URL, status, time, next try, beginning of the answer.
    With --run the Actor of one folder runs once, and the exit code is 0 only if it succeeded.
    """
    from emulator.settings import EmulatorError  # here, so that no process of production loads it

    if run is None and any((input, webhook, header)):
        raise typer.BadParameter("--input, --webhook and --header need --run", param_hint="--run")
    out = Output(json)
    settings = open_settings()
    logs.configure(settings.log_level, settings.log_format, [token] if token else [])
    platform = partial(_settings, token=token, clock_factor=clock_factor, faults=faults, out=out)
    try:
        if run is None:
            _serve(platform(data=data or DATA, actors=tuple(actors or ())), host, port, out)
        else:
            with nullcontext(data) if data else tempfile.TemporaryDirectory(prefix="runrelay-emulator-") as folder:
                chosen = platform(data=Path(folder), actors=(run, *(actors or ())))
                raise typer.Exit(_rehearse(chosen, run, input, webhook, _headers(header), webhook_patience, out))
    except EmulatorError as exc:
        raise CommandFailed("emulator_failed", str(exc)) from None
    except ModuleNotFoundError as missing:
        raise CommandFailed("emulator_missing", f"{_MISSING} ({missing})") from None


def _settings(
    *, data: Path, actors: tuple[Path, ...], token: str | None, clock_factor: float, faults: Path | None, out: Output
) -> "EmulatorSettings":
    from emulator.faultfile import read_faults
    from emulator.scenarios import Scenario
    from emulator.settings import EmulatorSettings

    scenario = Scenario()
    scenario.add(*(read_faults(faults) if faults else ()))
    return EmulatorSettings(
        data=data,
        token=token or None,
        actors=actors,
        clock_factor=clock_factor,
        scenario=scenario,
        on_dispatch=partial(_show_dispatch, out),
    )


def _serve(platform: "EmulatorSettings", host: str, port: int, out: Output) -> None:
    from emulator.programs import Programs
    from emulator.serve import serve

    names = [program.full_name.replace("~", "/") for program in Programs(platform.username, platform.actors).all()]

    def ready(url: str) -> None:
        out.fact(event="ready", part="emulator", url=url, actors=names)
        out.tell(f"emulator at {url}")
        out.tell(f"Actors: {', '.join(names)}")

    asyncio.run(_until_told(serve(platform, host, port, ready)))


async def _until_told(serving: Coroutine[Any, Any, None]) -> None:
    """Serve until SIGTERM or SIGINT, and end with 0 then. The server has handlers of its own, which raise the signal
    once more when it is done: it ends here."""
    task = asyncio.ensure_future(serving)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("emulator.stopped")


def _rehearse(
    platform: "EmulatorSettings",
    folder: Path,
    input: str | None,
    webhook: str | None,
    headers: Mapping[str, str],
    patience: float,
    out: Output,
) -> int:
    """The exit code."""
    from emulator.programs import load
    from emulator.rehearsal import Wish

    if not folder.is_dir():
        raise CommandFailed("actor_missing", f"--run: {folder} is not a folder")
    try:
        body = body_of(input)
    except OSError as exc:
        raise typer.BadParameter(str(exc), param_hint="--input") from None
    actor = load(platform.username, folder).full_name
    wish = Wish(actor, body, webhook=webhook, headers=headers)
    outcome = run_until_told(_run_once(platform, wish, patience, out))
    _show_outcome(outcome, out)
    return 0 if outcome.run["status"] == "SUCCEEDED" else 1


async def _run_once(platform: "EmulatorSettings", wish: Any, patience: float, out: Output) -> "Outcome":
    from emulator.rehearsal import rehearse
    from emulator.serve import serve

    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.ensure_future(serve(platform, LOOPBACK, 0, url.set_result))
    try:
        waiting: set[asyncio.Future[Any]] = {serving, url}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        return await rehearse(url.result(), platform.token or "any", wish, partial(_show_line, out), patience)
    finally:
        serving.cancel()
        await asyncio.wait([serving])


def _headers(given: list[str] | None) -> dict[str, str]:
    found = {}
    for line in given or ():
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise typer.BadParameter("write it as 'Name: value'", param_hint="--header")
        found[name.strip()] = value.strip()
        logs.add_secret(value.strip(), value.rpartition(" ")[2])
    return found


def _show_line(out: Output, line: str) -> None:
    out.fact(event="log", line=line)
    out.tell(plain(line, 10_000).plain)


def _show_dispatch(out: Output, call: "DispatchCall") -> None:
    answer = call.answer.encode()[:_SHOWN_ANSWER].decode("utf-8", "ignore")
    out.fact(
        event="dispatch",
        event_type=call.event,
        url=call.url,
        status=call.status,
        ms=call.millis,
        error=call.error,
        next_try=call.next_try,
        answer=answer,
    )
    words = [str(call.status or call.error), f"in {call.millis} ms"]
    if call.error:
        words.append("no further try" if call.next_try is None else f"next try in {call.next_try:g} s")
    said = f": {jsons.dumps(answer)}" if call.status else ""
    with suppress(SystemExit):  # what rich raises where nobody reads any more; the run goes on
        out.tell(plain(f"{call.event} -> {call.url}: {', '.join(words)}{said}", 2000).plain)


def _show_outcome(outcome: "Outcome", out: Output) -> None:
    run = outcome.run
    out.fact(
        event="ended",
        run_id=run["id"],
        status=run["status"],
        exit_code=run["exitCode"],
        status_message=run["statusMessage"],
        items=outcome.items,
        records=outcome.records,
        untaken=outcome.untaken,
    )
    left = f"{outcome.items} items, {outcome.records} records"
    out.tell(plain(f"run {run['id']} {run['status']}: {run['statusMessage']}; {left}", 1000).plain)
    if outcome.untaken:
        out.note(f"not taken by the webhook's receiver: {', '.join(outcome.untaken)}")
