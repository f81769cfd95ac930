"""Datasets, key-value stores and request queues: what is known about them, and their coming and going."""

import re
import secrets
import sqlite3
from typing import Literal

from emulator.access import Account
from emulator.datasets import Datasets
from emulator.documents import Document, Documents
from emulator.errors import ApiError, invalid_value
from emulator.queues import Queues
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
    """All storages of all accounts; a name is unique within its account."""

    def __init__(
        self, documents: Documents, datasets: Datasets, records: Records, queues: Queues, owner: Account
    ) -> None:
        self._documents, self.datasets, self.records, self.queues = documents, datasets, records, queues
        self._owner = owner

    def create(
        self,
        kind: StorageKind,
        name: str | None = None,
        *,
        actor: str | None = None,
        run: str | None = None,
        schema: Document | None = None,
        account: Account | None = None,
    ) -> Document:
        """A new storage; only named ones can be found by name later. `schema` is what its Actor declares about it."""
        now, account = stamp(), account or self._owner
        document: Document = {
            "id": new_id(),
            "name": name,
            "userId": account.id,
            "username": account.username,
            "createdAt": now,
            "modifiedAt": now,
            "actId": actor,
            "actRunId": run,
            "_urlSigningSecretKey": secrets.token_urlsafe(24),
        }
        if schema is not None:
            document["schema"] = schema
        if kind == "dataset":
            self.datasets.create(document["id"])
            document["cleanItemCount"] = 0
        self._documents.put(kind, document, created=now, owner=run, name=_full_name(document))
        return document

    def get_or_create(self, kind: StorageKind, name: str | None, account: Account) -> tuple[Document, bool]:
        """The account's storage of this name, and whether it is new; without a name always a new one."""
        if name and (document := self._documents.named(kind, f"{account.username}~{_checked(name)}")):
            return document, False
        return self.create(kind, name, account=account), True

    def find(self, kind: StorageKind, key: str, account: Account | None = None) -> Document | None:
        """A storage by id, `username~name` or, the account's own, `~name`."""
        username, tilde, name = key.partition("~")
        if not tilde:
            return self._documents.get(kind, key)
        return self._documents.named(kind, f"{username or (account or self._owner).username}~{name}")

    def rename(self, kind: StorageKind, document: Document, name: str | None) -> None:
        """Give a storage another name, or none. Raises: ApiError 409 if the name is taken."""
        document["name"] = _checked(name) if name else None
        try:
            self._documents.rename(kind, document["id"], _full_name(document))
        except sqlite3.IntegrityError:
            raise ApiError(409, "name-not-unique", f'The name "{name}" is already taken.') from None
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
        else:
            self.queues.delete_queue(id_)


def _full_name(document: Document) -> str | None:
    return f"{document['username']}~{document['name']}" if document["name"] else None


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise invalid_value("Storage names take 1 to 63 letters, digits and dashes.")
    return name
