"""Connections to MySQL or MariaDB that are kept between deliveries, and what the server's errors mean."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any

import aiomysql
from pymysql.constants import ER
from pymysql.err import Error, InternalError

from config.contracts.errors import Forbidden, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason

#: Seconds for a connection, and for a lock that somebody else holds.
CONNECTING = 10.0
_LOCKED = 10
#: Connections that wait for the next delivery.
_KEPT = 5
#: Strict: what does not fit is an error, and nothing is cut. Of our own time zone, and never a year for a lock.
_SETTINGS = (
    "SET sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',"
    f" time_zone = '+00:00', sql_notes = 0, innodb_lock_wait_timeout = {_LOCKED}, lock_wait_timeout = {_LOCKED}"
)
#: Fewer locks between rows: two deliveries that write to one table hinder each other less.
_ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
#: Binary comparison that tells `a` from `a ` and from `A`: MySQL 8, MariaDB, older MySQL (which merges `a` and `a `).
_COLLATIONS = ("utf8mb4_0900_bin", "utf8mb4_nopad_bin", "utf8mb4_bin")
#: What the errors of the server are called.
_NAMES = {code: word for word, code in vars(ER).items() if isinstance(code, int)}


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows go, as messages name it."""

    host: str
    port: int
    user: str
    database: str


class Session:
    """One connection.

    Attributes:
        packet: bytes of the largest statement the server takes.
        collation: what texts are compared by.
        sound: False as soon as an answer may be outstanding on it.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.packet, self.collation, self.sound = 1 << 20, _COLLATIONS[-1], True

    async def prepare(self) -> None:
        await self.run(_SETTINGS)
        await self.run(_ISOLATION)
        ((self.packet,),) = await self.run("SELECT @@max_allowed_packet")
        wanted = ", ".join(f"'{one}'" for one in _COLLATIONS)
        found = await self.run(
            f"SELECT COLLATION_NAME FROM information_schema.COLLATIONS WHERE COLLATION_NAME IN ({wanted})"  # noqa: S608  # our own
        )
        self.collation = min((one for (one,) in found), key=_COLLATIONS.index)

    async def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of its answer. Raises pymysql's errors and OSError."""
        async with self._cursor() as cursor:
            await cursor.execute(statement, values or None)
            return list(await cursor.fetchall())

    async def change(self, statement: str) -> int:
        """How many rows it changed."""
        async with self._cursor() as cursor:
            return int(await cursor.execute(statement))

    @asynccontextmanager
    async def _cursor(self) -> AsyncIterator[Any]:
        try:
            async with self.connection.cursor() as cursor:
                yield cursor
        except Error as exc:
            self.sound = self.sound and not _is_lost(exc)
            raise
        except BaseException:
            self.sound = False
            raise

    def close(self) -> None:
        """At once: the server takes back what was not committed."""
        self.connection.close()


class Sessions:
    """Those of one sink."""

    def __init__(self, place: Place, password: str, tls: SSLContext | None) -> None:
        self.place, self.password, self.tls = place, password, tls
        self._idle: list[Session] = []

    async def take(self) -> Session:
        """Raises pymysql's errors, OSError and TimeoutError."""
        return await self._waiting() or await self._new()

    def give_back(self, session: Session) -> None:
        if session.sound and len(self._idle) < _KEPT:
            self._idle.append(session)
        else:
            session.close()

    async def _waiting(self) -> Session | None:
        """One of those that are kept. If it is not alive any more, the others are not either."""
        if not self._idle:
            return None
        session = self._idle.pop()
        try:
            async with asyncio.timeout(CONNECTING):
                await session.run("SELECT 1")
        except (Error, OSError):
            session.close()
            self.close()
            return None
        return session

    async def _new(self) -> Session:
        try:
            async with asyncio.timeout(CONNECTING):
                session = Session(await self._connected())
                try:
                    await session.prepare()
                except BaseException:
                    session.close()
                    raise
                return session
        except RuntimeError as exc:  # the client's, for a way of MySQL 8 to send a password that is not encrypted
            said = "the server's way to log in needs an encrypted connection: say `tls: true`"
            raise Unauthorized(Reason.TARGET_REFUSED, said) from exc

    async def _connected(self) -> Any:
        return await aiomysql.connect(
            host=self.place.host,
            port=self.place.port,
            user=self.place.user,
            password=self.password,
            db=self.place.database,
            charset="utf8mb4",
            ssl=self.tls,
            autocommit=True,
            connect_timeout=CONNECTING,
        )

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


def code_of(exc: BaseException) -> int:
    """The number of a server's error; 0 for what is none."""
    return exc.args[0] if isinstance(exc, Error) and exc.args and isinstance(exc.args[0], int) else 0


def numbered(code: int) -> str:
    """An error of the server by its number, and its name if we know it."""
    return f"error {code} ({_NAMES[code]})" if code in _NAMES else f"error {code}"


def _is_lost(exc: Error) -> bool:
    """Whether the connection went with it: errors of the client have numbers from 2000."""
    return isinstance(exc, InternalError) or 2000 <= code_of(exc) < 3000 or code_of(exc) in {0, 1153}


_CREDENTIALS = 'the database refused the user "{user}" or its password: mend `user` and `password`'
_RIGHTS = "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON {database}.* TO '{user}'"
_READ_ONLY = "the server is read-only: let `host` be the primary, or SET GLOBAL read_only = 0"
_NO_RIGHT = "{said}: GRANT it on {where}"
#: What a person mends, by the number of the error ("Server Error Message Reference" of either server).
_REFUSALS: dict[int, tuple[type[Unauthorized], Reason, str]] = {
    **dict.fromkeys((1045, 1251, 1698, 3118, 4151), (Unauthorized, Reason.TOKEN_REFUSED, _CREDENTIALS)),
    1049: (
        *(Unauthorized, Reason.TARGET_REFUSED),
        'there is no database "{database}": CREATE DATABASE {database} CHARACTER SET utf8mb4',
    ),
    1044: (Unauthorized, Reason.TARGET_REFUSED, 'the user "{user}" may not use "{database}": ' + _RIGHTS),
    **dict.fromkeys((1290, 1792, 1836), (Unauthorized, Reason.TARGET_REFUSED, _READ_ONLY)),
    **dict.fromkeys((1142, 1143, 1227, 1370), (Forbidden, Reason.TARGET_REFUSED, _NO_RIGHT)),
}
#: What passes, or is mended while the data waits.
_PASSING = {
    3: "its disk has trouble or is full",
    28: "its disk is full",
    1021: "its disk is full",
    1040: "it has too many connections: raise max_connections, or let fewer in",
    1053: "it is shutting down",
    1114: "the table or its disk is full",
    1153: "a statement was larger than max_allowed_packet: raise it",
    1203: "the user has too many connections: raise max_user_connections",
    1205: "somebody else has held a lock on the table for too long",
    1213: "other writers were in the way (deadlock)",
    1226: "the user has used up its share: see its resource limits",
    1927: "the connection was ended by an administrator",
}


def verdict(exc: BaseException, place: Place, table: str = "") -> WorkError:
    """What happens next after the server, or the way to it, said no."""
    code, where = code_of(exc), f"{place.database}.{table or '*'}"
    if refusal := _REFUSALS.get(code):
        kind, reason, line = refusal
        return kind(reason, line.format(user=place.user, database=place.database, where=where, said=_told(exc)))
    if code in _PASSING:
        return Transient(Reason.TARGET_UNAVAILABLE, f"the database cannot take it now: {_PASSING[code]}")
    if 1000 <= code < 2000 or code >= 3000:
        return Permanent(Reason.TARGET_REFUSED, f"the database did not take it into {where}: {numbered(code)}")
    said = f"no answer of the database at {place.host}:{place.port} ({_why(exc)})"
    return Transient(Reason.TARGET_UNAVAILABLE, f"{said}: is it up? If so, mend `host` or `port`"[:300])


def _told(exc: BaseException) -> str:
    """What the server said, on one line."""
    return " ".join(str(exc.args[-1]).split())[:140]


def _why(exc: BaseException) -> str:
    """No more than the kind of trouble: its text may have an address in it."""
    if isinstance(exc, TimeoutError):
        return "not in time"
    cause = exc.__cause__ if isinstance(exc.__cause__, OSError) else exc
    lost = {2003: "no connection", 2006: "it went away", 2013: "the connection was lost"}
    return lost.get(code_of(exc)) or getattr(cause, "strerror", None) or type(cause).__name__
