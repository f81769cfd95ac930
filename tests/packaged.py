"""The packages in examples/ as their users get them."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


def unpacked(example: Path, factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel: that is what installing does."""
    built, site = factory.mktemp("built"), factory.mktemp("site")
    ran([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)], {}, example)
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    return site


def ran(command: list[str], environment: dict[str, str], folder: Path) -> str:
    """What it says. environment: besides our own."""
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
