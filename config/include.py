"""`include`: sinks, routes and tests of a routes file that stand in files of their own, in its folder or below.

They come after those of the file itself, in the order in which it names them: what stands later is matched later.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from config.contracts.errors import ConfigInvalid
from config.contracts.problem import Problem
from config.document import MAX_BYTES, MAX_DEPTH, Document, KeyPath, Origin, read, written
from config.environment import Environment
from config.footprint import Pattern, fitting, footprint
from config.nearest import guess
from config.shapes import FileShape, keys

MAX_FILES = 100
#: Characters of a pattern.
MAX_LENGTH = 1000
#: What an included file may have, and what it then is.
PARTS: dict[str, type] = {"sinks": dict, "routes": list, "tests": list}
#: How many of its steps a path changes when an included file is put into the whole: `routes[0]` becomes `routes[7]`.
_STEPS = 2


def whole(main: Document, path: Path, environment: Environment) -> Document:
    """The document of the file at `path` with those it includes. What is wrong with them is in its `problems`."""
    including = _Including(main, path, environment)
    for at, pattern in _patterns(main):
        including.add(pattern, at)
    including.read()
    return including.document()


def _patterns(main: Document) -> Iterator[tuple[KeyPath, str]]:
    """Each with its place; what is no text, the shape of the file complains about."""
    said = main.at(("include",))
    if isinstance(said, str):
        yield ("include",), said
    for index, pattern in enumerate(said if isinstance(said, list) else ()):
        if isinstance(pattern, str):
            yield ("include", index), pattern


class _Including:
    """One document that grows."""

    def __init__(self, main: Document, path: Path, environment: Environment) -> None:
        self.main = main
        self.path = path
        self.environment = environment
        self.value: Any = dict(main.value) if isinstance(main.value, dict) else main.value
        self.places, self.keys = dict(main.places), dict(main.keys)
        self.origins: dict[KeyPath, Origin] = {}
        self.problems = list(main.problems)
        self.broken = set(main.broken)
        self.files: list[Path] = []

    def document(self) -> Document:
        names = (self.main.file, *map(str, self.files))
        problems, broken = tuple(self.problems), frozenset(self.broken)
        return Document(self.main.file, self.value, self.places, self.keys, problems, broken, self.origins, names)

    def add(self, pattern: str, at: KeyPath) -> None:
        """Take up the files that fit a pattern."""
        if wrong := _not_below(pattern):
            self.complain(wrong, at)
            return
        looked = Pattern(self.path.parent, pattern)
        found = fitting(looked)
        self.environment.looked_at[looked] = found
        files = [self.path.parent / name for name in found if self.path.parent / name != self.path]
        if not files:
            self.complain(f"no file beside this one or below is called `{pattern}`", at)
        self.files += [file for file in files if file not in self.files]

    def read(self) -> None:
        """Read all of them, unless they are too many or too large."""
        if len(self.files) > MAX_FILES:
            self.complain(f"these are {len(self.files)} files, and {MAX_FILES} at most are read", ("include",))
            return
        for file in self.files:
            self.environment.looked_at[file] = footprint(file)
        if sum(map(_size, (self.path, *self.files))) > MAX_BYTES:
            self.complain("all files together are larger than 1 MiB, which no routes should be", ("include",))
            return
        for file in self.files:
            try:
                self.append(read(file))
            except ConfigInvalid as exc:
                self.problems += exc.problems

    def append(self, part: Document) -> None:
        """Put what one file says behind what is there."""
        self.problems += part.problems
        if not isinstance(part.value, dict):
            self.say(part, (), "must have `sinks`, `routes` or `tests`")
            return
        for key, value in part.value.items():
            if key not in PARTS:
                self.say(part, (key,), _foreign(key), key=True)
            elif isinstance(value, dict) and PARTS[key] is dict:
                self.named(part, key, value)
            elif isinstance(value, list) and PARTS[key] is list:
                self.listed(part, key, value)
            else:
                self.say(part, (key,), f"must be a {'mapping' if PARTS[key] is dict else 'list'}")
        self.move(part)

    def named(self, part: Document, key: str, value: dict[str, Any]) -> None:
        there = self.value.get(key, {})
        if not isinstance(there, dict):
            return
        there = self.value[key] = dict(there)
        for name, said in value.items():
            if name in there:
                message = f"the sink `{name}` is defined twice: first in {self.first((key, name))}"
                self.say(part, (key, name), message, key=True)
            else:
                there[name] = said
                self.origins[key, name] = Origin(part.file, (key, name))

    def first(self, at: KeyPath) -> str:
        """Where a key stands that is there already."""
        origin = self.origins.get(at)
        return ":".join(map(str, (origin.file if origin else self.main.file, *self.keys[at])))

    def listed(self, part: Document, key: str, value: list[Any]) -> None:
        there = self.value.get(key, [])
        if not isinstance(there, list):
            return
        for index in range(len(value)):
            self.origins[key, len(there) + index] = Origin(part.file, (key, index))
        self.value[key] = [*there, *value]

    def move(self, part: Document) -> None:
        """What stands somewhere in a part stands elsewhere in the whole."""
        new = {origin.path: path for path, origin in self.origins.items() if origin.file == part.file}
        self.places |= _moved(part.places, new)
        self.keys |= _moved(part.keys, new)
        self.broken |= _moved(dict.fromkeys(part.broken), new).keys()

    def complain(self, message: str, at: KeyPath) -> None:
        self.say(self.main, at, message)

    def say(self, part: Document, at: KeyPath, message: str, *, key: bool = False) -> None:
        if not any(at[:end] in part.broken for end in range(len(at) + 1)):
            self.problems.append(Problem(message, part.file, *part.place(at, key=key), written(at)))


def _not_below(pattern: str) -> str:
    """Why this names nothing that is read; empty if it may."""
    parts = Path(pattern).parts
    if not pattern or Path(pattern).is_absolute() or ".." in parts or "\0" in pattern:
        return "only files beside this one and below it are read: name them from here, such as routes/*.yaml"
    if "${" in pattern:
        return "`${…}` is not filled in here: write out which files, such as routes/*.yaml"
    if len(parts) > MAX_DEPTH or len(pattern) > MAX_LENGTH:
        return "the name is too long"
    return "`**` is not taken: name each folder, such as routes/*/*.yaml" if any("**" in part for part in parts) else ""


def _foreign(key: str) -> str:
    if key == "include":
        return "an included file includes nothing itself: name that one in the first file"
    if key in keys(FileShape):
        return f"`{key}` can only stand in the first file: an included one may have {', '.join(PARTS)}"
    return f"there is no key `{key}` here: {guess(key, PARTS)}an included file may have {', '.join(PARTS)}"


def _size(path: Path) -> int:
    found = footprint(path)
    return found[3] if found else 0


def _moved(places: dict[KeyPath, Any], new: dict[KeyPath, KeyPath]) -> dict[KeyPath, Any]:
    """What stands at one of these paths, or below, by its path in the whole."""
    return {(*new[at[:_STEPS]], *at[_STEPS:]): place for at, place in places.items() if at[:_STEPS] in new}
