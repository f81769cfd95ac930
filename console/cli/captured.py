"""`runrelay captured list|show|try|clear`: webhooks that could not be verified, for learning how they are signed."""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from config.nearest import guess
from config.route import SourceSpec
from config.routes import RouteTable
from config.webhooks.captured import Captured
from config.webhooks.options import Webhook
from console.captured import forget, named, newest
from console.cli.asking import Yes, confirm
from console.cli.ledger import ask_ledger, table_of, tell_facts
from console.cli.options import Config, Json, example, not_empty
from console.cli.output import Output, plain
from console.failures import CommandFailed
from console.learning import block, learnt
from console.moments import iso, when_of
from console.opening import open_settings, open_table

Id = Annotated[str, typer.Argument(metavar="ID", callback=not_empty, help="Of one of the list; its beginning will do.")]
Source = Annotated[str | None, typer.Option("--source", help="Only those of this source.")]

app = typer.Typer(
    help="Webhooks that could not be verified, where `webhook.capture` keeps them: how are they signed?",
    no_args_is_help=True,
)


def add_to(main: typer.Typer) -> None:
    app.command("list", epilog=example("runrelay captured list --source payments"))(list_captured)
    app.command("show", epilog=example("runrelay captured show 3f9a1c0b7d24"))(show)
    app.command("try", epilog=example("runrelay captured try 3f9a1c0b7d24"))(try_one)
    app.command("clear", epilog=example("runrelay captured clear --source payments --yes"))(clear)
    main.add_typer(app, name="captured")


def list_captured(source: Source = None, config: Config = None, json: Json = False) -> None:
    """List what is kept, the newest first."""
    out, table = Output(json), open_table(open_settings(config))
    sources = _names(table, source, config)
    found = ask_ledger(config, lambda ledger: newest(ledger, sources))
    shown = table_of("when", "source", "refused as", "bytes", "id")
    for one in found:
        out.fact(**_facts(one))
        size = f"{len(one.body):,}{'+' if one.cut else ''}"
        shown.add_row(when_of(round(one.at * 1000)), *map(plain, (one.source, one.kind, size, one.id)))
    out.show(shown if found else _nothing(table, sources))


def show(id: Id, config: Config = None, json: Json = False) -> None:
    """Show one as it came, without its secrets: headers and body. With `--json` the body is base64."""
    out, one = Output(json), _one(config, id)
    body = base64.b64encode(one.body).decode()
    out.fact(**_facts(one), headers=[list(each) for each in one.headers], body=body)
    facts: dict[str, Any] = {"came": iso(round(one.at * 1000)), "kept until": iso(round(one.until * 1000))}
    title = f"{one.method} {plain(one.path).plain}, refused as {one.kind}"
    tell_facts(out, title, facts | {"body": _state(one)}, skip=())
    for name, value in one.headers:
        out.tell(f"{plain(name).plain}: {plain(value, 20_000).plain}")
    out.tell("")
    for line in one.body.decode("utf-8", "replace").splitlines():
        out.tell(plain(line, len(line) + 1).plain)


def try_one(id: Id, config: Config = None, json: Json = False) -> None:
    """Try the usual schemes with the source's active secrets, and print the `verify:` that fits.

    How old it is does not count. A body with a secret taken out of it, or without its end, cannot be tried.
    """
    out, one = Output(json), _one(config, id)
    secrets = _secrets(open_table(open_settings(config)).declared.get(one.source))
    if not secrets:
        raise CommandFailed("secret_missing", f"the source {one.source} has no webhook.secrets to try it with")
    said = learnt(one, secrets)
    fits = said.verify.model_dump(exclude_defaults=True) if said.verify else None
    out.fact(id=one.id, fits=fits, tried=said.tried, body=_state(one))
    if said.verify:
        out.tell(block(said.verify))
        out.note(f"this goes below `webhook:` of the source {plain(one.source).plain}")
        return
    if not one.whole:
        out.tell(f"no signature can be tried: {_state(one)}")
    out.tell(f"none of the {said.tried} ways that were tried fits; is the secret the one that the platform has?")
    raise typer.Exit(1)


def clear(source: Source = None, yes: Yes = False, config: Config = None, json: Json = False) -> None:
    """Forget what is kept. Asks first."""
    out, sources = Output(json), _names(open_table(open_settings(config)), source, config)
    confirm(out, f"Forget what is kept of {', '.join(sources)}?", yes=yes)
    count = ask_ledger(config, lambda ledger: forget(ledger, sources))
    out.fact(cleared=count)
    out.tell(f"{count} forgotten")


def _one(config: Path | None, id: str) -> Captured:
    sources = list(open_table(open_settings(config)).declared)
    return ask_ledger(config, lambda ledger: named(ledger, sources, id))


def _names(table: RouteTable, source: str | None, config: Path | None) -> list[str]:
    """One that the file no longer has may still be asked for by its name, as long as something of it is kept.

    Raises CommandFailed.
    """
    if source is None:
        return list(table.declared)
    if source not in table.declared and not ask_ledger(config, lambda ledger: newest(ledger, [source])):
        known = f"{guess(source, table.declared)}it has {', '.join(table.declared) or 'none'}"
        raise CommandFailed(
            "source_not_found", f"the file has no source {source!r}, and nothing is kept of one: {known}"
        )
    return [source]


def _nothing(table: RouteTable, sources: Iterable[str]) -> str:
    """Why: nobody keeps any, or none came."""
    keeping = [name for name in sources if name in table.sources and table.sources[name].capture]
    if not keeping:
        return "nothing is kept: `webhook: {capture: {}}` of a source keeps what cannot be verified"
    return f"nothing is kept: nothing that cannot be verified has come lately to {', '.join(keeping)}"


def _secrets(spec: SourceSpec | None) -> list[str]:
    webhook = getattr(spec.config, "webhook", None) if spec else None
    written: Iterable[str] = ()
    if isinstance(webhook, Webhook):
        written = (secret.get_secret_value() for secret in webhook.secrets)
    return [secret for secret in written if secret]


def _facts(one: Captured) -> dict[str, Any]:
    return {
        "id": one.id,
        "at": iso(round(one.at * 1000)),
        "until": iso(round(one.until * 1000)),
        "source": one.source,
        "kind": one.kind,
        "method": one.method,
        "path": one.path,
        "bytes": len(one.body),
        "masked": one.masked,
        "cut": one.cut,
    }


def _state(one: Captured) -> str:
    """What of its body is there."""
    missing = [
        *(["a secret was taken out of it"] if one.masked else []),
        *([f"only its first {len(one.body):,} bytes are kept"] if one.cut else []),
    ]
    return " and ".join(missing) or "as it came"
