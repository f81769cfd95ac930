"""The rows of one batch, on their way into a table whose columns have types."""

import json
from collections import defaultdict
from collections.abc import Mapping

from config.contracts.sink import Rejected
from workers.rows import ITEM, MORE, STAMPS, Columns, Unfit, decoded, read
from workers.sinks._duckdb_values import Fit, fit_of, is_sure, type_of

#: Types of the columns that are ours. Times are texts of ISO 8601, as in SQLite: they sort as they are.
TYPES = dict.fromkeys([*STAMPS, MORE, ITEM], "VARCHAR") | {"_item": "BIGINT"}

Row = dict[str, str | None]


def kind_of(name: str, written: bytes) -> str:
    """The type of a column whose first value that is not null is this one."""
    return TYPES.get(name) or ("VARCHAR" if written == b"null" else type_of(written))


class Rows:
    """Column → text, for each item; DuckDB makes the texts what they are.

    Attributes:
        types: column → type, of those that rows are written to.
        new: columns that have to be made.
        rows: number of the item → its row.
        rejected: items that cannot be rows.
        unsure: column → number of the item → the value as it was written, where only DuckDB knows whether it fits.
    """

    def __init__(self, columns: Columns, types: Mapping[str, str]) -> None:
        self.columns, self.types = columns, dict(types)
        self.target = columns.target
        self.new: list[str] = []
        self.rows: dict[int, Row] = {}
        self.rejected: list[Rejected] = []
        self.unsure = defaultdict[str, dict[int, bytes]](dict)
        self._fits: dict[str, Fit] = {}

    def add(self, number: int, item: bytes) -> None:
        try:
            self.rows[number] = self._row(number, item)
        except Unfit as exc:
            self.rejected.append(Rejected(number, str(exc)))

    def misfit(self, number: int, name: str) -> None:
        """DuckDB cannot make this value what its column is."""
        row = self.rows[number]
        del row[name]
        try:
            self._elsewhere(row, name, self.unsure[name][number])
        except Unfit as exc:
            del self.rows[number]
            self.rejected.append(Rejected(number, str(exc)))

    def _row(self, number: int, item: bytes) -> Row:
        row: Row = {ITEM: decoded(item)} if self.target.columns == "json" else {}
        if row:
            self._need(ITEM, TYPES[ITEM])
        if not row or self.target.key:
            self._fill(number, row, read(item))
        if not row and not self.target.stamp:
            raise Unfit("it has nothing that could stand in a row")
        return row

    def _fill(self, number: int, row: Row, found: Mapping[str, bytes]) -> None:
        placed = self.columns.of(self._typed(found))
        if more := placed.pop(MORE, None):
            self._need(MORE, TYPES[MORE])
            row[MORE] = more.decode()
        for name, written in placed.items():
            if written == b"null":
                row[name] = None
            elif (fitting := self._fit(name, written)) is None:
                self._elsewhere(row, name, written)
            else:
                row[name] = fitting
                if not is_sure(self.types[name]):
                    self.unsure[name][number] = written

    def _typed(self, found: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Without those that are null and have no column: nobody knows yet of which type it would be."""
        if self.target.columns != "evolve":
            return found
        return {name: written for name, written in found.items() if written != b"null" or name in self.types}

    def _need(self, name: str, kind: str) -> None:
        if name not in self.types:
            self.types[name] = kind
            self.new.append(name)

    def _fit(self, name: str, written: bytes) -> str | None:
        self._need(name, type_of(written))
        if name not in self._fits:
            self._fits[name] = fit_of(self.types[name])
        return self._fits[name](written)

    def _elsewhere(self, row: Row, name: str, written: bytes) -> None:
        """A value that does not fit its column is kept under its name in `_more`. Raises Unfit where there is none."""
        if self.target.columns != "evolve" or name in self.target.key:
            raise Unfit(f"its `{name}` is no {self.types[name]}")
        self._need(MORE, TYPES[MORE])
        more, member = row.get(MORE), f"{json.dumps(name)}:{written.decode()}"
        row[MORE] = f"{more[:-1]},{member}}}" if more else f"{{{member}}}"
