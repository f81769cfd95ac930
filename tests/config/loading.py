"""Loads texts as files, and the parts that most of them share."""

from pathlib import Path

from config.contracts.errors import ConfigInvalid
from config.routes import RouteTable, load

ENVIRON = {"TOKEN": "canary-token-1", "HOOK": "canary-hook-22", "PASSWORD": "canary-pass-333"}

SOURCES = 'sources: {main: {type: tests.config.plugins.platform, token: "${TOKEN}"}}\n'
SINKS = """\
sinks:
  out: {type: tests.config.plugins.shelf, base: x, password: "${PASSWORD}"}
  rows: {type: tests.config.plugins.rows}
  notes: {type: tests.config.plugins.notes}
"""
#: lines 1 to 6; what a test adds begins in line 7
HEAD = "version: 1\n" + SOURCES + SINKS
#: where a route begins, and where its items go
ROUTE, TO = "routes:\n  - name: all\n", "    to: [{sink: rows}]\n"


def route(line: str) -> str:
    """A route with a line of its own."""
    return f"{ROUTE}    {line}\n{TO}"


def reads(said: str) -> str:
    """A route whose `read` says that."""
    return route(f"read: {{{said}}}")


def expects(said: str) -> str:
    """A route whose `expect` says that."""
    return route(f"expect: {{{said}}}")


def sends(said: str, sink: str = "rows", read: str = "") -> str:
    """A route whose target says that."""
    line = f"    read: {{{read}}}\n" if read else ""
    return f"{ROUTE}{line}    to: [{{sink: {sink}, {said}}}]\n"


def table(folder: Path, text: str, environ: dict[str, str] | None = None) -> RouteTable:
    path = folder / "runrelay.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, ENVIRON if environ is None else environ)


def told(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    """Every problem as it is printed, without the folder."""
    try:
        table(folder, text, environ)
    except ConfigInvalid as exc:
        return [str(problem).replace(f"{folder}/", "") for problem in exc.problems]
    return []
