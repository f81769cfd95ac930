"""MariaDB of the package `mariadb-server`: mariadb.com/kb/en tells the options."""

import getpass
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from tests.services import Service, free_port, fresh_folder, listens

PASSWORD = "a-right-password"


@dataclass
class Database:
    port: int
    service: Service

    def run(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """The rows of the last of these statements, each a transaction of its own, by root."""
        with self._connection(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Nobody else reads or writes the table."""
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLES {table} WRITE")
            yield

    def _connection(self, database: str | None = None) -> Any:
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", password=PASSWORD, database=database, autocommit=True
        )


@contextmanager
def mariadb() -> Iterator[Database]:
    with fresh_folder() as folder:
        port, user = free_port(), getpass.getuser()
        _install(folder / "data", user)
        service = Service(
            [
                *("/usr/sbin/mariadbd", "--no-defaults", f"--user={user}", f"--datadir={folder / 'data'}"),
                *("--bind-address=127.0.0.1", f"--port={port}", f"--socket={folder / 's'}", f"--pid-file={folder}/pid"),
                *("--max-allowed-packet=16M", "--innodb-buffer-pool-size=64M", "--skip-name-resolve"),
            ],
            folder,
            lambda: listens(port),
        )
        with service.running():
            _secure(port)
            yield Database(port, service)


def _install(data: Path, user: str) -> None:
    subprocess.run(
        [
            *("mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--user={user}"),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )


def _secure(port: int) -> None:
    connection = pymysql.connect(host="127.0.0.1", port=port, user="root")
    with connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER USER root@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
