"""Actors as programs: a folder each, with an Actor's own definition or an `actor.yaml`. Nothing else can be run."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emulator.commands import PYTHON
from emulator.manifest import Manifest, is_actor, read_manifest
from emulator.settings import EmulatorError
from emulator.stamps import stable_id, stamp

BUILT_IN = Path(__file__).parent / "actors"
BUILT_IN_OWNER = "runrelay"
_VIRTUAL_ENVIRONMENTS = (".venv", "venv")


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
    def build_number(self) -> str:
        """Of its only build, `1.2.1` for version 1.2."""
        return f"{self.manifest.version}.1"

    @property
    def build_tag(self) -> str:
        """Of its only build."""
        return self.manifest.build_tag

    @property
    def memory_range(self) -> tuple[int, int]:
        """The least and the most memory of a run, in megabytes."""
        return self.manifest.min_memory_mbytes, self.manifest.max_memory_mbytes

    @property
    def python(self) -> Path:
        """The interpreter it runs on: that of its own virtual environment, else the emulator's."""
        own = (self.folder / name / "bin" / "python" for name in _VIRTUAL_ENVIRONMENTS)
        return next((path for path in own if path.exists()), Path(sys.executable))

    @property
    def command(self) -> list[str]:
        """The command line, interpreter filled in; empty for a scripted Actor."""
        return [word.replace(PYTHON, str(self.python)) for word in self.manifest.command or ()]


class Programs:
    """The Actors of one emulator: the built-in ones and those of the folders it was given."""

    def __init__(self, username: str, folders: tuple[Path, ...]) -> None:
        found = {program.folder: program for program in _load_all(BUILT_IN_OWNER, BUILT_IN)}
        for folder in folders:
            if not folder.is_dir():
                raise EmulatorError(f"--actors: {folder} is not a folder.")
            found |= {program.folder: program for program in _load_all(username, folder)}
        self._by_name = {program.full_name: program for program in found.values()}
        if len(self._by_name) < len(found):
            raise EmulatorError("--actors: two Actors have the same name.")
        self._by_id = {program.id: program for program in found.values()}

    def find(self, id_: str) -> Program | None:
        """An Actor by id, `username~name` or `username/name`."""
        return self._by_id.get(id_) or self._by_name.get(id_.replace("/", "~", 1))

    def of_build(self, build_id: str) -> Program | None:
        """The Actor whose only build has this id."""
        return next((program for program in self._by_id.values() if program.build_id == build_id), None)

    def all(self) -> list[Program]:
        """Every Actor, by name."""
        return [self._by_name[name] for name in sorted(self._by_name)]


def load(owner: str, folder: Path) -> Program:
    """The Actor in this folder. Raises: EmulatorError if its files cannot be meant."""
    home = folder.resolve()
    return Program(owner, home, read_manifest(home), stamp())


def _load_all(owner: str, folder: Path) -> Iterator[Program]:
    """The Actor that the folder is, or those in it."""
    homes = [folder] if is_actor(folder) else sorted(path for path in folder.iterdir() if is_actor(path))
    for home in homes:
        yield load(owner, home)
