"""Guards, each with a way to break it: `make mutants` breaks one after the other and expects a test to see it.

A mutant is a TOML file in this folder:

    guards = "what would no longer be true"
    file = "workers/lua/states.lua"      # beside it nothing changes
    find = "text that stands there once"
    replace = "what stands there instead"
    tests = ["tests/workers/ledger"]     # at least one of these must go red
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent


@dataclass(frozen=True)
class Mutant:
    """See above; `name` is the file's."""

    name: str
    guards: str
    file: str
    find: str
    replace: str
    tests: list[str]

    def applied(self, text: str) -> str:
        """Raises ValueError unless the text to replace stands there exactly once."""
        if (count := text.count(self.find)) != 1:
            raise ValueError(f"{self.name}: what it replaces stands {count} times in {self.file}")
        return text.replace(self.find, self.replace)


def mutants() -> list[Mutant]:
    return [Mutant(path.stem, **tomllib.loads(path.read_text())) for path in sorted(FOLDER.glob("*.toml"))]
