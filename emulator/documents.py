"""Small JSON documents (runs, storages, webhooks, dispatches) in one SQLite file that survives a kill."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from emulator.query import Query
from emulator.settings import EmulatorError

Document = dict[str, Any]
Kind = Literal["run", "task", "charge", "dataset", "store", "queue", "webhook", "dispatch"]

PAGE_LIMIT = 1000
_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT, owner TEXT, created TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (kind, id));
CREATE UNIQUE INDEX IF NOT EXISTS by_name ON documents (kind, name) WHERE name IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_owner ON documents (kind, owner, created);
CREATE INDEX IF NOT EXISTS by_time ON documents (kind, created);
CREATE TABLE IF NOT EXISTS records (
    store TEXT NOT NULL, key TEXT NOT NULL, content_type TEXT NOT NULL, encoding TEXT NOT NULL,
    size INTEGER NOT NULL, file TEXT NOT NULL,
    PRIMARY KEY (store, key)) WITHOUT ROWID;
"""


def open_database(path: Path) -> sqlite3.Connection:
    """The emulator's database; WAL, so that a killed process loses no committed document.

    Raises: EmulatorError if another emulator has it open, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # headers templates of webhooks hold secrets
    except OSError as error:
        raise EmulatorError(f"--data {path.parent} cannot be written: {error.strerror}.") from error
    database = sqlite3.connect(path, timeout=0.1, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA locking_mode=EXCLUSIVE")  # two emulators would end each other's runs
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            is_new = not database.execute("SELECT 1 FROM sqlite_master").fetchone()
            database.executescript(f"{_SCHEMA} PRAGMA user_version={_VERSION};" if is_new else "")
            version = _VERSION if is_new else 0
    except sqlite3.DatabaseError as error:
        database.close()
        raise EmulatorError(f"--data {path.parent} cannot be used, perhaps another emulator does: {error}.") from error
    if version != _VERSION:
        database.close()
        raise EmulatorError(f"--data {path.parent} was written by another version; name another folder or delete it.")
    return database


@dataclass
class Filter:
    """A condition on documents: SQL with question marks, and the values for them."""

    sql: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, sql: str, *values: object) -> "Filter":
        """Demand this too."""
        self.sql.append(sql)
        self.values.extend(values)
        return self

    def among(self, expression: str, values: Sequence[str]) -> "Filter":
        """Demand that the expression is one of the values; no values demand nothing."""
        if values:
            self.add(f"{expression} IN ({', '.join('?' * len(values))})", *values)
        return self


class Documents:
    """Documents by kind and id. `name` is unique within a kind; `owner` is what a kind is looked up by."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def put(self, kind: Kind, body: Document, *, created: str, owner: str | None, name: str | None) -> None:
        """Add a document. Raises: sqlite3.IntegrityError if the name is taken."""
        values = (kind, body["id"], name, owner, created, msgspec.json.encode(body))
        self._database.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?)", values)

    def save(self, kind: Kind, body: Document) -> None:
        """Replace the body of a document; one deleted meanwhile stays deleted."""
        encoded = msgspec.json.encode(body)
        self._database.execute("UPDATE documents SET body=? WHERE kind=? AND id=?", (encoded, kind, body["id"]))

    def reassign(self, kind: Kind, id_: str, owner: str | None) -> None:
        """Let a document be looked up by another owner."""
        self._database.execute("UPDATE documents SET owner=? WHERE kind=? AND id=?", (owner, kind, id_))

    def rename(self, kind: Kind, id_: str, name: str | None) -> None:
        """Give a document another unique name. Raises: sqlite3.IntegrityError if it is taken."""
        self._database.execute("UPDATE documents SET name=? WHERE kind=? AND id=?", (name, kind, id_))

    def get(self, kind: Kind, id_: str) -> Document | None:
        """One document by id."""
        return next(iter(self.all(kind, Filter().add("id=?", id_))), None)

    def named(self, kind: Kind, name: str) -> Document | None:
        """One document by its unique name."""
        return next(iter(self.all(kind, Filter().add("name=?", name))), None)

    def delete(self, kind: Kind, id_: str) -> None:
        """Forget a document."""
        self._database.execute("DELETE FROM documents WHERE kind=? AND id=?", (kind, id_))

    def delete_owned(self, kind: Kind, owner: str) -> None:
        """Forget all documents that belong to this owner."""
        self._database.execute("DELETE FROM documents WHERE kind=? AND owner=?", (kind, owner))

    def all(
        self, kind: Kind, where: Filter | None = None, *, desc: bool = False, limit: int = -1, offset: int = 0
    ) -> list[Document]:
        """Documents that pass the filter, oldest first unless `desc`; a negative limit means all."""
        where = where or Filter()
        condition = " AND ".join(["kind=?", *where.sql])
        order = "created DESC, rowid DESC" if desc else "created, rowid"
        # Conditions are our own text; every value is bound.
        sql = f"SELECT body FROM documents WHERE {condition} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608 - our own text
        rows = self._database.execute(sql, (kind, *where.values, limit, offset))
        return [msgspec.json.decode(body) for (body,) in rows]

    def count(self, kind: Kind, where: Filter | None = None) -> int:
        """How many documents pass the filter."""
        where = where or Filter()
        condition = " AND ".join(["kind=?", *where.sql])
        sql = f"SELECT count(*) FROM documents WHERE {condition}"  # noqa: S608 - our own text, as above
        (count,) = self._database.execute(sql, (kind, *where.values)).fetchone()
        return int(count)

    def page(self, kind: Kind, query: Query, where: Filter | None = None) -> Document:
        """One page as every list of the API has it: `{total, offset, limit, count, desc, items}`."""
        offset, desc = query.integer("offset") or 0, bool(query.flag("desc"))
        limit = min(query.integer("limit") or PAGE_LIMIT, PAGE_LIMIT)
        items = self.all(kind, where, desc=desc, limit=limit, offset=offset)
        return {
            "total": self.count(kind, where),
            "offset": offset,
            "limit": limit,
            "count": len(items),
            "desc": desc,
            "items": items,
        }


def shown(document: Document) -> Document:
    """A document without the fields that are only ours (they start with an underscore)."""
    return {key: value for key, value in document.items() if not key.startswith("_")}
