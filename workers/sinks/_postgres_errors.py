"""What happens next after Postgres said no. Its codes: postgresql.org/docs/18/errcodes-appendix.html."""

import ssl
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from config.contracts.errors import Forbidden, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from workers.sinks._postgres_table import CHECKPOINTS, Table, listed_values, literal, quoted

#: Classes of what is wrong with a row: its values, a rule of the table, its size, or a trigger that said no.
_OF_ROWS = ("22", "23", "54", "P0")
_NO_RIGHT, _NO_DATABASE, _NO_SCHEMA, _READ_ONLY, _TOO_LARGE = "42501", "3D000", "3F000", "25006", "54000"
#: A table that others changed or dropped under our hands is looked at anew.
_CHANGED = frozenset({"42P01", "42703", "42804", "42P10"})
_PORT = 5432
_HINTS = {
    "53100": "make room on the server's disk",
    "53300": "raise max_connections there, or end some",
    "55P03": "somebody else holds a lock on it",
    "57014": "it took too long: raise `timeout`",
}
_RIGHTS = """
SELECT has_schema_privilege(n.oid, 'USAGE') AS usage, has_schema_privilege(n.oid, 'CREATE') AS make,
  c.oid IS NOT NULL AS there, pg_has_role(c.relowner, 'USAGE') AS owner,
  has_database_privilege(current_database(), 'TEMP') AS temp, current_database()::text AS database,
  array(SELECT one FROM unnest(ARRAY[{rights}]) one WHERE NOT has_table_privilege(c.oid, one)) AS lacking,
  array(SELECT one FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) one, pg_class p
    WHERE p.relnamespace = n.oid AND p.relname = {places} AND NOT has_table_privilege(p.oid, one)) AS places
FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = {table} WHERE n.nspname = {schema}"""


def of_rows(error: BaseException) -> bool:
    """Whether it is about the rows, and others may well be taken."""
    return isinstance(error, asyncpg.PostgresError) and str(error.sqlstate)[:2] in _OF_ROWS


def too_large(error: BaseException) -> bool:
    """Whether a row is larger than a page, or a value than an index takes."""
    return getattr(error, "sqlstate", None) == _TOO_LARGE


def lost(error: BaseException | None) -> bool:
    """Whether the connection went away, and with it the answer. A server that hung until our time was up still does."""
    if isinstance(error, TimeoutError) and error.errno is None:
        return False
    return isinstance(error, OSError | asyncpg.InterfaceError) or str(getattr(error, "sqlstate", ""))[:2] in {
        "08",
        "57",
    }


def said(error: BaseException) -> str:
    """One line of it."""
    return " ".join(str(getattr(error, "message", None) or error).split())[:200]


def verdict(error: Exception, url: str) -> WorkError:  # noqa: PLR0911  # one line for each
    """The verdict on what a step raised, but for missing rights (see `rights`)."""
    parts = urlsplit(url)
    state = str(getattr(error, "sqlstate", None) or "")
    match state[:2]:
        case "":
            return _unreachable(error, parts.hostname or "its socket", parts.port)
        case "28":
            cure = f'mend the user and password in `url`: the role "{parts.username}" may not log in'
            return Unauthorized(Reason.TOKEN_REFUSED, f"{cure} ({said(error)})"[:300])
        case "42" if state in _CHANGED:
            return Transient(Reason.TARGET_UNAVAILABLE, f"somebody changed the table meanwhile: {said(error)}")
        case "42" | "22" | "23" | "0A":
            return Forbidden(Reason.TARGET_REFUSED, said(error))
    if state == _NO_DATABASE:
        return Unauthorized(Reason.TARGET_REFUSED, f"{said(error)}: create it, or mend the name in `url`")
    if state == _NO_SCHEMA:
        return Unauthorized(Reason.TARGET_REFUSED, f"{said(error)}: create it")
    if state == _READ_ONLY:
        cure = "name the primary in `url`, or let the role write (default_transaction_read_only)"
        return Unauthorized(Reason.TARGET_REFUSED, f"the server only reads: {cure}")
    return Transient(Reason.TARGET_UNAVAILABLE, ": ".join([said(error), *filter(None, [_HINTS.get(state)])]))


def _unreachable(error: Exception, host: str, port: int | None) -> WorkError:
    if isinstance(error, ssl.SSLCertVerificationError):
        cure = "name its authority in `url` (sslrootcert=…)"
        return Unauthorized(Reason.TARGET_REFUSED, f"{host} shows a certificate that nobody vouches for: {cure}")
    if "SSL upgrade" in str(error):
        return Unauthorized(Reason.TARGET_REFUSED, f"{host} does not encrypt, as `url` demands: mend its sslmode")
    if isinstance(error, asyncpg.ClientConfigurationError):
        return Unauthorized(Reason.TARGET_REFUSED, "`url` is none that Postgres understands: mend it")
    if isinstance(error, TimeoutError):
        return Transient(Reason.TARGET_UNAVAILABLE, f"{host}: no answer in time")
    broken = isinstance(error, asyncpg.InterfaceError | ConnectionError | ssl.SSLError)
    if broken and not isinstance(error, ConnectionRefusedError):
        return Transient(Reason.TARGET_UNAVAILABLE, f"{host}: the connection broke off")
    cure = "is it up? mend host and port in `url`"
    return Transient(Reason.TARGET_UNAVAILABLE, f"the database cannot be reached at {host}:{port or _PORT}: {cure}")


def no_right(error: BaseException) -> bool:
    return getattr(error, "sqlstate", None) == _NO_RIGHT


async def rights(db: Any, table: Table, error: BaseException) -> WorkError:
    """Which right is missing, and the statement that gives it. Raises errors of the database."""
    names = {"schema": table.schema, "table": table.target.table, "places": CHECKPOINTS}
    told = {part: literal(name) for part, name in names.items()}
    asked = _RIGHTS.format(**told, rights=listed_values(table.rights))
    found, role = await db.fetchrow(asked), await db.fetchval("SELECT current_user::text")
    kind, may_not, cure = _lacking(found, table, said(error))
    line = f"the role {quoted(role)} may not {may_not}: {cure.format(role=quoted(role))}"
    return kind(Reason.TARGET_REFUSED, line[:300])


def _lacking(found: Mapping[str, Any] | None, table: Table, told: str) -> tuple[type[WorkError], str, str]:
    """Whom it concerns, what may not be done, and the cure."""
    schema, name = table.schema, table.spoken
    if found is None:
        return Unauthorized, f"make the schema {schema}", f"CREATE SCHEMA {schema} AUTHORIZATION {{role}}"
    places, temp = f"{schema}.{CHECKPOINTS}", f"GRANT TEMP ON DATABASE {quoted(found['database'])} TO {{role}}"
    foreign = found["there"] and not found["owner"] and table.target.grows
    lacking = (
        (found["places"], Unauthorized, f"write to {places}", _grant(found["places"], places)),
        (found["lacking"], Forbidden, f"write to {name}", _grant(found["lacking"], name)),
        (not found["temp"] and table.target.key, Forbidden, "make temporary tables, as `upsert` does", temp),
        (
            not (found["usage"] and found["make"]),
            *(Unauthorized, f"make tables in {schema}", f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {{role}}"),
        ),
        (
            foreign,
            *(Forbidden, f"change {name}", f"ALTER TABLE {name} OWNER TO {{role}}, or say `columns: freeze`"),
        ),
        (True, Unauthorized, "do that", f"{told}; grant it to {{role}}"),
    )
    return next((kind, may_not, cure) for holds, kind, may_not, cure in lacking if holds)


def _grant(rights: Iterable[str], table: str) -> str:
    return f"GRANT {', '.join(rights)} ON {table} TO {{role}}"
