"""The platform's JSON answers, as far as we read them (API reference: Run, Dataset, Key-value stores, Actor, Task).

What is not promised may be missing or null; the rest must be there, or it is no answer of this platform.
"""

import re
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from config.contracts.api import Answer
from config.contracts.errors import Transient
from config.contracts.reasons import Reason

T = TypeVar("T")

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_PAIRS = ((b"{", b"}"), (b"[", b"]"))
_OTHER = "is not the JSON its reference promises"


class Identified(msgspec.Struct):
    """Anything the platform has an id for."""

    id: str


class Named(msgspec.Struct):
    """An Actor or a task."""

    username: str | None = None
    name: str | None = None


class Meta(msgspec.Struct, rename="camel"):
    origin: str | None = None
    schedule_id: str | None = None


class RunOptions(msgspec.Struct):
    build: str | None = None


class TaggedBuild(msgspec.Struct, rename="camel"):
    build_id: str | None = None


class Builds(msgspec.Struct, rename="camel"):
    """An Actor, as far as its tags go."""

    tagged_builds: dict[str, TaggedBuild | None] | None = None


class StorageIds(msgspec.Struct, rename="camel"):
    """Alias → id."""

    datasets: dict[str, str | None] | None = None
    key_value_stores: dict[str, str | None] | None = None
    request_queues: dict[str, str | None] | None = None


class RunFields(msgspec.Struct, rename="camel"):
    id: str
    status: str
    started_at: str | None = None
    finished_at: str | None = None
    user_id: str | None = None
    act_id: str | None = None
    actor_task_id: str | None = None
    meta: Meta | None = None
    default_dataset_id: str | None = None
    default_key_value_store_id: str | None = None
    default_request_queue_id: str | None = None
    build_id: str | None = None
    build_number: str | None = None
    options: RunOptions | None = None
    storage_ids: StorageIds | None = None
    usage_total_usd: float | None = None


class ItemList(msgspec.Struct):
    """A page of a list of things, in short form."""

    items: list[dict[str, Any]]


class DatasetInfo(msgspec.Struct, rename="camel"):
    item_count: int


class QueueInfo(msgspec.Struct, rename="camel"):
    total_request_count: int


class RequestList(msgspec.Struct, rename="camel"):
    items: list[msgspec.Raw]
    next_cursor: str | None = None


class QueueHead(msgspec.Struct):
    items: list[dict[str, Any]]


class ListedKey(msgspec.Struct):
    key: str
    size: int | None = None


class KeyList(msgspec.Struct, rename="camel"):
    items: list[ListedKey]
    count: int
    is_truncated: bool
    next_exclusive_start_key: str | None = None


def data(answer: Answer, shape: type[T]) -> T:
    """What stands under `data`. Raises Transient: anything else is a proxy's page or half an answer."""
    try:
        return msgspec.convert(msgspec.json.decode(answer.body)["data"], shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        raise odd(_OTHER) from None


def shaped(fields: object, shape: type[T]) -> T:
    """The same for what has been decoded already. Raises Transient."""
    try:
        return msgspec.convert(fields, shape)
    except msgspec.ValidationError:
        raise odd(_OTHER) from None


def raw_data(answer: Answer, shape: type[T]) -> T:
    """The same for a shape with raw parts, which keep their text. Raises Transient."""
    try:
        part = msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])["data"]
        return msgspec.json.decode(part, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        raise odd(_OTHER) from None


def is_whole(row: bytes) -> bool:
    """Whether everything that a row opens is closed again. It need not be a row that we can parse."""
    bare = _STRING.sub(b"", row)
    return b'"' not in bare and all(bare.count(opening) == bare.count(closing) for opening, closing in _PAIRS)


def one_line(document: bytes) -> bytes:
    """A JSON document without line breaks, everything else as it was written."""
    return msgspec.json.format(document, indent=-1) if b"\n" in document else document


def number(answer: Answer, header: str) -> int:
    """A count in a header. Raises Transient if it is not there."""
    text = answer.headers.get(header, "")
    if not (text.isdecimal() and len(text) < 16):
        raise odd(f"lacks the number in {header}")
    return int(text)


def seconds(moment: str | None, field: str) -> float:
    """Unix seconds of an ISO 8601 time, 0.0 without one; one without a zone is UTC. Raises Transient."""
    if not moment:
        return 0.0
    try:
        when = datetime.fromisoformat(moment)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        raise odd(f"has a {field} that is not a time") from None


def odd(what: str) -> Transient:
    return Transient(Reason.SOURCE_UNAVAILABLE, f"the platform's answer {what}")
