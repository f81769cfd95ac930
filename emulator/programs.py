"""Actors as programs: a folder each, with an `actor.yaml` that names the command. Nothing else can be run."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml

from emulator.settings import EmulatorError
from emulator.stamps import stable_id, stamp

BUILT_IN = Path(__file__).parent / "actors"
BUILT_IN_OWNER = "runrelay"
BUILD_NUMBER = "0.0.1"
BUILD_TAG = "latest"


class Manifest(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """`actor.yaml`. `command` is a list; `{python}` in it is the interpreter the emulator runs on.

    `input` is an Apify input schema; `timeoutSecs` (0 = none) and `memoryMbytes` are the defaults of a run.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    command: Annotated[list[str], msgspec.Meta(min_length=1)]
    title: str = ""
    description: str = ""
    input: dict[str, Any] | None = None
    timeout_secs: Annotated[int, msgspec.Meta(ge=0)] = 3600
    memory_mbytes: Annotated[int, msgspec.Meta(ge=128, le=32768)] = 1024


@dataclass(frozen=True)
class Program:
    """One Actor that can be run."""

    owner: str
    folder: Path
    manifest: Manifest
    created: str

    @property
    def full_name(self) -> str:
        """`owner~name`, the spelling of ids in URLs."""
        return f"{self.owner}~{self.manifest.name}"

    @property
    def id(self) -> str:
        """The Actor's id: the same in every emulator."""
        return stable_id(self.full_name)

    @property
    def build_id(self) -> str:
        """The id of its only build."""
        return stable_id(f"{self.full_name} build")

    @property
    def command(self) -> list[str]:
        """The command line, interpreter filled in."""
        return [word.replace("{python}", sys.executable) for word in self.manifest.command]


class Programs:
    """The Actors of one emulator: the built-in ones and those of the folders it was given."""

    def __init__(self, username: str, folders: tuple[Path, ...]) -> None:
        found = [*_load_all(BUILT_IN_OWNER, BUILT_IN)]
        for folder in folders:
            if not folder.is_dir():
                raise EmulatorError(f"--actors: {folder} is not a folder.")
            found += _load_all(username, folder)
        self._by_name = {program.full_name: program for program in found}
        if len(self._by_name) < len(found):
            raise EmulatorError("--actors: two Actors have the same name.")
        self._by_id = {program.id: program for program in found}

    def find(self, id_: str) -> Program | None:
        """An Actor by id, `username~name` or `username/name`."""
        return self._by_id.get(id_) or self._by_name.get(id_.replace("/", "~", 1))

    def all(self) -> list[Program]:
        """Every Actor, by name."""
        return [self._by_name[name] for name in sorted(self._by_name)]


def _load_all(owner: str, folder: Path) -> Iterator[Program]:
    for path in sorted(folder.glob("*/actor.yaml")):
        yield Program(owner, path.parent.resolve(), _load(path), stamp())


def _load(path: Path) -> Manifest:
    try:
        return msgspec.convert(yaml.safe_load(path.read_text("utf-8")), Manifest)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise EmulatorError(f"{path}: {error}") from error
