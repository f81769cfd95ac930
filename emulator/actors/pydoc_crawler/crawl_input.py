"""What the run was asked to do: the input record, checked."""

from collections.abc import Mapping
from dataclasses import dataclass

from .failures import InputRefused


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
        max_modules=_whole(record, "maxModules", CrawlInput.max_modules, least=0),
        concurrency=_whole(record, "concurrency", CrawlInput.concurrency, least=1),
        page_timeout=_positive(record, "pageTimeoutSecs", CrawlInput.page_timeout),
    )


def _whole(record: Mapping[str, object], field: str, default: int, *, least: int) -> int:
    value = record.get(field, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputRefused(f"{field} is not a whole number of {least} or more")
    return value


def _positive(record: Mapping[str, object], field: str, default: float) -> float:
    value = record.get(field, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        raise InputRefused(f"{field} is not a number of seconds above 0")
    return float(value)
