"""What a table of MySQL or MariaDB would be sent, if it were new, or had all that these items need."""

import sys
from collections.abc import Iterator

from config.contracts.sink import Batch, Shipment
from workers.rows import TableTarget, assumed
from workers.sinks import _shown
from workers.sinks._mysql_rows import Rows, names_of, statement
from workers.sinks._mysql_table import stamp_of, type_for
from workers.sinks._mysql_values import TEXT, Column, type_of


def previewed(target: TableTarget, shipment: Shipment, batch: Batch) -> Iterator[str]:
    """Columns, and the statement with its rows."""
    types, rows = _fitted(target, shipment, batch)
    names = names_of(target, rows.rows, {})
    head, tail = statement(target, names)
    yield f"table {target.table}"
    yield _shown.columns(target, (f"{name} {type}" for name, type in types.items()))
    yield head
    yield from (row.text(names) for row in rows.rows)
    yield from filter(None, [tail])
    yield from map(_shown.refusal, rows.rejected)


def _fitted(target: TableTarget, shipment: Shipment, batch: Batch) -> tuple[dict[str, str], Rows]:
    """The columns with their types, and the items as rows for them. How large a statement may be the server says."""
    ours = frozenset(target.needed)
    types = {
        name: type_for(target, name) if name in ours else TEXT if written == b"null" else type_of(written)
        for name, written in assumed(target, batch.items()).items()
    }
    while True:
        columns = {name: Column(type.lower()) for name, type in types.items()}
        rows = Rows(target, columns, (*stamp_of(shipment), _shown.NOW), sys.maxsize)
        rows.take(list(zip(batch.numbers, batch.items(), strict=False)))
        if not rows.new:
            return types, rows
        types |= rows.new
