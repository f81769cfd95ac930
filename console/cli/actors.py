"""`runrelay start` and `runrelay call`: run an Actor and have what it leaves delivered."""

import asyncio
from dataclasses import replace
from typing import Annotated, Any

import msgspec
import typer

from console.choosing import api_of
from console.cli.desk import Desk, desk_of
from console.cli.options import example
from console.cli.output import plain
from console.cli.run_options import wish_of
from console.cli.spreading import spread
from console.failures import CommandFailed
from console.following import Fate, follow
from console.opening import nearby, open_ledger
from console.receipts import receipt_table, row_of
from console.signals import run
from console.starting import Wish, announce, door_of, followed, inbox_answers, start_once

Wait = Annotated[
    float | None, typer.Option("--wait-for-finish", min=0, max=60, help="Seconds the platform may wait for its end.")
]
Follow = Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for the deliveries; needs a worker.")]
FollowFor = Annotated[float, typer.Option("--follow-for", min=1, help="Seconds to wait for them.")]


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay start apify/hello-world --input @input.json --memory 512"))(start)
    app.command(epilog=example("""runrelay call runrelay~pydoc-crawler --input '{"maxModules": 20}'"""))(call)


@spread(wish=wish_of, desk=desk_of)
def start(wish: Wish, *, wait_for_finish: Wait = None, desk: Desk) -> None:
    """Start an Actor or a task with a webhook to this receiver, and return.

    The webhook goes to RUNRELAY_PUBLIC_URL/webhooks/<source>, whichever way the run ends. A start whose answer was
    lost is never repeated.
    """
    options = msgspec.structs.replace(wish.options, wait_for_finish=wait_for_finish)
    run(_start(desk, replace(wish, options=options)))


@spread(wish=wish_of, desk=desk_of)
def call(wish: Wish, *, follow: Follow = True, follow_for: FollowFor = 600.0, desk: Desk) -> None:
    """Run an Actor or a task, wait for its end, and have what it left delivered: no public address is needed.

    Exits with 0 only if the run succeeded and, unless --no-follow, everything was delivered.
    """
    calling = _Call(desk)
    try:
        code = run(calling.perform(wish, follow_for if follow else 0))
    except KeyboardInterrupt:
        calling.left()
        raise
    raise typer.Exit(code)


async def _start(desk: Desk, wish: Wish) -> None:
    source, out = desk.source, desk.out
    webhook = door_of(desk.settings, source)
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
    def __init__(self, desk: Desk) -> None:
        self.settings, self.source, self.out = nearby(desk.settings), desk.source, desk.out
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
        for line in fate.held():
            self.out.note(f"{plain(line, 1000).plain}; `runrelay quarantine release` lets it go")


def _nothing(fate: Fate) -> str:
    return "; ".join(f"event {event.id[:12]} ended {event.state.value}: {event.reason}" for event in fate.events)
