"""Writes the reference pages that come from the models: `python scripts/reference.py`. A test compares them."""

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from typer.main import get_command

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from config import cases, shapes  # noqa: E402  # found through the line above
from config.language.conditions import CONDITIONS  # noqa: E402  # the same
from config.language.filters import FILTERS  # noqa: E402  # the same
from config.settings import Settings  # noqa: E402  # the same
from console import source_pages  # noqa: E402  # the same
from console.cli.main import command_line as line  # noqa: E402  # the same
from console.options import Option, option  # noqa: E402  # the same
from console.sink_pages import Page, pages  # noqa: E402  # the same

ENVIRONMENT = ROOT / "docs/reference/environment.md"
_HEAD = """\
# Environment

Everything a process reads from the environment, besides the `${NAME}` in runrelay.yaml. A `.env` beside the routes
file gives what the environment does not set. `scripts/reference.py` writes this page from `config/settings.py`.

| variable | default | |
|---|---|---|
"""


COMMANDS = ROOT / "docs/reference/commands.md"
_COMMANDS_HEAD = """\
# Commands

Every command has `--help`. `scripts/reference.py` writes this page from the commands themselves.

Results go to stdout, everything else to stderr. With `--json` stdout has one JSON object a line; a command that fails
says `{"kind": "<word>", "message": "<what to do about it>"}`. Match on the word: words are added, never renamed.

| exit code | |
|---|---|
| 0 | done |
| 1 | failed; the line says why |
| 2 | wrong usage |
| 78 | the configuration cannot be used |
| 130 | Ctrl-C |

`ACTOR` is an Actor's `owner/name`, `owner~name` or id; a task has `task:` in front, as in `task:acme/nightly`.
"""


def command_line() -> str:
    """docs/reference/commands.md."""
    return _COMMANDS_HEAD + "".join(_section(words, command) for words, command in commands())


def commands() -> Iterator[tuple[list[str], Any]]:
    """Every command with the words it is called by."""
    return _below([], get_command(line()))


def _below(words: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
    if not hasattr(command, "commands"):
        yield words, command
        return
    for name, one in command.commands.items():
        if one.hidden and hasattr(one, "commands"):
            continue  # another name of a group
        yield from _below([*words, name], one)


def _section(words: list[str], command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    usage = " ".join(["runrelay", *words, *(_argument(one) for one in arguments)])
    rows = "".join(f"| `{_argument(one)}` | | {_plain(one.help)} |\n" for one in arguments)
    rows += "".join(f"| {_names(one)} | {_default(one)} | {_plain(one.help)} |\n" for one in options)
    about = "\n".join(line.rstrip() for line in _plain(command.help).strip().splitlines())
    example = (command.epilog or "").removeprefix("Example:").strip().replace("\n\n  ", "\n")
    table = f"| | default | |\n|---|---|---|\n{rows}\n" if rows else ""
    return f"\n## `{usage}`\n\n{about}\n\n{table}```\n{example}\n```\n"


def _plain(text: str | None) -> str:
    """Text in which nothing is markup."""
    return (text or "").replace("<", "\\<").replace("|", "\\|")


def _argument(one: Any) -> str:
    name = (one.metavar or one.name).strip("[]").upper() + ("…" if one.nargs == -1 else "")
    return name if one.required else f"[{name}]"


def _names(one: Any) -> str:
    return ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))


def _default(one: Any) -> str:
    unset = one.default is None or isinstance(one.default, bool) or not str(one.default)
    return "" if unset else f"`{one.default}`"


def environment() -> str:
    """docs/reference/environment.md."""
    return _HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    variable = field.validation_alias or f"RUNRELAY_{name.upper()}"
    return f"| `{variable}` | {_written(field.default)} | {field.description} |\n"


def _written(default: object) -> str:
    return f"`{default}`" if str(default) else "empty"


SINKS = ROOT / "docs/reference/sinks.md"
_SINKS_HEAD = """\
# Sinks

Where results can go: `type:` under `sinks:`. Every sink also takes `retry`, `batch` and `bad_items`, and every target
`name`, `when`, `send`, `retry`, `batch` and `bad_items`: see [runrelay.yaml](configuration.md). `runrelay sinks TYPE`
shows the same in a terminal; `scripts/reference.py` writes this page from the sinks themselves.

*Exactly once*: whatever is tried again, and whichever process dies, the far side ends as if nothing had happened.
*At least once*: what is tried again may arrive again, with the same id, so that the far side can drop it.

| type | promise | takes |
|---|---|---|
"""


def sinks() -> str:
    """docs/reference/sinks.md."""
    found = pages()
    return _SINKS_HEAD + "".join(map(_sink_row, found)) + "".join(map(_sink, found))


def _sink_row(page: Page) -> str:
    names = [page.type, *(page.about.synonyms if page.about else ())]
    linked = " ".join(f"[`{name}`](#{page.type})" for name in names)
    takes = ", ".join((*page.takes, *(("alerts",) if page.alerts else ())))
    return f"| {linked} | {_plain(page.about.promise) if page.about else ''} | {takes} |\n"


def _sink(page: Page) -> str:
    about = page.about
    extra = f"\n\nInstall: `pip install 'runrelay[{about.extra}]'`" if about and about.extra else ""
    tested = f"\n\nTested against: {about.tested}." if about else ""
    example = f"\n```yaml\n{about.example.strip()}\n```\n" if about else ""
    options = _sink_options("of the sink", page.config) + _sink_options("of a target", page.target)
    return f"\n## `{page.type}`\n\n{page.text}{extra}{tested}\n{options}{example}"


def _sink_options(whose: str, options: Sequence[Option]) -> str:
    if not options:
        return ""
    rows = "".join(
        f"| `{one.name}` | {one.kind} | {_option_default(one)} | {_plain(one.description)} |\n" for one in options
    )
    return f"\n| option {whose} | | default | |\n|---|---|---|---|\n{rows}"


def _option_default(one: Option) -> str:
    return "required" if one.default is None else f"`{_plain(one.default)}`" if one.default else ""


SOURCES = ROOT / "docs/reference/sources.md"
_SOURCES_HEAD = """\
# Sources

Whose runs are heard of: `type:` under `sources:`. Without a `type:` the name of a source is its type. Webhooks of the
source `NAME` go to `/webhooks/NAME`; [Verify webhooks](../how-to/verify-webhooks.md) tells what `verify` can do, and
[runrelay.yaml](configuration.md) how the file is read. `runrelay sources` shows the sources of a file, and
`runrelay sources TYPE` the same as here; `scripts/reference.py` writes this page from the sources themselves. What is
not here can be [described in the file](#generic), or [have a module of its own](../how-to/write-a-source.md).

| type | platform | |
|---|---|---|
"""


def sources() -> str:
    """docs/reference/sources.md."""
    found = source_pages.pages()
    return _SOURCES_HEAD + "".join(map(_source_row, found)) + "".join(map(_source, found))


def _source_row(page: source_pages.Page) -> str:
    return f"| [`{page.type}`](#{page.type}) | {page.about.platform if page.about else ''} | {_plain(page.summary)} |\n"


def _source(page: source_pages.Page) -> str:
    about = page.about
    said = f"\n\nPromise: {about.promise}.\n\nTested against: {about.tested}." if about else ""
    example = f"\n```yaml\n{about.example.strip()}\n```\n" if about else ""
    return f"\n## `{page.type}`\n\n{page.text}{said}\n{_sink_options('of the source', page.options)}{example}"


LANGUAGE = ROOT / "docs/reference/language.md"
_EXAMPLE = re.compile(r"`([^`]+)` → `([^`]+)`")


def language() -> str:
    """docs/reference/language.md, whose tables of filters and tests come from their docstrings."""
    page = LANGUAGE.read_text()
    for name, functions in (("filters", FILTERS), ("tests", CONDITIONS)):
        before, _, rest = page.partition(f"<!-- {name} -->\n")
        page = f"{before}<!-- {name} -->\n{_functions(functions)}<!-- end -->{rest.partition('<!-- end -->')[2]}"
    return page


def _functions(functions: Mapping[str, Callable[..., Any]]) -> str:
    rows = "".join(_function(name, found) for name, found in sorted(functions.items()))
    return f"| | | examples |\n|---|---|---|\n{rows}"


def _function(name: str, found: Callable[..., Any]) -> str:
    _, *arguments = inspect.signature(found).parameters.values()
    called = f"{name}({', '.join(map(_taken, arguments))})" if arguments else name
    text = inspect.getdoc(found) or ""
    about = " ".join(_EXAMPLE.sub("", text).rstrip(" ;.\n").split())
    shown = "<br>".join(f"`{source}` → `{result}`" for source, result in _EXAMPLE.findall(text))
    return f"| `{called}` | {_plain(about)}. | {shown.replace('|', chr(92) + '|')} |\n"


def _taken(argument: inspect.Parameter) -> str:
    if argument.default is argument.empty:
        return argument.name
    return f"{argument.name}={'…' if argument.default in (None, ...) else repr(argument.default)}"


CONFIGURATION = ROOT / "docs/reference/configuration.md"
_KEYS = re.compile(r"<!-- keys of ([\w ]+) -->\n.*?<!-- end -->", re.DOTALL)


def configuration() -> str:
    """docs/reference/configuration.md, whose tables of keys come from the shapes of the file."""
    return _KEYS.sub(lambda found: _keys(found[1]), CONFIGURATION.read_text())


def _keys(names: str) -> str:
    """The keys that each of these shapes has of its own; others are told where they come from."""
    found = [getattr(shapes, name, None) or getattr(cases, name) for name in names.split()]
    rows = "".join(
        _key(option(info.alias or name, info))
        for shape in found
        for name, info in shape.model_fields.items()
        if name in shape.__annotations__
    )
    return f"<!-- keys of {names} -->\n| key | | default | |\n|---|---|---|---|\n{rows}<!-- end -->"


def _key(one: Option) -> str:
    example = one.example.replace("|", "\\|")
    return f"| `{one.name}` | {one.kind} | {_option_default(one)} | {_plain(one.description)}<br>`{example}` |\n"


if __name__ == "__main__":
    CONFIGURATION.write_text(configuration())
    LANGUAGE.write_text(language())
    ENVIRONMENT.write_text(environment())
    COMMANDS.write_text(command_line())
    SINKS.write_text(sinks())
    SOURCES.write_text(sources())
