"""Places in JSON, written `a.b.0.c`: keys, and places in lists, joined by dots."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field

from config.wire.forms import Form

PATTERN = r"[A-Za-z0-9_$@-]+(\.[A-Za-z0-9_$@-]+)*"
WORDS = "keys and places in lists joined by dots, such as `data.items.0`"
Place = Annotated[str, Form(PATTERN, WORDS), Field(max_length=200)]


@lru_cache(maxsize=1024)
def steps(place: str) -> tuple[str, ...]:
    """The steps of a written place."""
    return tuple(place.split("."))


def at(found: Any, steps: Sequence[str]) -> Any:
    """What these steps lead to; a number is a place in a list, or a key. None if nothing does."""
    for step in steps:
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def first(found: Any, places: Iterable[str]) -> Any:
    """What the first of these places holds that holds anything but null; None if none does."""
    return next((value for place in places if (value := at(found, steps(place))) is not None), None)
