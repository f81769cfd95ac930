"""Requests waiting in queues: one table row each, the next ones found by an index, locks that expire by time.

Rules of Apify's "Request queue" page and of the request queues of its API; where both are silent, what the official
clients rely on.
"""

import base64
import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from emulator.documents import Document
from emulator.errors import ApiError, invalid_input, not_found
from emulator.stamps import stamp

MAX_PAGE_BYTES = 32 * 1024 * 1024  # our pick: a page ends early rather than fill the memory
STATES = frozenset({"locked", "pending"})

_ID_LENGTH = 15
_Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
_HEAD_FIELDS = ("id", "uniqueKey", "url", "method", "retryCount")
# Clients fail on requests that lack one of these, so all are filled in.
_DEFAULTS: Document = {"method": "GET", "retryCount": 0, "headers": {}, "userData": {}, "noRetry": False}
# `place` orders the pending requests of a queue; a handled request has none.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    queue TEXT NOT NULL, id TEXT NOT NULL, place INTEGER, lock_until REAL, lock_client TEXT, lock_run TEXT,
    head BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (queue, id));
CREATE INDEX IF NOT EXISTS requests_by_place ON requests (queue, place);
CREATE INDEX IF NOT EXISTS requests_by_lock ON requests (queue, lock_until) WHERE lock_until IS NOT NULL;
"""
_LOCKED = "(place IS NOT NULL AND coalesce(lock_until, 0) > ?)"
_FREE = "(place IS NOT NULL AND coalesce(lock_until, 0) <= ?)"


class _Shape(msgspec.Struct, rename="camel"):
    """What the known fields of a request must look like; unknown ones are kept."""

    unique_key: Annotated[str, msgspec.Meta(min_length=1)]
    url: Annotated[str, msgspec.Meta(min_length=1)]
    method: _Method | None = None
    retry_count: int | None = None
    loaded_url: str | None = None
    payload: str | dict[str, Any] | None = None
    headers: dict[str, Any] | None = None
    user_data: dict[str, Any] | None = None
    no_retry: bool | None = None
    error_messages: list[str] | None = None
    handled_at: datetime | None = None


@dataclass(frozen=True)
class Client:
    """Who works on a queue: its `clientKey` ("" for none) and its run, if it is one; either proves a lock its own."""

    key: str
    run: str | None = None


@dataclass(frozen=True)
class Counts:
    """How many requests a queue holds."""

    total: int
    pending: int

    @property
    def handled(self) -> int:
        """Those with a `handledAt`."""
        return self.total - self.pending


@dataclass(frozen=True)
class RequestPage:
    """Whole requests as stored JSON, in the order of their ids; `last` is where the next page starts after."""

    items: list[msgspec.Raw]
    last: str | None


def request_id(unique_key: str) -> str:
    """The id every client computes for itself: Base64 of the key's SHA-256 without `+/=`, cut to 15 characters."""
    text = base64.b64encode(hashlib.sha256(unique_key.encode()).digest()).decode()
    return text.translate(str.maketrans("", "", "+/="))[:_ID_LENGTH]


class Queues:
    """All queues' requests."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.executescript(_SCHEMA)

    def counts(self, queue: str) -> Counts:
        """How many requests there are."""
        sql = "SELECT count(*), count(place) FROM requests WHERE queue=?"
        return Counts(*self._database.execute(sql, (queue,)).fetchone())

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """All changes made inside are kept together, or none."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def add(self, queue: str, request: Document, *, forefront: bool) -> Document:
        """Queue a request unless its unique key is known; the API's account of it. Raises: ApiError 400."""
        id_ = request_id(_checked(request)["uniqueKey"])
        known = self._standing(queue, id_)
        if known is None:
            self._write(queue, id_, request, forefront=forefront)
        return _account(id_, known)

    def update(self, queue: str, id_: str, request: Document, *, forefront: bool) -> Document:
        """Replace a request, or add it; that ends its lock and, without `handledAt`, queues it anew.

        Raises: ApiError 400.
        """
        known = self._standing(queue, id_)
        if known is not None:
            stored = msgspec.json.decode(self.get(queue, id_), type=dict[str, object])
            request = {name: stored[name] for name in ("uniqueKey", "url")} | request
        self._write(queue, id_, _checked(request), forefront=forefront)
        return _account(id_, known)

    def get(self, queue: str, id_: str) -> msgspec.Raw:
        """One whole request as stored JSON. Raises: ApiError 404."""
        sql = "SELECT body FROM requests WHERE queue=? AND id=?"
        if row := self._database.execute(sql, (queue, id_)).fetchone():
            return msgspec.Raw(row[0])
        raise not_found("Request")

    def delete(self, queue: str, id_: str) -> None:
        """Forget a request; a missing one is fine."""
        self._database.execute("DELETE FROM requests WHERE queue=? AND id=?", (queue, id_))

    def delete_queue(self, queue: str) -> None:
        """Forget all requests of a queue."""
        self._database.execute("DELETE FROM requests WHERE queue=?", (queue,))

    def head(self, queue: str, limit: int) -> list[msgspec.Raw]:
        """The first pending requests in short form, locked ones included."""
        sql = "SELECT head FROM requests WHERE queue=? AND place IS NOT NULL ORDER BY place LIMIT ?"
        return [msgspec.Raw(head) for (head,) in self._database.execute(sql, (queue, limit))]

    def lock_head(self, queue: str, client: Client, limit: int, seconds: float) -> list[Document]:
        """Lock the first requests that nobody has locked; each in short form with `lockExpiresAt`."""
        until = time.time() + seconds
        sql = f"SELECT id, head FROM requests WHERE queue=? AND {_FREE} ORDER BY place LIMIT ?"  # noqa: S608 - our own
        rows = self._database.execute(sql, (queue, time.time(), limit)).fetchall()
        for id_, _ in rows:
            self._lock(queue, id_, client, until)
        return [{**msgspec.json.decode(head), "lockExpiresAt": _moment(until)} for _, head in rows]

    def has_locks(self, queue: str) -> bool:
        """Whether anybody has locked anything."""
        sql = "SELECT 1 FROM requests WHERE queue=? AND lock_until>? LIMIT 1"
        return self._database.execute(sql, (queue, time.time())).fetchone() is not None

    def prolong(self, queue: str, id_: str, client: Client, seconds: float, *, forefront: bool) -> str:
        """Lock a request from now for so long; when the lock ends. Raises: ApiError 404, or 409 if it is another's."""
        self._claim(queue, id_, client)
        if self._standing(queue, id_) == "handled":
            raise _taken()
        until = time.time() + seconds
        self._move(queue, id_, forefront=forefront)
        self._lock(queue, id_, client, until)
        return _moment(until)

    def release(self, queue: str, id_: str, client: Client, *, forefront: bool) -> None:
        """End the lock of a request. Raises: ApiError 404, or 409 if it is another's."""
        self._claim(queue, id_, client)
        if self._standing(queue, id_) == "pending":
            self._move(queue, id_, forefront=forefront)
            self._lock(queue, id_, Client(""), 0.0)

    def release_all(self, queue: str, client: Client) -> int:
        """End all locks of a client or its run; how many there were."""
        sql = "UPDATE requests SET lock_until=NULL WHERE queue=? AND lock_until>? AND (lock_client=? OR lock_run=?)"
        return self._database.execute(sql, (queue, time.time(), client.key, client.run)).rowcount

    def page(self, queue: str, after: str, limit: int, states: Collection[str]) -> RequestPage:
        """Up to `limit` requests, of any or of the given states, whose ids come after `after`."""
        now = time.time()
        wanted = " OR ".join({"locked": _LOCKED, "pending": _FREE}[state] for state in sorted(states)) or "1"
        sql = f"SELECT id, body FROM requests WHERE queue=? AND id>? AND ({wanted}) ORDER BY id"  # noqa: S608 - our own
        items: list[msgspec.Raw] = []
        last, size = None, 0
        for id_, body in self._database.execute(sql, (queue, after, *[now] * len(states))):
            if len(items) == limit or size > MAX_PAGE_BYTES:
                return RequestPage(items, last)
            items.append(msgspec.Raw(body))
            last, size = id_, size + len(body)
        return RequestPage(items, None)

    def _standing(self, queue: str, id_: str) -> str | None:
        sql = "SELECT place FROM requests WHERE queue=? AND id=?"
        row = self._database.execute(sql, (queue, id_)).fetchone()
        return None if row is None else "handled" if row[0] is None else "pending"

    def _write(self, queue: str, id_: str, request: Document, *, forefront: bool) -> None:
        given = {name: value for name, value in request.items() if value is not None and name != "id"}
        whole = {"id": id_, **_DEFAULTS, **given}
        place = None if "handledAt" in given else self._place(queue, forefront=forefront)
        head = {name: whole[name] for name in _HEAD_FIELDS}
        values = (queue, id_, place, msgspec.json.encode(head), msgspec.json.encode(whole))
        sql = "INSERT OR REPLACE INTO requests (queue, id, place, head, body) VALUES (?, ?, ?, ?, ?)"
        self._database.execute(sql, values)

    def _place(self, queue: str, *, forefront: bool) -> int:
        edge = "min(place) - 1" if forefront else "max(place) + 1"
        sql = f"SELECT coalesce({edge}, 0) FROM requests WHERE queue=?"  # noqa: S608 - our own text
        return int(self._database.execute(sql, (queue,)).fetchone()[0])

    def _move(self, queue: str, id_: str, *, forefront: bool) -> None:
        place = self._place(queue, forefront=forefront)
        self._database.execute("UPDATE requests SET place=? WHERE queue=? AND id=?", (place, queue, id_))

    def _lock(self, queue: str, id_: str, client: Client, until: float) -> None:
        sql = "UPDATE requests SET lock_until=?, lock_client=?, lock_run=? WHERE queue=? AND id=?"
        self._database.execute(sql, (until or None, client.key, client.run, queue, id_))

    def _claim(self, queue: str, id_: str, client: Client) -> None:
        sql = "SELECT lock_until, lock_client, lock_run FROM requests WHERE queue=? AND id=?"
        row = self._database.execute(sql, (queue, id_)).fetchone()
        if row is None:
            raise not_found("Request")
        until, key, run = row
        is_own = key == client.key or (run is not None and run == client.run)
        if until and until > time.time() and not is_own:
            raise _taken()


def _checked(request: Document) -> Document:
    try:
        msgspec.convert(request, _Shape)
    except msgspec.ValidationError as error:
        raise invalid_input(f"The request is not valid: {error}.") from None
    return request


def _account(id_: str, known: str | None) -> Document:
    return {"requestId": id_, "wasAlreadyPresent": known is not None, "wasAlreadyHandled": known == "handled"}


def _moment(seconds: float) -> str:
    return stamp(datetime.fromtimestamp(seconds, UTC))


def _taken() -> ApiError:
    # The type is in the API's list; the status that goes with it is not documented.
    return ApiError(409, "request-handled-or-locked", "The request was handled, or another client has locked it.")
