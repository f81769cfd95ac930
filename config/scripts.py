"""Lua scripts: each a file, with the shared prelude in front. A step that changes two things in Redis is one script."""

from functools import cache
from importlib.resources import files


@cache
def script(package: str, name: str, *preludes: str) -> str:
    """The text of `<package>/lua/<name>.lua`, ready for Redis, behind the shared prelude and the package's own.
    Its first argument is the namespace."""
    parts = [("config", "clock"), ("config", "lanes"), *((package, prelude) for prelude in preludes), (package, name)]
    return "\n".join(files(where).joinpath(f"lua/{what}.lua").read_text() for where, what in parts)
