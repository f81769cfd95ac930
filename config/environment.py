"""Fills `${…}` in values, never in the text of a file: what a variable holds cannot become structure.

`${NAME}` · `${NAME:-default}` (also when NAME is set but empty) · `${file:NAME}` (a file's text without its last line
break, as container platforms mount secrets) · `$${` for a literal `${`.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from config.document import KeyPath
from config.footprint import Looked, Seen, endless, footprint
from config.language.filled import Part

MAX_FILE_BYTES = 64 * 1024

_REFERENCE = re.compile(r"\$(?:(?P<escape>\$)(?=\{)|\{(?P<inner>[^{}]*)\}|(?P<open>\{))")
_INNER = re.compile(r"file:(?P<file>.+)|(?P<name>[A-Za-z_]\w*)(?::-(?P<default>.*))?", re.ASCII | re.DOTALL)


class Unfilled(Exception):
    """A reference that cannot be filled: `what` names it, the message says what to do."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(message)
        self.what = what


@dataclass(frozen=True, slots=True)
class Environment:
    """Where `${…}` is looked up. Its values never show in a repr, and stay what they were when first asked for.

    Attributes:
        variables: name → value.
        folder: where `${file:NAME}` looks for a relative NAME.
        looked_at: every file and pattern that was asked for, with what was seen right before.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path = Path()
    looked_at: dict[Looked, Seen] = field(default_factory=dict, repr=False, compare=False)
    _texts: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def beside(cls, path: Path, environ: Mapping[str, str] | None = None) -> "Environment":
        """The process's environment (or `environ`), with a `.env` beside `path` for what it does not set.

        Raises ConfigInvalid if that file is there and cannot be read.
        """
        file = path.parent / ".env"
        looked_at: dict[Looked, Seen] = {file: footprint(file)}
        return cls({**_beside(file), **(os.environ if environ is None else environ)}, path.parent, looked_at)

    def value(self, reference: str) -> str:
        """What stands between `${` and `}`, looked up.

        Raises Unfilled.
        """
        match = _INNER.fullmatch(reference)
        if match is None:
            raise Unfilled(reference, "write ${NAME}, ${NAME:-default} or ${file:NAME}; for a literal ${ write $${")
        if name := match["file"]:
            if name not in self._texts:
                self._texts[name] = self._text(name)
            return self._texts[name]
        found = self.variables.get(match["name"])
        if match["default"] is not None:
            return found or match["default"]
        if found is None:
            name = match["name"]
            hint = f"set it in the environment or in .env beside this file, or write ${{{name}:-default}}"
            raise Unfilled(name, f"the variable {name} is not set: {hint}")
        return found

    def _text(self, name: str) -> str:
        path = self.folder / name
        self.looked_at[path] = footprint(path)
        if endless(path):
            raise Unfilled(f"file:{name}", f"the file {name} cannot be read: it is a pipe or a device")
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_FILE_BYTES + 1)
            if len(raw) > MAX_FILE_BYTES:
                raise Unfilled(f"file:{name}", f"the file {name} is larger than 64 KiB")
            return raw.decode().removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError, ValueError) as exc:
            why = getattr(exc, "strerror", None) or "it is not UTF-8"
            raise Unfilled(f"file:{name}", f"the file {name} cannot be read: {why}") from None


def _beside(path: Path) -> dict[str, str]:
    try:
        found = dotenv_values(path, interpolate=False)
    except (OSError, UnicodeDecodeError) as exc:
        why = getattr(exc, "strerror", None) or "it is not UTF-8"
        raise ConfigInvalid([Problem(f"the file cannot be read: {why}", str(path))]) from None
    return {name: value for name, value in found.items() if value is not None}


@dataclass(slots=True)
class Filled:
    """A value tree with its references filled.

    Attributes:
        value: the same shape as before.
        used: what was put in, by path: (reference as written, value).
        texts: where it was put, by the text that came of it.
        failed: references that could not be filled, by path; their text is left as it was.
    """

    value: Any = None
    used: dict[KeyPath, list[tuple[str, str]]] = field(default_factory=dict, repr=False)
    texts: dict[str, tuple[Part, ...]] = field(default_factory=dict, repr=False)
    failed: dict[KeyPath, list[Unfilled]] = field(default_factory=dict)


def fill(value: Any, environment: Environment) -> Filled:
    """Fill every text in a tree of mappings, lists and scalars. Keys are left alone."""
    filled = Filled()
    filled.value = _fill(value, environment, (), filled)
    return filled


def _fill(value: Any, environment: Environment, path: KeyPath, filled: Filled) -> Any:
    if isinstance(value, dict):
        return {key: _fill(below, environment, (*path, key), filled) for key, below in value.items()}
    if isinstance(value, list):
        return [_fill(below, environment, (*path, index), filled) for index, below in enumerate(value)]
    return _fill_text(value, environment, path, filled) if isinstance(value, str) else value


def _fill_text(text: str, environment: Environment, path: KeyPath, filled: Filled) -> str:
    parts: list[Part] = []
    longer = 0

    def replaced(match: re.Match[str]) -> str:
        nonlocal longer
        if match["escape"]:
            longer -= 1
            return "$"
        try:
            if match["open"]:
                raise Unfilled(text, "a `${` without its `}`; for a literal ${ write $${")
            found = environment.value(match["inner"])
        except Unfilled as exc:
            filled.failed.setdefault(path, []).append(exc)
            return match[0]
        filled.used.setdefault(path, []).append((match[0], found))
        begin = match.start() + longer
        parts.append(Part(begin, begin + len(found), match[0]))
        longer += len(found) - len(match[0])
        return found

    whole = _REFERENCE.sub(replaced, text)
    if parts:
        filled.texts[whole] = tuple(parts)
    return whole
