"""`runrelay webhooks encode|decode`: the `webhooks` parameter of Run Actor."""

import json as jsons
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from config.logs import MASK, add_secret, masked
from config.sources.apify.webhooks import (
    EVENT_TYPES,
    TERMINAL,
    AdHocWebhook,
    EventType,
    WebhooksInvalid,
    decode,
    encode,
    pointing_at,
)
from console.choosing import chosen_apify
from console.cli import lasting
from console.cli.options import Config, Json, Source, example
from console.cli.output import Output
from console.failures import CommandFailed
from console.opening import open_settings, open_table
from console.starting import base_of

Event = Annotated[
    list[str] | None,
    typer.Option("--event", help="When to send; repeatable. Unless given, whichever way a run ends."),
]
Show = Annotated[bool, typer.Option("--show-secret", help="Print secrets; without it they are masked.")]

app = typer.Typer(help="Webhooks to this receiver: of one run, or for all.", no_args_is_help=True)


def add_to(main: typer.Typer) -> None:
    app.command("encode", epilog=example("runrelay webhooks encode --url https://hooks.example.com/webhooks/apify"))(
        encode_one
    )
    app.command("decode", epilog=example("runrelay webhooks decode W3siZXZlbnRUeXBlcyI6…"))(decode_value)
    app.command("register", epilog=example("runrelay webhooks register acme/shop-de"))(lasting.register_one)
    app.command("adopt", epilog=example("runrelay webhooks adopt YiKoxjkaS9gjGTqhF"))(lasting.adopt)
    app.command("send", epilog=example("runrelay webhooks send http://127.0.0.1:8080/webhooks/apify"))(lasting.send_one)
    main.add_typer(app, name="webhooks")


def encode_one(
    url: Annotated[
        str | None, typer.Option("--url", help="Where to; RUNRELAY_PUBLIC_URL/webhooks/<source> unless given.")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option("--secret", help="What it brings in its Authorization header; the source's unless given."),
    ] = None,
    source: Source = None,
    event: Event = None,
    show_secret: Show = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Print the value that makes a run tell a receiver of its end, and how to use it from curl, Python and JavaScript.

    Address and secret come from the options, or from the routes file and its source.
    """
    url, secret = _address(url, secret, source, config)
    add_secret(secret)
    try:
        webhook = pointing_at(url, secret if show_secret or not secret else MASK, events=_events(event))
    except WebhooksInvalid as exc:
        raise typer.BadParameter(str(exc)) from None
    _tell(Output(json), webhook, hidden=bool(secret) and not show_secret)


def decode_value(
    value: Annotated[str, typer.Argument(help="The Base64 value.")],
    show_secret: Show = False,
    json: Json = False,
) -> None:
    """Show what a value says. Exits with 1 if the platform would refuse it."""
    try:
        webhooks = [_shown(webhook, show_secret) for webhook in decode(value)]
    except WebhooksInvalid as exc:
        raise CommandFailed("webhooks_invalid", f"the value cannot be used: {exc}") from None
    out = Output(json)
    out.fact(webhooks=webhooks)
    out.tell(jsons.dumps(webhooks, indent=2))


def _events(names: list[str] | None) -> list[EventType]:
    chosen = [known for known in EVENT_TYPES if known in (names or TERMINAL)]
    unknown = set(names or ()) - set(EVENT_TYPES)
    if unknown:
        message = f"the platform has no event {', '.join(sorted(unknown))}; it has {', '.join(EVENT_TYPES)}"
        raise typer.BadParameter(message, param_hint="--event")
    return chosen


def _address(url: str | None, secret: str | None, name: str | None, config: Path | None) -> tuple[str, str]:
    """Address and secret; what no option says is looked up in the routes file."""
    if url is not None and secret is not None:
        return url, secret
    settings = open_settings(config)
    source = chosen_apify(open_table(settings), name)
    return url or f"{base_of(settings)}/webhooks/{source.name}", source.secret if secret is None else secret


def _tell(out: Output, webhook: AdHocWebhook, *, hidden: bool) -> None:
    value, told = encode([webhook]), msgspec.to_builtins(webhook)
    out.fact(value=value, masked=hidden, webhooks=[told])
    for title, text in {"The value": value, **_snippets(value, told)}.items():
        out.tell(f"# {title}\n{text}\n")
    if hidden:
        out.note("The secret is masked, so this will not open the door: --show-secret prints it.")


def _snippets(value: str, told: dict[str, Any]) -> dict[str, str]:
    return {
        "curl": f"""\
curl --request POST "https://api.apify.com/v2/acts/OWNER~ACTOR/runs?webhooks={quote(value, safe="")}" \\
  --header "Authorization: Bearer $APIFY_TOKEN" --header "Content-Type: application/json" --data '{{}}'""",
        "Python (apify-client)": f"""\
import os
from apify_client import ApifyClient

client = ApifyClient(os.environ["APIFY_TOKEN"])
run = client.actor("OWNER/ACTOR").start(run_input={{}}, webhooks=[{told!r}])""",
        "JavaScript (apify-client)": f"""\
import {{ ApifyClient }} from 'apify-client';

const client = new ApifyClient({{ token: process.env.APIFY_TOKEN }});
const run = await client.actor('OWNER/ACTOR').start({{}}, {{ webhooks: [{jsons.dumps(told)}] }});""",
    }


def _shown(webhook: AdHocWebhook, show_secret: bool) -> dict[str, Any]:
    """The eight fields as the platform names them, header values masked."""
    told: dict[str, Any] = msgspec.to_builtins(webhook)
    if show_secret:
        return told
    if headers := webhook.headers_template:
        told["headersTemplate"] = _hidden(headers)
    return {**told, "requestUrl": masked(webhook.request_url)}


def _hidden(template: str) -> str:
    """Any header may be the secret one."""
    try:
        return jsons.dumps(dict.fromkeys(jsons.loads(template), MASK))
    except (ValueError, TypeError):
        return MASK
