"""`runrelay sources`: whose runs are heard of, and how."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from config import plugins
from config.contracts.errors import ConfigInvalid
from config.contracts.source import Source, Worded
from config.route import SourceSpec
from config.routes import RouteTable
from config.settings import Settings
from console.cli.options import Config, Json, example
from console.cli.output import Output, ours, plain
from console.cli.sinks import indented, option_facts, show_options
from console.doors import Door, door
from console.failures import CommandFailed
from console.opening import open_settings, open_table
from console.source_pages import Page, page, pages

#: Where the second column of what is known of one begins.
_INDENT = 10


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay sources", "runrelay sources ittybit"))(sources)


def sources(
    type: Annotated[
        str | None, typer.Argument(help="Tell everything of this type, or of this source of the file.")
    ] = None,
    types: Annotated[bool, typer.Option("--types", help="List the types instead, without a file.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show the sources of the file: where their webhooks go, how these are verified, whether somebody looks for runs
    besides, and which API is asked. With a type: what it can do, its options, an example."""
    out, settings = Output(json), open_settings(config)
    if type is not None:
        _tell_or_show(out, settings, type)
        return
    if types or not settings.config.exists():
        _list(out)
        return
    table = open_table(settings)
    _of_file(out, settings, table, table.sources)


def _tell_or_show(out: Output, settings: Settings, name: str) -> None:
    """Everything of the type; without such a type, how it stands with the source of that name. Raises CommandFailed."""
    try:
        found = page(name)
    except plugins.PluginMissing as exc:
        table = _table(settings)
        if table is None or name not in table.sources:
            raise CommandFailed("not_found", exc.message) from None
        _of_file(out, settings, table, [name])
    else:
        _tell(out, found)


def _table(settings: Settings) -> RouteTable | None:
    try:
        return open_table(settings)
    except ConfigInvalid:
        return None


def _of_file(out: Output, settings: Settings, table: RouteTable, names: Iterable[str]) -> None:
    for name in names:
        source = table.sources[name]
        spec = table.declared[name]
        found, platform = door(settings, spec, source), _platform(spec, source)
        out.fact(name=name, type=spec.type, platform=platform, **asdict(found))
        said = ": ".join(dict.fromkeys((name, platform)))
        out.tell(plain(said + ("" if spec.type in {name, platform} else f", type {spec.type}")).plain)
        for word, said in _lines(found):
            out.flow(f"  {word:<{_INDENT}}{plain(said, 1000).plain}", indent=" " * (_INDENT + 2))
    out.tell("")
    out.flow("`runrelay sources TYPE` tells everything of a type, and `runrelay sources --types` which there are.")


def _platform(spec: SourceSpec, source: Source) -> str:
    """How people call it; the type of a source that does not say, or has only its own name for it."""
    if isinstance(source, Worded) and source.platform != source.name:
        return source.platform
    return spec.type


def _lines(found: Door) -> Iterator[tuple[str, str]]:
    if found.verified:
        unset = f"{found.path} below the receiver's address: set RUNRELAY_PUBLIC_URL, and this line says the whole"
        yield "webhooks", f"go to {found.url}" if found.url else f"go to {unset}"
        yield "verified", found.verified
    else:
        yield "webhooks", "none is let in: the source has no `webhook`"
    yield "looks", f"every {found.reconcile} for runs that no webhook announced" if found.reconcile else "never"
    yield "api", found.api or "none: its webhooks say all there is"


def _list(out: Output) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("type", "platform", "what it does"):
        table.add_column(name)
    for one in pages():
        out.fact(**_facts(one))
        table.add_row(one.type, ours(one.about.platform if one.about else ""), ours(one.summary))
    out.show(table)
    out.flow("`runrelay sources TYPE` tells everything of one. Any importable module can be a source, too.")


def _facts(one: Page) -> dict[str, Any]:
    about = asdict(one.about) if one.about else {}
    return {"type": one.type, **about, "options": [option_facts(each) for each in one.options]}


def _tell(out: Output, one: Page) -> None:
    out.fact(**_facts(one))
    out.flow(f"{one.type}\n\n{one.text}")
    out.tell("")
    if one.about:
        for name, value in (("Platform", one.about.platform), ("Promise", one.about.promise)):
            out.flow(f"{name:<{_INDENT}}{value}", indent=" " * _INDENT)
        out.flow(f"{'Tested':<{_INDENT}}{one.about.tested}", indent=" " * _INDENT)
    show_options(out, "Options, under `sources:`", one.options)
    if one.about:
        out.tell(f"\nExample\n\n{indented(one.about.example)}")
