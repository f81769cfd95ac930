"""The platform's JSON answers, as far as we read them. Its pages promise little: whatever may be missing, may."""

from typing import Any, TypeVar

import msgspec

from config.contracts.api import Answer
from config.contracts.errors import Transient
from config.contracts.reasons import Reason

T = TypeVar("T")

#: A moment: Unix seconds of runs and tasks, Unix milliseconds of jobs.
Moment = int | float | str | None


class Listed(msgspec.Struct):
    """Anything in a list."""

    id: str


class Thing(msgspec.Struct):
    """A run (`docs/runs`), a task (`docs/webhooks`) or a job (`api/get-job`).

    Attributes:
        tasks: of a run in short form, of a job whole.
    """

    id: str
    status: str
    kind: str | None = None
    created_at: Moment = None
    finished_at: Moment = None
    updated_at: Moment = None
    tasks: list[dict[str, Any]] | None = None


class Task(msgspec.Struct):
    """Where a task belongs, as far as it says so."""

    id: str
    kind: str | None = None
    run_id: str | None = None


def shaped(answer: object, shape: type[T]) -> T:
    """An answer, or a part of one that has been decoded already. Raises Transient: anything else is a proxy's page,
    half an answer, or an API of another year."""
    try:
        found = msgspec.json.decode(answer.body) if isinstance(answer, Answer) else answer
        return msgspec.convert(found, shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise odd("is not the JSON its pages promise: is there a proxy in between, or `version` an old one?") from None


def odd(what: str) -> Transient:
    return Transient(Reason.SOURCE_UNAVAILABLE, f"the platform's answer {what}")
