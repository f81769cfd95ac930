"""How commands talk: results on stdout, everything else on stderr. With `--json` stdout has one JSON object a line,
errors included: `{"kind", "message"}`, and `"problems"` for a configuration that cannot be used."""

import json
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from config.contracts.errors import ConfigInvalid
from config.logs import CONTROL, escaped, masked

#: Columns of a table that goes into a file or a pipe.
FILE_WIDTH = 120


class Output:
    """One command's voice."""

    def __init__(self, json: bool) -> None:
        self.json = json
        width = None if sys.stdout.isatty() else FILE_WIDTH
        self.out = Console(highlight=False, markup=False, emoji=False, width=width)
        self.err = Console(stderr=True, highlight=False, markup=False, emoji=False)

    def fact(self, **facts: Any) -> None:
        """A line for scripts; nothing without `--json`."""
        if self.json:
            self.object(facts)

    def object(self, facts: Mapping[str, Any]) -> None:
        sys.stdout.write(_json(facts) + "\n")
        sys.stdout.flush()

    def tell(self, line: str) -> None:
        """A line of the result for people; nothing with `--json`."""
        if not self.json:
            self.out.print(_lines(line), soft_wrap=True)

    def flow(self, text: str, *, indent: str = "") -> None:
        """Prose of ours: paragraphs as wide as the console. `indent`: what each line but the first begins with."""
        wrap = textwrap.TextWrapper(
            self.out.width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
        self.tell("\n\n".join(part if _is_set(part) else wrap.fill(part) for part in text.split("\n\n")))

    def show(self, what: Any) -> None:
        """A table or the like, for people."""
        if not self.json:
            self.out.print(_lines(what) if isinstance(what, str) else what)

    def note(self, line: str) -> None:
        """Progress or advice, on stderr."""
        self.err.print(_lines(line), soft_wrap=True)

    def ask(self, question: str) -> None:
        """A question, on stderr, whose answer is typed behind it."""
        self.err.print(_lines(question), soft_wrap=True, end="")


def report(kind: str, message: str, *, json: bool) -> None:
    """Say why a command ends without having done its work."""
    message = masked(message)
    if json:
        Output(json=True).fact(kind=kind, message=message)
    else:
        # indented, so that what somebody else said does not look like a line of ours
        print("\n  ".join(map(escaped, f"runrelay: {message}".splitlines())), file=sys.stderr)


def report_problems(invalid: ConfigInvalid, *, json: bool) -> None:
    """Every problem on its own line: `runrelay.yaml:LINE:COL: path: message`."""
    if json:
        problems = [msgspec.to_builtins(problem) for problem in invalid.problems]
        Output(json=True).fact(kind="config_invalid", message=masked(str(invalid)), problems=problems)
        return
    for problem in invalid.problems:
        print(escaped(masked(str(problem))), file=sys.stderr)


def _lines(text: str) -> str:
    """Our own line breaks stay; nothing else moves the cursor, whoever's words a line repeats."""
    return "\n".join(map(escaped, text.split("\n")))


def _is_set(paragraph: str) -> bool:
    """Whether its lines are as they should stay: code, or a list."""
    return any(line.startswith((" ", "- ")) for line in paragraph.splitlines())


def _json(facts: Mapping[str, Any]) -> str:
    """On one line. What could steer the terminal it is shown on can only stand inside of strings, and is escaped."""
    text = json.dumps(msgspec.to_builtins(facts), ensure_ascii=False, separators=(",", ":"))
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def plain(text: object, most: int = 200) -> Text:
    """Text of others, safe for a terminal: nothing in it is markup or moves the cursor."""
    said = escaped(masked(str(text)))
    return Text(said if len(said) <= most else f"{said[: most - 1]}…")


def ours(text: str) -> Text:
    """Text of our own pages: as it was written, so that an example of a URL keeps its `user:password@`."""
    return Text(escaped(text))
