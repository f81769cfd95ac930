"""Lua scripts: each a file, with the shared prelude in front. A step that changes two things in Redis is one script."""

from functools import cache
from importlib.resources import files

PRELUDE = files("config").joinpath("lua/clock.lua")


@cache
def script(package: str, name: str) -> str:
    """The text of `<package>/lua/<name>.lua`, ready for Redis. Its first argument is the namespace."""
    return PRELUDE.read_text() + files(package).joinpath(f"lua/{name}.lua").read_text()
