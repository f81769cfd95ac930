"""Databases of one file, looked at without asking the sinks; and short ways to use them."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import duckdb as duckdb_client

from config.contracts.sink import Sink
from workers.sinks import duckdb, sqlite
from workers.testing.shipments import around


class Database:
    """What any reader of a SQLite file finds."""

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
            found: list[tuple[Any, ...]] = db.execute(statement, values).fetchall()
        return found

    def change(self, script: str) -> None:
        with self.open() as db:
            db.executescript(script)

    @contextmanager
    def open(self) -> Iterator[Any]:
        db = sqlite3.connect(self.path)
        try:
            yield db
            db.commit()
        finally:
            db.close()


class Lake(Database):
    """What a reader of a DuckDB file finds, when no delivery uses it."""

    def change(self, script: str) -> None:
        with duckdb_client.connect(self.path) as db:
            db.execute(script)

    @contextmanager
    def open(self) -> Iterator[Any]:
        with duckdb_client.connect(self.path, read_only=True) as db:
            yield db


def opened(path: Path) -> AbstractAsyncContextManager[Sink]:
    return sqlite.connect(sqlite.Config(path=path), around(path.parent))


def into(table: str = "results", **options: Any) -> sqlite.Target:
    return sqlite.Target.model_validate({"table": table, **options})


def lake(path: Path, **config: Any) -> AbstractAsyncContextManager[Sink]:
    return duckdb.connect(duckdb.Config.model_validate({"path": path, **config}), around(path.parent))


def into_lake(table: str = "results", **options: Any) -> duckdb.Target:
    return duckdb.Target.model_validate({"table": table, **options})
