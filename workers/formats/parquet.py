"""Parquet, compressed with zstd. A column has the type that all its values share without losing anything:

`int64` for integers, `double` for numbers that a double keeps, `bool`, and `string` for all else: texts are themselves,
other values their JSON text. Items without the member, and null, are null.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import Flag, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from workers.formats.cells import as_text, joined, only_texts, survives
from workers.formats.columns import Columns, Finding, column
from workers.formats.layout import Layout
from workers.formats.lines import Held, Json, Rows, Staged
from workers.rows import ITEM

if TYPE_CHECKING:
    import pyarrow as pa

MOST_COLUMNS = 5_000

#: A row group ends at so many bytes of JSON, or at so many cells.
_GROUP_BYTES = 16 << 20
_GROUP_CELLS = 1 << 22
_EXACT = 1 << 53
_integers = msgspec.json.Decoder(list[int | None]).decode
_reals = msgspec.json.Decoder(list[float | None]).decode
_truths = msgspec.json.Decoder(list[bool | None]).decode


class Kind(Flag):
    """What values a column has."""

    NOTHING = 0
    INTEGER = auto()
    #: an integer that a double may not hold
    WIDE = auto()
    REAL = auto()
    TRUTH = auto()
    OTHER = auto()


_DECODERS: dict[str, Callable[[bytes], Sequence[Any]]] = {
    "int64": _integers,
    "double": _reals,
    "bool": _truths,
}


def write(staged: Staged, to: Path, layout: Layout) -> None:
    """Raises OSError, Unfit."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns, types = _looked_through(staged, layout)
    schema = pa.schema([*zip(columns.names, map(pa.type_for_alias, types), strict=True), *_rest(columns, pa)])
    with pq.ParquetWriter(to, schema, compression="zstd", store_schema=False) as writer:
        for group in _groups(staged, columns, schema):
            writer.write_table(group, row_group_size=max(1, group.num_rows))


def described(rows: Held, layout: Layout) -> list[str]:
    """Names and types of the columns. Raises Unfit."""
    columns, types = _looked_through(rows, layout)
    known = [f"{name} {type}" for name, type in zip(columns.names, types, strict=True)]
    return [*known, *([f"{columns.rest} string"] if columns.rest else [])]


def count(path: Path) -> int:
    """The rows that lie there, by the file's footer."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _looked_through(staged: Staged | Held, layout: Layout) -> tuple[Columns, list[str]]:
    """The columns and the types of those of members."""
    if layout.columns == "json":
        return Columns((), ITEM), []
    finding, kinds = Finding(MOST_COLUMNS), dict[str, Kind]()
    for rows in staged.rows():
        finding.look(rows)
        for some in rows.cut(finding.found().most_rows):
            for name in finding.names:
                kinds[name] = _also(kinds.get(name, Kind.NOTHING), some, name)
    return finding.found(), [_type(kinds[name]) for name in finding.names]


def _also(kind: Kind, rows: Rows, name: str) -> Kind:
    """With what these rows have."""
    return kind if Kind.OTHER in kind else kind | kind_of(column(rows, name))


def kind_of(cells: Sequence[Json]) -> Kind:
    """What some cells of a column have in common."""
    written = joined(cells)
    for look in (_as_integers, _as_truths):
        try:
            return look(written)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    return _as_reals(written, cells)


def _as_integers(written: bytes) -> Kind:
    found = [number for number in _integers(written) if number is not None]
    if not found:
        return Kind.NOTHING
    least, most = min(found), max(found)
    if least < -(1 << 63) or most >= 1 << 63:
        return Kind.OTHER
    return Kind.INTEGER if max(-least, most) <= _EXACT else Kind.INTEGER | Kind.WIDE


def _as_truths(written: bytes) -> Kind:
    _truths(written)
    return Kind.TRUTH


def _as_reals(written: bytes, cells: Sequence[Json]) -> Kind:
    try:
        _reals(written)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Kind.OTHER
    kept = all(survives(bytes(cell).decode()) for cell in cells if bytes(cell) != b"null")
    return Kind.REAL if kept else Kind.OTHER


def _type(kind: Kind) -> str:
    if kind == Kind.TRUTH:
        return "bool"
    if Kind.REAL in kind and not kind & ~(Kind.INTEGER | Kind.REAL):
        return "double"
    if kind and not kind & ~(Kind.INTEGER | Kind.WIDE):
        return "int64"
    return "string"


def _rest(columns: Columns, pa: Any) -> list[tuple[str, Any]]:
    return [(columns.rest, pa.string())] if columns.rest else []


def _groups(staged: Staged, columns: Columns, schema: "pa.Schema") -> Iterator["pa.Table"]:
    """The rows, each time as many as make a row group."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    size = cells = 0
    for rows in staged.rows():
        for some in rows.cut(columns.most_rows):
            held.append(pa.record_batch(_arrays(some, columns, schema), schema=schema))
            size, cells = size + len(some.lines), cells + len(some.members) * len(schema)
            if size >= _GROUP_BYTES or cells >= _GROUP_CELLS:
                yield pa.Table.from_batches(held)
                held, size, cells = [], 0, 0
    if held:
        yield pa.Table.from_batches(held)


def _arrays(rows: Rows, columns: Columns, schema: "pa.Schema") -> list[Any]:
    import pyarrow as pa

    arrays = [pa.array(_values(column(rows, one), one_type), one_type) for one, one_type in _members(columns, schema)]
    return [*arrays, pa.array(columns.rests(rows), pa.string())] if columns.rest else arrays


def _members(columns: Columns, schema: "pa.Schema") -> Iterator[tuple[str, Any]]:
    return zip(columns.names, schema.types, strict=False)


def _values(cells: Sequence[Json], type: Any) -> Sequence[Any]:
    if decode := _DECODERS.get(str(type)):
        return decode(joined(cells))
    found = only_texts(cells)
    return list(map(as_text, cells)) if found is None else found
