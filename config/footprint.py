"""What tells that a file is no longer the one that was read."""

import glob
import stat
from pathlib import Path
from typing import NamedTuple

#: real path, device, inode, bytes, and when it was last written (ns); None: there is no such file, or it is hidden
Footprint = tuple[str, int, int, int, int] | None


_OPENED = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")


class Pattern(NamedTuple):
    """Files below a folder, such as `routes/*.yaml`; `*` stands for no hidden ones."""

    folder: Path
    text: str


#: What can be looked at, and what is seen there: of a pattern, the names that fit it.
Looked = Path | Pattern
Seen = Footprint | tuple[str, ...]


def footprint(path: Path) -> Footprint:
    """Links are followed: Kubernetes swaps a folder behind one, and each file in it keeps name, size and age."""
    try:
        found = path.stat()
        return str(path.resolve()), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    except (OSError, ValueError, RuntimeError):  # a name with a null byte; a circle of links
        return None


def endless(path: Path) -> bool:
    """Whether it is a pipe, a device or a socket, which may have no end, or make us wait for a beginning. What a shell
    opened for us (`/dev/stdin`, `<(…)`) comes from somebody who waits for us."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError, RuntimeError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or str(path).startswith(_OPENED))


def fitting(pattern: Pattern) -> tuple[str, ...]:
    """Names as seen from its folder, sorted."""
    found = glob.iglob(pattern.text, root_dir=pattern.folder)  # noqa: PTH207  # of Path, `*` takes hidden files as well
    return tuple(sorted(found))


def seen(what: Looked) -> Seen:
    """It is another when what is looked at has changed."""
    return fitting(what) if isinstance(what, Pattern) else footprint(what)
