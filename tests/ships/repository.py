"""Where the files we ship lie, and the tools that read them."""

import shutil
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tool(name: str) -> str:
    """Path of a program: the one installed beside this Python, else the system's."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    assert found, f"{name} is not installed: make setup-dev"
    return found
