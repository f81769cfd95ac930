"""Scripted Actors: what a run leaves and how it ends, told in `actor.yaml` instead of written as a program."""

import re
from typing import Annotated, Any

import msgspec

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)")
_SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class Script(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`script:` of an `actor.yaml`. A run first leaves everything, then stays for its duration, then ends.

    Attributes:
        duration: such as `2s`, `500ms`, `3m` or a number of seconds.
        status: what the run ends with; any word, for one that the API does not know tests whoever reads it.
            None takes it from the exit code.
        exit_code: None is 0 if the status is SUCCEEDED or not given, else 1.
        status_message: None leaves it to the platform.
        log: lines of the run's log.
        items: rows of the default dataset.
        rows: instead, how many rows it has; they are made whenever they are read, with `item` as their template.
        records: of the default key-value store by key; a text is kept as `text/plain`, all else as JSON.
        requests: of the default request queue: URLs, or whole requests.
    """

    duration: str | float = 0.0
    status: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    exit_code: int | None = None
    status_message: str | None = None
    log: list[str] = []
    items: list[dict[str, Any]] = []
    rows: Annotated[int, msgspec.Meta(ge=0)] = 0
    item: dict[str, Any] | None = None
    records: dict[str, Any] = {}
    requests: list[str | dict[str, Any]] = []

    def __post_init__(self) -> None:
        """Raises: ValueError if the duration is none, or rows are both given and generated."""
        if not _DURATION.fullmatch(str(self.duration)):
            raise ValueError(f'duration "{self.duration}" is not a time such as 500ms, 2s or 3m')
        if self.items and self.rows:
            raise ValueError("a dataset has either items or rows")

    @property
    def seconds(self) -> float:
        """The duration, in seconds."""
        found = _DURATION.fullmatch(str(self.duration))
        assert found, "it was looked at when it was read"
        return float(found[1]) * _SECONDS[found[2]]

    @property
    def code(self) -> int:
        """The exit code."""
        return int(self.status not in {None, "SUCCEEDED"}) if self.exit_code is None else self.exit_code
