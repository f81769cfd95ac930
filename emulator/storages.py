"""Datasets, key-value stores and request queues: what is known about them, and their coming and going."""

import re
import sqlite3
from typing import Literal

from emulator.datasets import Datasets
from emulator.documents import Document, Documents
from emulator.errors import ApiError, invalid_value
from emulator.records import Records
from emulator.stamps import new_id, stamp

StorageKind = Literal["dataset", "store", "queue"]
PATHS: dict[StorageKind, str] = {
    "dataset": "datasets",
    "store": "key-value-stores",
    "queue": "request-queues",
}

_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")


class Storages:
    """All storages of the one user the emulator has."""

    def __init__(self, documents: Documents, datasets: Datasets, records: Records, user_id: str, username: str) -> None:
        self._documents, self.datasets, self.records = documents, datasets, records
        self._user_id, self._username = user_id, username

    def create(
        self, kind: StorageKind, name: str | None = None, *, actor: str | None = None, run: str | None = None
    ) -> Document:
        """A new storage; only named ones can be found by name later."""
        now = stamp()
        document: Document = {
            "id": new_id(),
            "name": name,
            "userId": self._user_id,
            "username": self._username,
            "createdAt": now,
            "modifiedAt": now,
            "actId": actor,
            "actRunId": run,
        }
        if kind == "dataset":
            self.datasets.create(document["id"])
            document["cleanItemCount"] = 0
        self._documents.put(kind, document, created=now, owner=run, name=name)
        return document

    def get_or_create(self, kind: StorageKind, name: str | None) -> tuple[Document, bool]:
        """The storage of this name, and whether it is new; without a name always a new one."""
        if name and (document := self._documents.named(kind, _checked(name))):
            return document, False
        return self.create(kind, name), True

    def find(self, kind: StorageKind, key: str) -> Document | None:
        """A storage by id, `username~name` or `~name`."""
        owner, tilde, name = key.partition("~")
        if not tilde:
            return self._documents.get(kind, key)
        return self._documents.named(kind, name) if owner in {"", self._username} else None

    def rename(self, kind: StorageKind, document: Document, name: str | None) -> None:
        """Give a storage another name, or none. Raises: ApiError 409 if the name is taken."""
        try:
            self._documents.rename(kind, document["id"], _checked(name) if name else None)
        except sqlite3.IntegrityError:
            raise ApiError(409, "name-not-unique", f'The name "{name}" is already taken.') from None
        document["name"] = name
        self.touch(kind, document)

    def touch(self, kind: StorageKind, document: Document) -> None:
        """Save a storage that has just changed."""
        document["modifiedAt"] = stamp()
        self._documents.save(kind, document)

    def delete(self, kind: StorageKind, id_: str) -> None:
        """Remove a storage and what it holds."""
        self._documents.delete(kind, id_)
        if kind == "dataset":
            self.datasets.delete(id_)
        elif kind == "store":
            self.records.delete_store(id_)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise invalid_value("Storage names take 1 to 63 letters, digits and dashes.")
    return name
