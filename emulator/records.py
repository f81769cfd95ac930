"""Key-value records: bytes in a file of their own, everything else in a table row."""

import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from emulator.bodies import decoded
from emulator.documents import Filter
from emulator.errors import ApiError
from emulator.stamps import new_id

_PIECE = 64 * 1024
# Apify, "Key-value store": up to 256 characters of this alphabet.
_KEY = re.compile(r"[a-zA-Z0-9!\-_.'()]{1,256}", re.ASCII)
_COLUMNS = "key, content_type, encoding, size, file"


def check_key(key: str) -> str:
    """The key itself. Raises: ApiError 400 `invalid-record-key` when the platform would refuse it."""
    if not _KEY.fullmatch(key):
        message = "Record keys take 1 to 256 letters, digits and the characters !-_.'()"
        raise ApiError(400, "invalid-record-key", message)
    return key


@dataclass(frozen=True)
class Record:
    """One stored record; `path` holds its bytes as they were sent, `size` counts them once decompressed.

    Attributes:
        encoding: how the bytes are compressed: gzip, deflate, br, or "" for not at all.
    """

    key: str
    content_type: str
    encoding: str
    size: int
    path: Path

    def pieces(self) -> Iterator[bytes]:
        """The decompressed bytes."""
        return decoded(self._stored(), self.encoding)

    def _stored(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece


class Records:
    """All stores' records. A record's file is never changed: a new value is a new file, so readers never see half."""

    def __init__(self, database: sqlite3.Connection, root: Path) -> None:
        self._database, self._root = database, root

    async def put(
        self,
        store: str,
        key: str,
        content_type: str,
        pieces: AsyncIterator[bytes],
        *,
        encoding: str = "",
        measure: Callable[[], int] | None = None,
    ) -> Record:
        """Store or replace a record; `measure` tells the decompressed size once all compressed pieces are taken."""
        folder = self._root / store
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / new_id()
        try:
            with path.open("wb") as file:
                async for piece in pieces:
                    file.write(piece)
        except BaseException:
            path.unlink()
            raise
        old = self.get(store, key)
        record = Record(key, content_type, encoding, measure() if measure else path.stat().st_size, path)
        values = (store, key, content_type, encoding, record.size, path.name)
        sql = f"INSERT OR REPLACE INTO records (store, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own
        self._database.execute(sql, values)
        if old:
            old.path.unlink(missing_ok=True)
        return record

    def get(self, store: str, key: str) -> Record | None:
        """One record by key."""
        sql = f"SELECT {_COLUMNS} FROM records WHERE store=? AND key=?"  # noqa: S608 - our own text
        row = self._database.execute(sql, (store, key)).fetchone()
        return self._record(store, row) if row else None

    def delete(self, store: str, key: str) -> None:
        """Forget a record; a missing one is fine."""
        record = self.get(store, key)
        self._database.execute("DELETE FROM records WHERE store=? AND key=?", (store, key))
        if record:
            record.path.unlink(missing_ok=True)

    def delete_store(self, store: str) -> None:
        """Forget all records of a store."""
        self._database.execute("DELETE FROM records WHERE store=?", (store,))
        shutil.rmtree(self._root / store, ignore_errors=True)

    def after(self, store: str, key: str, where: Filter, limit: int) -> list[Record]:
        """Up to `limit` records after `key` that pass the filter, in the order of their keys' UTF-8 bytes."""
        condition = " AND ".join(["store=?", "key>?", *where.sql])
        sql = f"SELECT {_COLUMNS} FROM records WHERE {condition} ORDER BY key LIMIT ?"  # noqa: S608 - our own text
        rows = self._database.execute(sql, (store, key, *where.values, limit))
        return [self._record(store, row) for row in rows]

    def _record(self, store: str, row: tuple[str, str, str, int, str]) -> Record:
        key, content_type, encoding, size, file = row
        return Record(key, content_type, encoding, size, self._root / store / file)
