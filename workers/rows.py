"""Rows of SQL tables out of items: the options, names and stamps that all sinks with tables share.

Names of tables come from runrelay.yaml and pass a narrow pattern. Names of columns are data, as the items have them:
what may be one is decided here, and a sink quotes it. A member that cannot be a column is never lost: it stands, with
all others of its kind, in the column `_more`.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Annotated, ClassVar, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from config.contracts.sink import Shipment
from workers.routing.clean import members

#: Columns that say where a row comes from, in this order. What may stand in them, and `_item` alone is a number:
#: id of the run; when it finished; `source/route/target`; the stream; number of the row in it; when it was written.
STAMPS = ("_run_id", "_finished_at", "_target", "_stream", "_item", "_delivered_at")
#: JSON of the members that have no column of their own.
MORE = "_more"
#: The JSON text of the whole item, with `columns: json`.
ITEM = "item"
#: Most columns of a table that grows with its items; further members go to `_more`.
MOST_COLUMNS = 500

_TABLE = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)
_LONGEST_NAME = 63
_OURS = frozenset({*STAMPS, MORE})

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_scan = json.JSONDecoder().raw_decode


class Unfit(ValueError):
    """An item that cannot be a row; the message says why, without its content."""


def _table(name: str) -> str:
    if not _TABLE.fullmatch(name):
        raise ValueError("a table's name begins with a-z or `_` and has at most 63 of a-z, 0-9 and `_`")
    if name.startswith(("_runrelay", "sqlite_", "pg_")):
        raise ValueError("names that begin with `_runrelay`, `sqlite_` or `pg_` are taken")
    return name


def _key(name: str) -> str:
    if not _MEMBER.fullmatch(name) or name in _OURS:
        raise ValueError(
            "a key begins with a letter or `_`, has at most 63 letters, digits and `_`, and is none of ours"
        )
    return name


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


#: Name of a table.
TableName = Annotated[str, AfterValidator(_table)]
#: Members of an item that tell rows apart; one may stand alone.
KeyNames = Annotated[tuple[Annotated[str, AfterValidator(_key)], ...], BeforeValidator(_listed)]


ColumnsPolicy = Literal["evolve", "json", "freeze", "drop_extra"]


class TableSink(BaseModel, extra="forbid", frozen=True):
    """Options that all sinks with tables have."""

    SHARED: ClassVar = frozenset({"columns", "stamp"})

    columns: ColumnsPolicy | None = Field(
        None, description="`columns` of all its targets that say nothing else.", examples=["columns: freeze"]
    )
    stamp: bool | None = Field(
        None, description="`stamp` of all its targets that say nothing else.", examples=["stamp: false"]
    )


class TableTarget(BaseModel, extra="forbid", frozen=True):
    """Options of a target that is a table."""

    table: TableName = Field(description="The table: a-z, 0-9 and `_`.", examples=["table: products"])
    mode: Literal["append", "upsert", "replace_run"] = Field(
        "append",
        description="`append` adds rows; `upsert` keeps one row for each `key`, that of the newest run; `replace_run` "
        "writes all rows of a run anew when it finishes again.",
    )
    key: KeyNames = Field(
        (), description="Members of the item that tell rows apart, for `upsert`.", examples=["key: [url]"]
    )
    columns: ColumnsPolicy = Field(
        "evolve",
        description="`evolve`: one for each top-level member, added when it first appears; `json`: one, `item`, with "
        "the item as it was stored; `freeze`: those the table has, an item with others is rejected; `drop_extra`: "
        "those the table has, others are left out.",
    )
    stamp: bool = Field(True, description="Whether rows get the columns that say where they come from.")
    order: Literal["finished_at", "none"] = Field(
        "finished_at",
        description="Which row stays, in `upsert`: that of the run that finished last, by the column `_finished_at`, or"
        " with `none` the one that was written last.",
    )

    @model_validator(mode="after")
    def _agrees(self) -> "TableTarget":
        if (self.mode == "upsert") != bool(self.key):
            raise ValueError("`mode: upsert` and `key` go together: say both, or neither")
        if self.order == "none" and self.mode != "upsert":
            raise ValueError("`order` is for `mode: upsert`: the other modes overwrite no row")
        if self.ordered and not self.stamp:
            raise ValueError("`mode: upsert` needs the stamp, or `order: none`: it tells an older run from a newer one")
        if self.whole and not self.stamp:
            raise ValueError("`mode: replace_run` needs the stamp: it tells the rows of a run")
        if self.columns == "json" and ITEM in self.key:
            raise ValueError("with `columns: json` the column `item` is the whole item and cannot be a key")
        return self

    @property
    def whole(self) -> bool:
        """Whether a delivery is all rows of its run, also at a later finish."""
        return self.mode == "replace_run"

    @property
    def ordered(self) -> bool:
        """Whether a row that is there is compared with one of the same key: the newer run's stays."""
        return self.mode == "upsert" and self.order == "finished_at"

    @property
    def needed(self) -> list[str]:
        """Columns that every row is written to."""
        whole = [ITEM] if self.columns == "json" else []
        return [*(STAMPS if self.stamp else ()), *self.key, *whole]

    @property
    def grows(self) -> bool:
        """Whether tables and columns are made as they are needed."""
        return self.columns in {"evolve", "json"}


def read(item: bytes) -> Mapping[str, bytes]:
    """The top-level members of an item, each as the JSON text it was written as. Raises Unfit."""
    text = decoded(item)
    try:
        return {name: bytes(raw) for name, raw in _decode(item).items()}
    except msgspec.ValidationError:
        raise Unfit("it is no object") from None
    except (msgspec.DecodeError, RecursionError):
        return dict(_read_odd(text))


def decoded(item: bytes) -> str:
    """Raises Unfit."""
    try:
        return item.decode()
    except UnicodeDecodeError:
        raise Unfit("it is not UTF-8") from None


def _read_odd(text: str) -> Iterator[tuple[str, bytes]]:
    """The same for an item with half of a surrogate pair, which JavaScript writes and msgspec refuses to read."""
    try:
        for name, written in members(text):
            _, end = _scan(written)
            yield name, written[end:].lstrip(" \t\r\n").removeprefix(":").lstrip(" \t\r\n").encode()
    except RecursionError:
        raise Unfit("it is nested too deeply") from None
    except ValueError:
        raise Unfit("it is no JSON object") from None


class Columns:
    """The columns of a table, as far as items may fill them. It grows in memory; making them is the sink's part.

    reserved: names that the database keeps for itself.

    Attributes:
        new: columns that have to be made, in order.
    """

    def __init__(self, known: Iterable[str], target: TableTarget, reserved: Collection[str] = ()) -> None:
        self.target = target
        self.known = set(known)
        self.new: list[str] = []
        self._taken = {name.casefold() for name in self.known.union(_OURS, reserved)}

    def of(self, found: Mapping[str, bytes]) -> dict[str, bytes]:
        """Column → JSON text, for the members of one item. Raises Unfit, for a key that is missing too."""
        keys = self.keys_of(found)
        if self.target.columns == "json":
            return keys
        placed = {name: written for name, written in found.items() if self._has(name)}
        left = found.keys() - placed.keys()
        if left and self.target.columns == "freeze":
            raise Unfit(f"the table has no column for {len(left)} of its members, such as {min(left)[:63]!a}")
        if left and self.target.columns == "evolve":
            self.need(MORE)
            placed[MORE] = joined((name, written) for name, written in found.items() if name in left)
        return placed

    def keys_of(self, found: Mapping[str, bytes]) -> dict[str, bytes]:
        if absent := [name for name in self.target.key if found.get(name, b"null") == b"null"]:
            raise Unfit(f"its key `{absent[0]}` is missing")
        return {name: found[name] for name in self.target.key}

    def need(self, name: str) -> None:
        """A column of ours, or of the key."""
        if name not in self.known:
            self.known.add(name)
            self._taken.add(name.casefold())
            self.new.append(name)

    def _has(self, name: str) -> bool:
        if name in self.known and name not in _OURS:
            return True
        if self.target.columns != "evolve" or not self._may_be_one(name):
            return False
        self.need(name)
        return True

    def _may_be_one(self, name: str) -> bool:
        """Databases do not tell `Url` from `url`, and cut long names: such a member never takes another one's place."""
        fits = 0 < len(name.encode("utf-8", "replace")) <= _LONGEST_NAME and name.isprintable()
        return fits and name.casefold() not in self._taken and len(self.known) < MOST_COLUMNS


def joined(written: Iterable[tuple[str, bytes]]) -> bytes:
    """The JSON object of these members, each a JSON text."""
    return b"{" + b",".join(json.dumps(name).encode() + b":" + value for name, value in written) + b"}"


def origin_of(shipment: Shipment) -> tuple[str, str, str, str]:
    """The stamp of all rows of a stream: what stands before the number and the time."""
    delivery = shipment.delivery
    place = f"{delivery.source}/{delivery.route}/{delivery.target}"  # two platforms may have runs of the same id
    return delivery.run_id, delivery.life, place, shipment.stream


def assumed(target: TableTarget, items: Iterable[bytes]) -> dict[str, bytes]:
    """The columns of a table that nobody has looked at, each with the first value it gets that is not null: what every
    row needs and, in a table that does not grow, whatever these items have."""
    found: dict[str, bytes] = {}
    for item in items:
        with suppress(Unfit):
            for name, written in read(item).items():
                if found.get(name, b"null") == b"null":
                    found[name] = written
    return {name: found.get(name, b"null") for name in (*target.needed, *(() if target.grows else found))}


def missing(columns: Collection[str], wanted: Iterable[str]) -> list[str]:
    """Those of the wanted columns that a table lacks."""
    return [name for name in wanted if name not in columns]
