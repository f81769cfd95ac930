"""`runrelay webhooks register|adopt|send`: webhooks that stay at the platform, and trying out an address."""

from typing import Annotated

import typer

from config.contracts.api import Api
from config.logs import add_secret
from config.sources.apify import lasting
from config.sources.apify.webhooks import EVENT_TYPES, TERMINAL
from console.cli.asking import Yes, confirm
from console.cli.desk import Desk, desk_of
from console.cli.options import not_empty
from console.cli.output import plain
from console.cli.run_options import Program, known
from console.cli.spreading import spread
from console.registering import adoption, difference, register
from console.sending import send, test_event
from console.signals import run
from console.starting import base_of, door_of, is_loopback

WebhookId = Annotated[
    str, typer.Argument(metavar="WEBHOOK", callback=not_empty, help="Id of a webhook, as the Console shows it.")
]
Redirect = Annotated[bool, typer.Option("--redirect", help="Also point it at this receiver.")]


@spread(desk=desk_of)
def register_one(program: Program, *, desk: Desk) -> None:
    """Make the platform tell this receiver how each run of an Actor or a task ends, whoever starts it.

    The webhook leads to RUNRELAY_PUBLIC_URL/webhooks/<source>. Said twice, there is still one.
    """
    known(program)
    door, out = door_of(desk.settings, desk.source), desk.out

    async def make(api: Api) -> None:
        made = await register(api, program, door)
        out.fact(webhook=made["id"], url=door.request_url, events=list(TERMINAL), actor=program)
        out.tell(f"webhook {made['id']} tells {door.request_url} how runs of {program} end")

    desk.ask(make)


@spread(desk=desk_of)
def adopt(webhook_id: WebhookId, *, redirect: Redirect = False, yes: Yes = False, desk: Desk) -> None:
    """Make a webhook that exists open this receiver's door: add our header, and the ends of runs it does not tell.

    Shows what would change, and asks.
    """
    door, out = door_of(desk.settings, desk.source), desk.out
    changes: dict[str, object] = {}

    async def compare(api: Api) -> None:
        found = await lasting.get(api, webhook_id)
        changes.update(adoption(found, door, redirect=redirect))
        for line in difference(found, changes):
            out.note(plain(line, 1000).plain)
        if found.get("payloadTemplate"):
            out.note(
                "its body is a template of its own: webhook.run_id of the source must say where the run's id stands"
            )

    async def change(api: Api) -> None:
        await lasting.update(api, webhook_id, changes)

    desk.ask(compare)
    if changes:
        confirm(out, f"Change webhook {webhook_id}?", yes=yes)
        desk.ask(change)
    out.fact(webhook=webhook_id, url=door.request_url, changed=sorted(changes))
    out.tell(f"webhook {webhook_id} " + ("is ours now" if changes else "was ours already"))


@spread(desk=desk_of)
def send_one(
    url: Annotated[str | None, typer.Argument(help="RUNRELAY_PUBLIC_URL/webhooks/<source> unless given.")] = None,
    *,
    secret: Annotated[
        str | None,
        typer.Option("--secret", help="For the Authorization header. The source's goes to this receiver only."),
    ] = None,
    event: Annotated[str, typer.Option("--event", help="Another kind than a test needs --run.")] = "TEST",
    run_id: Annotated[str | None, typer.Option("--run", help="The run it is about.")] = None,
    desk: Desk,
) -> None:
    """Send an event to an address as Apify would, once, and show the answer. Exits with 1 unless it is 2xx.

    A TEST is answered and not delivered. With `--event ACTOR.RUN.SUCCEEDED --run ID` a receiver takes it for real.
    """
    if event not in EVENT_TYPES:
        raise typer.BadParameter(f"the platform has {', '.join(EVENT_TYPES)}", param_hint="--event")
    if event != "TEST" and run_id is None:
        raise typer.BadParameter("say which run with --run", param_hint="--event")
    place = url or f"{base_of(desk.settings)}/webhooks/{desk.source.name}"
    brought = own_secret(desk, place) if secret is None else secret
    add_secret(brought)
    said = run(send(place, brought, test_event(event, run_id)))
    start = plain(said.start.decode("utf-8", "replace")).plain
    desk.out.fact(url=place, status=said.status, ms=said.ms, body=start)
    desk.out.tell(f"{said.status} in {said.ms} ms: {start}")
    raise typer.Exit(0 if said.taken else 1)


def own_secret(desk: Desk, url: str) -> str:
    """The source's secret, for our own receiver or one on this machine."""
    own = desk.settings.public_url and url.startswith(f"{base_of(desk.settings)}/")
    return desk.source.secret if own or is_loopback(url) else ""
