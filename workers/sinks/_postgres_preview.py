"""What a table of Postgres would be sent, if it were new, or had all that these items need."""

import re
from collections.abc import Iterator, Sequence

from config.contracts.sink import Batch, Shipment
from workers.rows import STAMPS, assumed, origin_of
from workers.sinks import _shown
from workers.sinks._postgres_rows import NULL, TYPES, Column, Encoder, Item, Lines, type_of
from workers.sinks._postgres_stream import upsert
from workers.sinks._postgres_table import Table, listed

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MEANT = {"t": "\t", "n": "\n", "r": "\r"}


def previewed(table: Table, shipment: Shipment, batch: Batch) -> Iterator[str]:
    """Columns, statement and rows."""
    target, origin = table.target, origin_of(shipment)
    items = list(zip(batch.numbers, batch.items(), strict=False))
    types, lines = _fitted(table, origin, items)
    yield f"table {table.spoken}"
    yield from _shown.stamped(target, origin)
    yield _shown.columns(target, (f"{name} {type}" for name, type in types.items()))
    yield (
        f"COPY {table.name} ({listed(lines.columns)}) FROM STDIN"
        if target.mode != "upsert"
        else upsert(table, lines.columns)
    )
    for number, line in zip(lines.numbers, lines.made(0, len(lines.numbers)), strict=True):
        cells = dict(zip(lines.columns, map(_cell, line.split(b"\t")), strict=True))
        yield _shown.numbered(target, number, {name: cell for name, cell in cells.items() if name not in STAMPS})
    yield from map(_shown.refusal, lines.rejected)


def _fitted(table: Table, origin: Sequence[str], items: Sequence[Item]) -> tuple[dict[str, str], Lines]:
    """The columns with their types, and the items as lines for them."""
    known = assumed(table.target, (item for _, item in items))
    made_late = frozenset(table.target.key if table.target.grows else ())  # by their first value
    types = {name: TYPES.get(name) or type_of(written) for name, written in known.items() if name not in made_late}
    while True:
        columns = {name: Column(type) for name, type in types.items()}
        lines = Encoder(table.target, columns, (origin, _shown.NOW)).lines(items)
        if not lines.new:
            return types, lines
        types |= lines.new


def _cell(written: bytes) -> str | None:
    """What Postgres reads in a cell of COPY."""
    if written == NULL:
        return None
    return _ESCAPE.sub(lambda found: _MEANT.get(found[1], found[1]), written.decode(errors="replace"))
