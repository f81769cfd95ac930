"""What the run was asked to do: the input record, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from .failures import InputRefused

LEAST_TIMEOUT = 0.0001  # seconds; in effect: no page arrives in time


@dataclass(frozen=True)
class CrawlInput:
    """The Actor's input. `actor.yaml` describes the same three fields for the platform."""

    max_modules: int = 0  # 0: all
    concurrency: int = 4  # documentation servers
    page_timeout: float = 10.0  # seconds for one page


def parse_input(record: object) -> CrawlInput:
    """Reads `{"maxModules": int, "concurrency": int, "pageTimeoutSecs": number}`; every field may be left out.

    Raises: InputRefused for another shape, or for a number out of its range.
    """
    if not isinstance(record, Mapping):
        raise InputRefused("the input is not a JSON object")
    return CrawlInput(
        max_modules=_whole(record, "maxModules", CrawlInput.max_modules, range(10_000)),
        concurrency=_whole(record, "concurrency", CrawlInput.concurrency, range(1, 17)),
        page_timeout=_seconds(record, "pageTimeoutSecs", CrawlInput.page_timeout),
    )


def _whole(record: Mapping[str, object], field: str, default: int, allowed: range) -> int:
    value = record.get(field, default)
    if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
        raise InputRefused(f"{field} is not a whole number from {allowed[0]} to {allowed[-1]}")
    return value


def _seconds(record: Mapping[str, object], field: str, default: float) -> float:
    value = record.get(field, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not LEAST_TIMEOUT <= value < inf:
        raise InputRefused(f"{field} is not a number of seconds of {LEAST_TIMEOUT} or more")
    return float(value)
