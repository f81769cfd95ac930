"""The receiver and the workers know no platform: adding one touches `config/sources` only."""

import re
from pathlib import Path

import pytest

from config import plugins

ROOT = Path(__file__).resolve().parent.parent.parent
#: Starts Actors: it is about one platform.
EXCEPT = {"workers/sinks/actor.py"}


def names() -> list[str]:
    return [name for name in plugins.known("config.sources", plugins.SOURCES) if name != "generic"]


@pytest.mark.parametrize("room", ["receiver", "workers"])
def test_a_room_names_no_platform(room: str) -> None:
    platforms = re.compile("|".join(names()).encode(), re.IGNORECASE)
    files = [path for path in (ROOT / room).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    naming = {path.relative_to(ROOT).as_posix() for path in files if platforms.search(path.read_bytes())}
    assert naming - EXCEPT == set()


def test_the_platforms_are_known() -> None:
    assert names() == ["apify", "ittybit"]
