"""The table as it is, and making of it what a delivery needs. Making is a transaction of its own, one at a time."""

# ruff: noqa: S608  # names are quoted, values are literals
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import asyncpg

from config.contracts.errors import Forbidden, Unauthorized
from config.contracts.reasons import Reason
from workers.rows import ITEM, MORE, STAMPS, TableTarget, missing
from workers.sinks._postgres_rows import MOST_COLUMNS, TYPES, Column

#: Seconds to wait for somebody else's lock, until the try counts as failed.
PATIENCE = 10
_PATIENT = f"SET LOCAL lock_timeout = '{PATIENCE}s'"
CHECKPOINTS = "_runrelay_checkpoints"

_RELATIONS = """
SELECT c.oid, c.relname::text AS name, c.relkind::text AS kind FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {schema} AND c.relname IN ({names})"""
_COLUMNS = """
SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type,
  attgenerated::text = '' AND attidentity::text <> 'a' AS written,
  NOT (attnotnull OR atthasdef OR attidentity::text <> '') AS may_be_emptied
FROM pg_attribute WHERE attrelid = {table} AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
_UNIQUE = """
SELECT array(SELECT attname::text FROM pg_attribute
  WHERE attrelid = i.indrelid AND attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])) AS columns
FROM pg_index i WHERE indrelid = {table} AND indisunique AND indisvalid AND indimmediate
  AND indpred IS NULL AND indexprs IS NULL"""
_SCHEMA = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = {})"
#: What a column of ours may be instead, if somebody else made it.
_FITTING = {
    "text": ("text", "character varying", "citext"),
    "bigint": ("bigint", "integer", "numeric"),
    "timestamp with time zone": ("timestamp", "text"),
    "jsonb": ("json", "text"),
}
_MAKE_CHECKPOINTS = """
CREATE TABLE IF NOT EXISTS {} (delivery text, stream text, holder text NOT NULL, batches integer NOT NULL,
  next_item bigint NOT NULL, at timestamp with time zone NOT NULL, PRIMARY KEY (delivery, stream))"""


@dataclass(frozen=True)
class Shape:
    """What there is. `columns` is None if there is no table."""

    schema: bool
    checkpoints: bool
    columns: Mapping[str, Column] | None
    unique: Collection[frozenset[str]]


class Table:
    """One table of one schema. Everything here raises errors of the database, too.

    Attributes:
        name, checkpoints: the table and that of our places, as SQL writes them.
        spoken: its name, for people.
    """

    def __init__(self, schema: str, target: TableTarget) -> None:
        self.schema, self.target = schema, target
        self.name, self.checkpoints = (f"{quoted(schema)}.{quoted(name)}" for name in (target.table, CHECKPOINTS))
        self.spoken = f"{schema}.{target.table}"

    async def shape(self, db: Any) -> Shape:
        """Raises Forbidden for something that is no table."""
        names = listed_values([self.target.table, CHECKPOINTS])
        found = await db.fetch(_RELATIONS.format(schema=literal(self.schema), names=names))
        there = {row["name"]: row for row in found}
        schema = bool(there) or await db.fetchval(_SCHEMA.format(literal(self.schema)))
        table = there.get(self.target.table)
        if table is None:
            return Shape(schema, CHECKPOINTS in there, None, ())
        if table["kind"] not in {"r", "p", "f"}:
            raise Forbidden(Reason.TARGET_REFUSED, f"{self.spoken} is no table but a view or the like: name a table")
        found = await db.fetch(_COLUMNS.format(table=table["oid"]))
        columns = {row["name"]: Column(row["type"], row["may_be_emptied"], row["written"]) for row in found}
        self._must_agree(columns)
        unique = await db.fetch(_UNIQUE.format(table=table["oid"]))
        return Shape(schema, CHECKPOINTS in there, columns, [frozenset(row["columns"]) for row in unique])

    def _must_agree(self, columns: Mapping[str, Column]) -> None:
        """Columns of ours have a type that they can be compared by. Raises Forbidden."""
        used = [*(STAMPS if self.target.stamp else ()), *([ITEM] if self.target.columns == "json" else [])]
        for name in used:
            type, fitting = TYPES[name], _FITTING[TYPES[name]]
            if name in columns and not columns[name].type.startswith(fitting):
                cure = f"ALTER TABLE {self.spoken} ALTER {name} TYPE {_short(type)} USING {name}::text::{_short(type)}"
                said = f"{self.spoken}.{name} is {columns[name].type} and cannot hold {_short(type)}: {cure}"
                raise Forbidden(Reason.TARGET_REFUSED, said)

    async def ready(self, db: Any, new: Mapping[str, str]) -> Mapping[str, Column]:
        """The columns of a table that has these new ones and all that we need; it is made so if it may be.

        Raises Forbidden.
        """
        shape = await self.shape(db)
        if self._lacks(shape, new):
            async with self._making(db):
                await self._make(db, await self.shape(db), new)
                shape = await self.shape(db)
        assert shape.columns is not None
        return shape.columns

    async def check(self, db: Any) -> None:
        """Do all that a delivery would do, with no rows, and undo it. Raises what the delivery would raise."""
        await db.execute(f"BEGIN; {_PATIENT}")
        shape = await self.shape(db)
        if self._lacks(shape, {}):
            await self._make(db, shape, {})
        await db.execute("; ".join(self._tried((await self.shape(db)).columns or {})))
        await db.execute("ROLLBACK")

    @property
    def rights(self) -> Sequence[str]:
        """What our role must be allowed to do with the table."""
        changing = ["UPDATE"] if self.target.mode == "upsert" else ["DELETE"] if self.target.stamp else []
        return ["SELECT", "INSERT", *changing]

    def _tried(self, columns: Mapping[str, Column]) -> Iterable[str]:
        """Statements that need the rights of a delivery, and do nothing."""
        place, table = self.checkpoints, self.name
        yield f"INSERT INTO {place} SELECT * FROM {place} WHERE false"
        yield f"UPDATE {place} SET at = at WHERE false"
        yield f"DELETE FROM {place} WHERE false"
        written = [quoted(name) for name, column in columns.items() if column.written]
        if written:
            names = ", ".join(written)
            yield f"INSERT INTO {table} ({names}) SELECT {names} FROM {table} WHERE false"
        if written and "UPDATE" in self.rights:
            yield f"UPDATE {table} SET {written[0]} = {written[0]} WHERE false"
            yield "CREATE TEMP TABLE _runrelay_chunk () ON COMMIT DROP"
        if "DELETE" in self.rights:
            yield f"DELETE FROM {table} WHERE false"

    def _lacks(self, shape: Shape, new: Mapping[str, str]) -> bool:
        lacking = missing(shape.columns or (), [*self._needed(shape.columns), *new])
        indexed = self._index(shape.columns, new)
        return bool(
            not shape.checkpoints or shape.columns is None or lacking or (indexed and indexed not in shape.unique)
        )

    def _needed(self, columns: Mapping[str, Column] | None) -> Iterable[str]:
        """Columns of every delivery. A table with types of its own, or one so wide that a row may be too large, needs
        `_more`."""
        yield from STAMPS if self.target.stamp else ()
        if self.target.columns == "json":
            yield ITEM
        foreign = any(column.foreign for name, column in (columns or {}).items() if name not in STAMPS)
        if self.target.columns == "evolve" and (foreign or len(columns or ()) > MOST_COLUMNS):
            yield MORE
        if not self.target.grows:
            yield from self.target.key

    def _index(self, columns: Mapping[str, Column] | None, new: Mapping[str, str]) -> frozenset[str] | None:
        """The columns of the unique index that is needed; none before they are there. That of the key is what an upsert
        goes by; the other one finds the rows of a run."""
        if self.target.mode == "upsert":
            there = {*(columns or ()), *new}
            return frozenset(self.target.key) if there.issuperset(self.target.key) else None
        return frozenset(STAMPS[:5]) if self.target.stamp and self.target.grows else None

    @asynccontextmanager
    async def _making(self, db: Any) -> AsyncIterator[None]:
        """Two that make the same at once would fail, IF NOT EXISTS or not."""
        lock = f"SELECT pg_advisory_xact_lock(hashtextextended({literal(f'runrelay {self.schema}')}, 0))"
        await db.execute(f"BEGIN; {_PATIENT}; {lock}")
        yield
        await db.execute("COMMIT")

    async def _make(self, db: Any, shape: Shape, new: Mapping[str, str]) -> None:
        if not shape.schema and self.target.grows:
            await db.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self.schema)}")
        elif not shape.schema:
            raise Unauthorized(
                Reason.TARGET_REFUSED, f"there is no schema {self.schema}: create it and the table in it"
            )
        self._must_suffice(shape)
        if not shape.checkpoints:
            await db.execute(_MAKE_CHECKPOINTS.format(self.checkpoints))
        if shape.columns is None:
            await db.execute(f"CREATE TABLE {self.name} ()")
        wanted = {name: TYPES[name] for name in self._needed(shape.columns)} if self.target.grows else {}
        added = missing(shape.columns or (), {**wanted, **new})
        if added:
            types = {**wanted, **new}
            parts = ", ".join(f"ADD COLUMN {quoted(name)} {types[name]}" for name in added)
            await db.execute(f"ALTER TABLE {self.name} {parts}")
        unique = self._index(shape.columns, new)
        if unique and unique not in shape.unique:
            await self._make_index(db, self.target.key if self.target.mode == "upsert" else STAMPS[:5])

    def _must_suffice(self, shape: Shape) -> None:
        """A table that we may not change. Raises Forbidden with what has to be run."""
        if self.target.grows:
            return
        if shape.columns is None:
            said = f"there is no table {self.spoken}: create it, or let `columns: evolve` do so"
            raise Forbidden(Reason.TARGET_REFUSED, said)
        if lacking := missing(shape.columns, self._needed(shape.columns)):
            raise Forbidden(Reason.TARGET_REFUSED, self._advice(lacking))
        unique = self._index(shape.columns, {})
        if unique and unique not in shape.unique:
            key = ", ".join(map(quoted, self.target.key))
            said = f"`upsert` needs a unique index: CREATE UNIQUE INDEX ON {self.spoken} ({key})"
            raise Forbidden(Reason.TARGET_REFUSED, said)

    def _advice(self, lacking: Sequence[str]) -> str:
        parts = ", ".join(f"ADD COLUMN {name} {_short(TYPES.get(name, 'text'))}" for name in lacking)
        ways = ["or say `stamp: false`"] if self.target.stamp and set(lacking) <= set(STAMPS) else []
        if self.target.ordered and ways:
            ways = ["or say `stamp: false` and `order: none`"]
        return "; ".join([f"{self.spoken} lacks columns: ALTER TABLE {self.spoken} {parts}", *ways])[:300]

    async def _make_index(self, db: Any, columns: Sequence[str]) -> None:
        told = ", ".join(map(quoted, columns))
        name = f"_runrelay_{self.target.table[:40]}_{sha256(told.encode()).hexdigest()[:8]}"
        try:
            await db.execute(f"CREATE UNIQUE INDEX IF NOT EXISTS {quoted(name)} ON {self.name} ({told})")
        except asyncpg.UniqueViolationError:
            said = f"{self.spoken} has rows with the same {', '.join(columns)}: remove all but one of each"
            raise Forbidden(Reason.TARGET_REFUSED, said) from None


def quoted(name: str) -> str:
    """A name as SQL writes it, whatever it is."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it, whatever the server's settings say of backslashes."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def listed(names: Iterable[str]) -> str:
    return ", ".join(map(quoted, names))


def listed_values(values: Iterable[str]) -> str:
    return ", ".join(map(literal, values))


def _short(type: str) -> str:
    return "timestamptz" if type == "timestamp with time zone" else type
