"""What tells that a file is no longer the one that was read."""

from pathlib import Path

#: real path, device, inode, bytes, and when it was last written (ns); None: there is no such file, or it is hidden
Footprint = tuple[str, int, int, int, int] | None


def footprint(path: Path) -> Footprint:
    """Links are followed: Kubernetes swaps a folder behind one, and each file in it keeps name, size and age."""
    try:
        found = path.stat()
        return str(path.resolve()), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    except (OSError, ValueError, RuntimeError):  # a name with a null byte; a circle of links
        return None
