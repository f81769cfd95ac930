"""`runrelay start` and `runrelay call`: run an Actor and have what it leaves delivered."""

import asyncio
import json as jsons
from pathlib import Path
from typing import Annotated, Any

import typer

from config.routes import RouteTable
from config.settings import Settings
from config.sources.apify.starting import Permission, RunOptions, actor_path
from console.cli.options import Config, Json, Source, example
from console.cli.output import Output, plain
from console.failures import CommandFailed
from console.following import Fate, follow
from console.opening import nearby, open_ledger, open_settings, open_table
from console.receipts import receipt_table, row_of
from console.signals import run
from console.starting import Wish, announce, api_of, body_of, chosen, door_of, followed, inbox_answers, start_once

Actor = Annotated[str, typer.Argument(help="owner/name, owner~name or id.")]
Input = Annotated[str | None, typer.Option("--input", "-i", help="The input: text, @file, or @- for stdin.")]
ContentType = Annotated[str, typer.Option("--input-content-type", help="Of the input.")]
Timeout = Annotated[float | None, typer.Option("--timeout", min=0, help="Seconds the run may take; 0: no limit.")]
Memory = Annotated[int | None, typer.Option("--memory", help="Megabytes, a power of 2 from 128 to 32768.")]
MaxItems = Annotated[int | None, typer.Option("--max-items", min=0, help="Items that are charged for at most.")]
MaxCharge = Annotated[float | None, typer.Option("--max-total-charge-usd", min=0, help="What the run may cost.")]
Restart = Annotated[
    bool | None, typer.Option("--restart-on-error/--no-restart-on-error", help="Start it anew when it fails.")
]
Build = Annotated[str | None, typer.Option("--build", help="Tag or number of a build.")]
Wait = Annotated[
    float | None, typer.Option("--wait-for-finish", min=0, max=60, help="Seconds the platform may wait for its end.")
]
Level = Annotated[Permission | None, typer.Option("--force-permission-level", help="Instead of the Actor's own.")]
Follow = Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for the deliveries; needs a worker.")]
FollowFor = Annotated[float, typer.Option("--follow-for", min=1, help="Seconds to wait for them.")]


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay start apify/hello-world --input @input.json --memory 512"))(start)
    app.command(epilog=example("""runrelay call runrelay~pydoc-crawler --input '{"maxModules": 20}'"""))(call)


def start(
    actor: Actor,
    input: Input = None,
    input_content_type: ContentType = "application/json",
    timeout: Timeout = None,
    memory: Memory = None,
    max_items: MaxItems = None,
    max_total_charge_usd: MaxCharge = None,
    restart_on_error: Restart = None,
    build: Build = None,
    wait_for_finish: Wait = None,
    force_permission_level: Level = None,
    source: Source = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Start an Actor with a webhook to this receiver, and return.

    The webhook goes to RUNRELAY_PUBLIC_URL/webhooks/<source>, whichever way the run ends. A start whose answer was
    lost is never repeated.
    """
    wish = _wish(
        actor,
        input,
        input_content_type,
        timeout=timeout,
        memory=memory,
        max_items=max_items,
        max_total_charge_usd=max_total_charge_usd,
        restart_on_error=restart_on_error,
        build=build,
        wait_for_finish=wait_for_finish,
        force_permission_level=force_permission_level,
    )
    settings, table = _opened(config)
    run(_start(settings, table, source, wish, Output(json)))


def call(
    actor: Actor,
    input: Input = None,
    input_content_type: ContentType = "application/json",
    timeout: Timeout = None,
    memory: Memory = None,
    max_items: MaxItems = None,
    max_total_charge_usd: MaxCharge = None,
    restart_on_error: Restart = None,
    build: Build = None,
    force_permission_level: Level = None,
    source: Source = None,
    follow: Follow = True,
    follow_for: FollowFor = 600.0,
    config: Config = None,
    json: Json = False,
) -> None:
    """Run an Actor, wait for its end, and have what it left delivered: no public address is needed.

    Exits with 0 only if the run succeeded and, unless --no-follow, everything was delivered.
    """
    wish = _wish(
        actor,
        input,
        input_content_type,
        timeout=timeout,
        memory=memory,
        max_items=max_items,
        max_total_charge_usd=max_total_charge_usd,
        restart_on_error=restart_on_error,
        build=build,
        force_permission_level=force_permission_level,
    )
    settings, table = _opened(config)
    calling = _Call(nearby(settings), table, source, Output(json))
    try:
        code = run(calling.perform(wish, follow_for if follow else 0))
    except KeyboardInterrupt:
        calling.left()
        raise
    raise typer.Exit(code)


def _wish(actor: str, input: str | None, content_type: str, **options: Any) -> Wish:
    try:
        actor_path(actor)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="ACTOR") from None
    body = body_of(input)
    if body is not None and content_type.partition(";")[0].strip() == "application/json":
        try:
            jsons.loads(body)
        except ValueError as exc:
            raise typer.BadParameter(f"not JSON: {exc}", param_hint="--input") from None
    return Wish(actor, RunOptions(**options), body, content_type)


def _opened(config: Path | None) -> tuple[Settings, RouteTable]:
    settings = open_settings(config)
    return settings, open_table(settings)


async def _start(settings: Settings, table: RouteTable, name: str | None, wish: Wish, out: Output) -> None:
    source = chosen(table, name)
    webhook = door_of(settings, source)
    async with api_of(source) as api:
        started = await start_once(api, wish, [webhook])
    out.fact(
        run_id=started["id"],
        status=started["status"],
        source=source.name,
        webhook=webhook.request_url,
        actor=wish.actor,
    )
    out.tell(f"run {started['id']} is {started['status']}; its end goes to {webhook.request_url}")


class _Call:
    def __init__(self, settings: Settings, table: RouteTable, name: str | None, out: Output) -> None:
        self.settings, self.table, self.out = settings, table, out
        self.source = chosen(table, name)
        self.unannounced = ""

    def left(self) -> None:
        """Somebody pressed Ctrl-C."""
        if self.unannounced:
            self.out.note(f"run {self.unannounced} goes on at the platform, but nobody here waits for its end any more")

    async def perform(self, wish: Wish, patience: float) -> int:
        """The exit code."""
        await inbox_answers(self.settings)
        ended = await self._run(wish)
        succeeded = ended["status"] == "SUCCEEDED"
        accepted = await announce(self.settings, self.source, ended)
        self.unannounced = ""
        self.out.fact(event="announced", event_id=accepted.id, run_id=ended["id"], status=ended["status"])
        self.out.tell(f"run {ended['id']} ended {ended['status']}; event {accepted.id[:12]} is in the inbox")
        if not patience:
            return 0 if succeeded else 1
        fate = await self._follow(ended["id"], patience)
        self._end(fate)
        return 0 if succeeded and fate.delivered and fate.deliveries else 1

    async def _run(self, wish: Wish) -> dict[str, Any]:
        shown = ""
        async with api_of(self.source) as api:
            started = await start_once(api, wish, [])
            self.unannounced = started["id"]
            self.out.fact(event="started", run_id=started["id"], status=started["status"])
            async for seen in followed(api, started):
                line = f"run {seen['id']} {seen['status']} {seen.get('statusMessage') or ''}".rstrip()
                if line != shown:
                    self.out.note(plain(shown := line).plain)
        return seen

    async def _follow(self, run_id: str, patience: float) -> Fate:
        """Raises CommandFailed if it takes too long."""
        fate = Fate()
        try:
            async with (
                asyncio.timeout(patience),
                open_ledger(self.settings.redis_url, self.settings.namespace) as ledger,
            ):
                async for seen in follow(ledger, self.source.name, run_id):
                    self._note(fate, fate := seen)
        except TimeoutError:
            waits = "; ".join(fate.open())
            message = f"not delivered after {patience:g} s: {waits}. Does `runrelay worker` or `runrelay up` run?"
            raise CommandFailed("not_delivered", message) from None
        return fate

    def _note(self, before: Fate, now: Fate) -> None:
        for line in now.open():
            if line not in before.open():
                self.out.note(plain(line, 1000).plain)

    def _end(self, fate: Fate) -> None:
        self.out.show(receipt_table(fate.receipts, self.out.out.width) if fate.receipts else _nothing(fate))
        self.out.fact(receipts=[row_of(row) for row in fate.receipts])


def _nothing(fate: Fate) -> str:
    return "; ".join(f"event {event.id[:12]} ended {event.state.value}: {event.reason}" for event in fate.events)
