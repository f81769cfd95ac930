"""Adding rows to a dataset: the rows themselves, and what is known about them all."""

from collections.abc import Iterable

from emulator.documents import Document
from emulator.rows import is_clean, members_of
from emulator.storages import Storages

_MOST_FIELDS = 2000  # our pick; names beyond it are not told


def push_rows(storages: Storages, dataset: Document, rows: list[bytes]) -> None:
    """Store rows at the end of a dataset, and note how many are clean and which fields they have."""
    storages.datasets.append(dataset["id"], rows)
    clean, names = _looked_through(rows, dataset.get("fields", []))
    dataset["cleanItemCount"] += clean
    dataset["fields"] = names
    storages.touch("dataset", dataset)


def _looked_through(rows: Iterable[bytes], known: list[str]) -> tuple[int, list[str]]:
    """How many of the rows are clean, and the known names of fields with what is new in the rows."""
    clean, names = 0, dict.fromkeys(known)
    for row in rows:
        members = members_of(row)
        clean += is_clean(members)
        if len(names) < _MOST_FIELDS:
            names |= dict.fromkeys(members)
    return clean, list(names)
