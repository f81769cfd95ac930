"""A YAML file as plain values, each with its place.

YAML 1.2 core schema (https://yaml.org/spec/1.2.2/#103-core-schema): `on`, `no` and `12:30` are text. What could make
a file mean something else than it seems to is refused: duplicate keys, tags, anchors and aliases, a second document,
keys that are not text, values left empty.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yamlcore import CCoreLoader

from config import traps
from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from config.footprint import endless

MAX_BYTES = 1024**2
MAX_DEPTH = 32

#: keys and list indices from the top of the file: ("routes", 0, "to", 1, "sink")
KeyPath = tuple[str | int, ...]
#: 1-based line and column
Place = tuple[int, int]

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a part of a document comes from: its file, and what its path is there."""

    file: str
    path: KeyPath


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, before `${…}` is filled in.

    Attributes:
        file: its name as the user gave it; empty when there is no file.
        value: mappings, lists, text, numbers and truth values.
        places: where each value starts.
        keys: where each key starts.
        problems: what is wrong with it as YAML.
        broken: paths whose value could not be told; more complaints about them would only confuse.
        origins: the parts that come from other files.
        files: the names of all of them in order, if there are several.
    """

    file: str
    value: Any
    places: dict[KeyPath, Place] = field(default_factory=dict)
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    broken: frozenset[KeyPath] = frozenset()
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def problem(self, message: str, path: KeyPath, *, key: bool = False) -> Problem:
        """One with the value at `path`, or with its key."""
        origin = self.origin(path)
        return Problem(message, origin.file, *self.place(path, key=key), written(origin.path))

    def origin(self, path: KeyPath) -> Origin:
        for end in range(len(path) + 1):
            if origin := self.origins.get(path[:end]):
                return Origin(origin.file, (*origin.path, *path[end:]))
        return Origin(self.file, path)

    def rank(self, problem: Problem) -> tuple[int, int, int]:
        """Problems that are sorted by this stand as they do in the files."""
        file = self.files.index(problem.file) if problem.file in self.files else 0
        return file, problem.line, problem.column

    def place(self, path: KeyPath, *, key: bool = False) -> Place:
        """Where `path` stands, or the nearest thing around it that the file has; (0, 0) without a file."""
        first, second = (self.keys, self.places) if key else (self.places, self.keys)
        for end in range(len(path), -1, -1):
            found = first.get(path[:end]) or second.get(path[:end])
            if found:
                return found
        return (0, 0)

    def at(self, path: KeyPath) -> Any:
        """The value as written; None if there is none."""
        return descend(self.value, path)


def descend(value: Any, path: KeyPath) -> Any:
    """What stands at `path` inside `value`; None if nothing does."""
    for part in path:
        if not holds(value, part):
            return None
        value = value[part]
    return value


def holds(value: Any, part: str | int) -> bool:
    """Whether `value[part]` is one step down into a mapping or a list."""
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def written(path: KeyPath) -> str:
    """`routes[0].to[1].sink`"""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def read(path: Path) -> Document:
    """Read and parse a file.

    Raises ConfigInvalid if it cannot be read or is no YAML at all; lesser troubles are in `Document.problems`.
    """
    if endless(path):
        raise ConfigInvalid([Problem("this is a pipe or a device: only files are read", str(path))])
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise _unreadable(path, exc) from None
    if len(raw) > MAX_BYTES:
        raise ConfigInvalid([Problem("the file is larger than 1 MiB, which no routes file should be", str(path))])
    return parse(_decoded(raw, str(path)), str(path))


def parse(text: str, file: str) -> Document:
    """Parse YAML text; `file` is named in every problem.

    Raises ConfigInvalid: see `read`.
    """
    if bad := _UNPRINTABLE.search(text):
        message = f"the character U+{ord(bad[0]):04X} cannot stand in YAML: remove it"
        raise ConfigInvalid([Problem(message, file, *_place_of(text, bad.start()))])
    return _Reading(text, file).document()


def _unreadable(path: Path, exc: OSError) -> ConfigInvalid:
    if isinstance(exc, FileNotFoundError):
        message = "there is no such file: `runrelay init` writes one to start from, `--config` names another"
    else:
        message = f"the file cannot be read: {exc.strerror}"
    return ConfigInvalid([Problem(message, str(path))])


def _decoded(raw: bytes, file: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        before = raw[: exc.start].decode()
        message = "the file is not UTF-8 from here on: save it as UTF-8"
        raise ConfigInvalid([Problem(message, file, *_place_of(before, len(before)))]) from None


def _place_of(text: str, offset: int) -> Place:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _start(event: yaml.Event) -> Place:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


class _Reading:
    """One pass over the events of one text."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.lines = text.splitlines()
        self.loader = CCoreLoader(text)
        self.places: dict[KeyPath, Place] = {}
        self.keys: dict[KeyPath, Place] = {}
        self.problems: list[Problem] = []
        self.broken: set[KeyPath] = set()

    def document(self) -> Document:
        try:
            value = self.whole()
        except yaml.MarkedYAMLError as exc:
            line, column, message = traps.explain(exc, self.lines)
            told = [problem for problem in self.problems if (problem.line, problem.column) == (line, column)]
            before = [problem for problem in self.problems if problem.line != line or problem.column < column]
            raise ConfigInvalid([*before, *(told or [Problem(message, self.file, line, column)])]) from None
        return Document(self.file, value, self.places, self.keys, tuple(self.problems), frozenset(self.broken))

    def whole(self) -> Any:
        events = self.events()
        next(events)  # the stream starts
        if isinstance(next(events), yaml.StreamEndEvent):
            message = "the file is empty: `runrelay init` writes one to start from"
            raise ConfigInvalid([Problem(message, self.file)])
        value = self.value(next(events), ())
        next(events)  # the document ends
        after = next(events)
        if not isinstance(after, yaml.StreamEndEvent):
            message = "a file holds one document: remove this `---` or what follows it"
            self.problems.append(Problem(message, self.file, *_start(after)))
        return value

    def events(self) -> Iterator[yaml.Event]:
        while True:
            yield self.loader.get_event()

    def complain(self, message: str, path: KeyPath, place: Place) -> None:
        self.problems.append(Problem(message, self.file, *place, written(path)))
        self.broken.add(path)

    def value(self, event: yaml.Event, path: KeyPath, *, flow: bool = False) -> Any:
        self.places[path] = _start(event)
        if len(path) > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels"
            raise ConfigInvalid([*self.problems, Problem(message, self.file, *self.places[path])])
        self.refuse_cleverness(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(event, path)
        return self.scalar(event, path, flow=flow) if isinstance(event, yaml.ScalarEvent) else ""

    def refuse_cleverness(self, event: yaml.Event, path: KeyPath) -> None:
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            message = traps.quote(_start(event), self.lines) or "tags, anchors and aliases are not taken here"
            self.complain(message, path, _start(event))

    def mapping(self, start: yaml.MappingStartEvent, path: KeyPath) -> dict[str, Any]:
        value: dict[str, Any] = {}
        while not isinstance(event := self.loader.get_event(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self.skip_pair(event, path, _start(start))
                continue
            key = self.key(event, path)
            below = (*path, key)
            if key in value:
                first = self.keys[below][0]
                self.complain(f"the key `{key}` stands here twice; first in line {first}", below, _start(event))
            self.keys[below] = _start(event)
            value[key] = self.value(self.loader.get_event(), below, flow=bool(start.flow_style))
        return value

    def key(self, event: yaml.ScalarEvent, path: KeyPath) -> str:
        tag = self.loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        if not tag.endswith(":str") or event.tag or event.anchor:
            message = f"a key must be text: put `{event.value}` in quotes"
            self.complain(message, (*path, event.value), _start(event))
        return str(event.value)

    def skip_pair(self, key: yaml.Event, path: KeyPath, outer: Place) -> None:
        """A structure as key: nearly always `{{ … }}` without quotes, which YAML reads as a mapping in a mapping."""
        told = len(self.problems)
        try:
            self.value(key, (*path, "?"))
            self.value(self.loader.get_event(), (*path, "?"))
        finally:
            del self.problems[told:]
        self.complain(traps.quote(outer, self.lines) or "a key must be text", path, outer)

    def sequence(self, start: yaml.SequenceStartEvent, path: KeyPath) -> list[Any]:
        value: list[Any] = []
        while not isinstance(event := self.loader.get_event(), yaml.SequenceEndEvent):
            value.append(self.value(event, (*path, len(value)), flow=bool(start.flow_style)))
        return value

    def scalar(self, event: yaml.ScalarEvent, path: KeyPath, *, flow: bool) -> str | int | float | bool:
        if event.tag:
            return str(event.value)
        tag = self.loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        try:
            value = self.loader.construct_object(yaml.ScalarNode(tag, event.value))
        except ValueError:  # Python refuses integers of thousands of digits
            value = math.inf
        if isinstance(value, float) and not math.isfinite(value):
            self.complain("not a number that can be used here", path, _start(event))
            return 0
        if value is None:
            self.complain(_no_value(event, flow), path, _start(event))
            return ""
        return value  # type: ignore[no-any-return]  # the loader is untyped


def _no_value(event: yaml.ScalarEvent, flow: bool) -> str:
    if event.value:
        return f"`{event.value}` is no value here: leave the key out"
    if flow:
        return "has no value: write one; inside {…} and […] a comma ends a value, so text with commas needs quotes"
    return "has no value: write one, or leave the key out"
