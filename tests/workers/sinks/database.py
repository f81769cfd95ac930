"""A SQLite database, looked at without asking the sink; and short ways to use one."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

from config.contracts.sink import Sink
from workers.sinks import sqlite
from workers.testing.shipments import around


class Database:
    """What any reader of the file finds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def items(self, run: str) -> list[bytes]:
        """The items of a run in a table `results` with `columns: json`."""
        found = self.rows("SELECT item FROM results WHERE _run_id = ? ORDER BY _item", run)
        return [item.encode() for (item,) in found]

    def documents(self, run: str) -> list[bytes]:
        raise TypeError("a table holds no documents")

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.open() as db:
            return db.execute(statement, values).fetchall()

    def change(self, script: str) -> None:
        with self.open() as db:
            db.executescript(script)

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.path)
        try:
            yield db
            db.commit()
        finally:
            db.close()


def opened(path: Path) -> AbstractAsyncContextManager[Sink]:
    return sqlite.connect(sqlite.Config(path=path), around(path.parent))


def into(table: str = "results", **options: Any) -> sqlite.Target:
    return sqlite.Target.model_validate({"table": table, **options})
