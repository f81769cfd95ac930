"""`runrelay sinks`: what results can be delivered to."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from config import plugins
from console.cli.options import Json, example
from console.cli.output import Output, ours, plain
from console.failures import CommandFailed
from console.options import Option
from console.sink_pages import Page, page, pages

#: Where the second column of what is known of one begins.
_INDENT = 10


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay sinks postgres"))(sinks)


def sinks(
    type: Annotated[str | None, typer.Argument(help="Tell everything of this one.")] = None, json: Json = False
) -> None:
    """List the types of sinks, or tell everything of one: what arrives, its promise, its options, an example."""
    out = Output(json)
    if type is None:
        _list(out)
        return
    try:
        found = page(type)
    except plugins.PluginMissing as exc:
        raise CommandFailed("not_found", exc.message) from None
    if found.missing:
        if found.text:
            _tell(out, found)
        raise CommandFailed("plugin_missing", found.missing)
    out.fact(**_facts(found))
    _tell(out, found)


def _list(out: Output) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("type", "promise", "what it does"):
        table.add_column(name)
    for one in pages():
        out.fact(**_facts(one))
        promise = one.about.promise.split(";")[0].split(":")[0] if one.about else ""
        table.add_row(one.type, ours(promise), plain(one.missing, 200) if one.missing else ours(one.summary))
    out.show(table)
    out.flow("`runrelay sinks TYPE` tells everything of one. Any importable module can be a sink, too.")


def _facts(one: Page) -> dict[str, Any]:
    about = one.about
    return {
        "type": one.type,
        "promise": about.promise if about else "",
        "takes": list(one.takes),
        "alerts": one.alerts,
        "extra": about.extra if about else "",
        "synonyms": list(about.synonyms) if about else [],
        "tested": about.tested if about else "",
        "options": [option_facts(each) for each in one.config],
        "target": [option_facts(each) for each in one.target],
        "missing": one.missing,
    }


def option_facts(one: Option) -> dict[str, Any]:
    about = one.description
    return {"name": one.name, "kind": one.kind, "required": one.default is None, "default": one.default, "about": about}


def _tell(out: Output, one: Page) -> None:
    out.flow(f"{one.type}\n\n{one.text}")
    out.tell("")
    for name, value in _lines(one):
        if value:
            out.flow(f"{name:<{_INDENT}}{value}", indent=" " * _INDENT)
    show_options(out, "Options of the sink, under `sinks:`", one.config)
    show_options(out, "Options of a target, under `to:`", one.target)
    if one.about:
        out.tell(f"\nExample\n\n{indented(one.about.example)}")


def _lines(one: Page) -> Iterator[tuple[str, str]]:
    yield "Takes", ", ".join((*one.takes, *(("alerts",) if one.alerts else ())))
    if one.about:
        yield "Promise", one.about.promise
        yield "Tested", one.about.tested
        yield "Also", ", ".join(f"type: {name}" for name in one.about.synonyms)
        yield "Install", f"pip install 'runrelay[{one.about.extra}]'" if one.about.extra else ""


def show_options(out: Output, title: str, options: tuple[Option, ...]) -> None:
    if not options:
        return
    table = Table(title=f"\n{title}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("option", no_wrap=True)
    for name in ("", "default", ""):
        table.add_column(name)
    for one in options:
        default = Text("required", "bold") if one.default is None else ours(one.default)
        table.add_row(one.name, ours(one.kind.replace("`", "")), default, ours(one.description))
    out.show(table)


def indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip("\n").splitlines())
