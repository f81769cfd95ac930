"""The start command of an Actor that was written for Apify: there it is the last word of its Dockerfile."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

DOCKERFILES = (Path(".actor", "Dockerfile"), Path("Dockerfile"))
PYTHON = "{python}"

_CONTINUED = re.compile(r"\\[ \t]*\n")
_COMMENT = re.compile(r"^[ \t]*#.*\n?", re.MULTILINE)
_PYTHON = re.compile(r"(.*/)?python(\d+(\.\d+)?)?")


class NoCommand(Exception):
    """The folder does not say how its Actor is started; the message says what was looked at."""


def start_command(folder: Path, dockerfile: Path | None = None) -> list[str]:
    """How the Actor in this folder is started: by its Dockerfile, else as a Python package or script, else by npm.

    Args:
        dockerfile: the one that `actor.json` names; None looks at the usual places.
    Raises: NoCommand.
    """
    for path in [dockerfile] if dockerfile else [folder / name for name in DOCKERFILES]:
        if path.is_file() and (command := docker_command(path.read_text("utf-8", "replace"))):
            return _with_interpreter(command)
    return _of_python(folder) or _of_npm(folder) or _unknown()


def docker_command(text: str) -> list[str]:
    """ENTRYPOINT and CMD of the last stage of a Dockerfile, empty if there are none (Dockerfile reference)."""
    entrypoint: list[str] = []
    arguments: list[str] = []
    for instruction, rest in _instructions(text):
        if instruction == "FROM":
            entrypoint, arguments = [], []
        elif instruction == "ENTRYPOINT":
            entrypoint, arguments = _words(rest), []
        elif instruction == "CMD":
            arguments = _words(rest)
    return [*entrypoint, *arguments]


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    for line in _CONTINUED.sub(" ", _COMMENT.sub("", text.replace("\r\n", "\n"))).splitlines():
        instruction, *rest = line.split(maxsplit=1)[:2] or [""]
        yield instruction.upper(), "".join(rest).strip()


def _words(form: str) -> list[str]:
    """The exec form is a JSON list of words; everything else is a line for the shell."""
    if not form:
        return []
    try:
        return msgspec.json.decode(form, type=list[str])
    except msgspec.MsgspecError:
        return ["/bin/sh", "-c", form]


def _with_interpreter(command: list[str]) -> list[str]:
    first, *rest = command
    return [PYTHON if _PYTHON.fullmatch(first) else first, *rest]


def _of_python(folder: Path) -> list[str] | None:
    packages = sorted(path.parent.name for path in folder.glob("*/__main__.py"))
    if "src" in packages:
        packages = ["src"]
    if len(packages) == 1:
        return [PYTHON, "-m", packages[0]]
    return [PYTHON, "main.py"] if (folder / "main.py").is_file() else None


def _of_npm(folder: Path) -> list[str] | None:
    try:
        package = msgspec.json.decode((folder / "package.json").read_bytes(), type=dict[str, object])
        scripts = msgspec.convert(package.get("scripts"), dict[str, str])
    except (OSError, ValueError):
        return None
    return ["npm", "start", "--silent"] if "start" in scripts else None


def _unknown() -> list[str]:
    raise NoCommand(
        "nothing says how this Actor is started: no CMD in .actor/Dockerfile or Dockerfile, no package with a"
        " __main__.py, no main.py, no start script in package.json."
    )
