"""The folder a demo leaves its results in. A later demo may take it over: it removes what a demo made, nothing else."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from console.demo.guests import Guest, written_into
from console.failures import CommandFailed

#: Lists the files a demo made, so that the next one knows what is its own.
MARK = ".runrelay-demo.json"
_ROUTES = Path(__file__).with_name("runrelay.yaml")
_ALWAYS = ("runrelay.yaml", "modules.jsonl", "far-side.jsonl", "log.txt")


@dataclass(frozen=True)
class DemoFolder:
    """Where everything is."""

    path: Path

    @property
    def routes(self) -> Path:
        return self.path / "runrelay.yaml"

    @property
    def modules(self) -> Path:
        return self.path / "modules.jsonl"

    @property
    def far_side(self) -> Path:
        return self.path / "far-side.jsonl"

    @property
    def records(self) -> Path:
        return self.path / "records"

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"


@contextmanager
def demo_folder(path: Path, guests: Mapping[str, Guest] | None = None) -> Iterator[DemoFolder]:
    """A folder with nothing in it but the routes file, with the guests in it, and what is not a demo's.

    Raises CommandFailed if the path holds anything that no demo made.
    """
    path = path.absolute()
    _clear(path)
    path.mkdir(parents=True, exist_ok=True)
    kept = _files(path)
    _mark(path, _ALWAYS)
    folder = DemoFolder(path)
    folder.routes.write_text(written_into(_ROUTES.read_text(encoding="utf-8"), guests or {}), encoding="utf-8")
    folder.log("").parent.mkdir(exist_ok=True)
    try:
        yield folder
    finally:
        _mark(path, sorted(_files(path) - kept - {MARK}))


def _clear(path: Path) -> None:
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path / MARK).is_file():
        message = f"{path} is not empty and not from an earlier demo: name another folder with --out"
        raise CommandFailed("folder_not_empty", message)
    for name in _made(path):
        (path / name).unlink(missing_ok=True)
    for below in sorted((each for each in path.rglob("*") if each.is_dir() and not each.is_symlink()), reverse=True):
        with suppress(OSError):  # somebody else's file is in it
            below.rmdir()


def _made(path: Path) -> list[str]:
    """Names of files, all of them really below the folder, whatever the list says."""
    try:
        names = json.loads((path / MARK).read_text())["files"]
        below = [name for name in names if (path / name).parent.resolve().is_relative_to(path.resolve())]
    except (OSError, ValueError, KeyError, TypeError):
        message = f"{path / MARK} cannot be read: remove the folder, or name another one with --out"
        raise CommandFailed("folder_not_empty", message) from None
    return [name for name in below if (path / name).is_file() or (path / name).is_symlink()]


def _files(path: Path) -> set[str]:
    return {str(each.relative_to(path)) for each in path.rglob("*") if each.is_file() or each.is_symlink()}


def _mark(path: Path, names: tuple[str, ...] | list[str]) -> None:
    (path / MARK).write_text(json.dumps({"about": "files made by `runrelay demo`", "files": list(names)}, indent=1))
