"""Receipts, for people and for scripts."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from config.contracts.delivery import Receipt
from console.cli.output import plain

_NUMBERS = ("expected", "read", "added", "filtered", "rejected", "delivered", "out", "bytes")
COLUMNS = ("route", "target", "sink", "stream", *_NUMBERS, "status", "warnings")

#: Columns of a terminal that shows a receipt whole.
WIDE = 100


def row_of(receipt: Receipt) -> dict[str, Any]:
    """One row as JSON has it."""
    return {name: getattr(receipt, name) for name in COLUMNS}


def balanced(receipt: Receipt) -> bool:
    """expected = read, and read + added = delivered + filtered + rejected."""
    gone = receipt.delivered + receipt.filtered + receipt.rejected
    return receipt.expected == receipt.read and receipt.read + receipt.added == gone


def receipt_table(receipts: Sequence[Receipt], width: int) -> Group:
    """For people. Numbers are never cut; under WIDE columns the less telling ones are left out, and so is what no row
    has. Below the table stands what is probably not meant."""
    added = any(row.added for row in receipts)
    equation = "expected = read, read + added" if added else "expected = read"
    title = f"Receipt: {equation} = delivered + filtered + rejected"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    left_out = {*(() if added else ("added",)), *(() if width >= WIDE else ("out",))}
    numbers = tuple(name for name in _NUMBERS if name not in left_out)
    texts = ("target", "stream") if width >= WIDE else ("target",)
    for name in (*texts, *numbers, "status"):
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=name in numbers)
    for row in receipts:
        said = (plain(f"{row.route}/{row.target}"), plain(row.stream))[: len(texts)]
        style = "green" if row.status == "balanced" else "bold red"
        table.add_row(*said, *(Text(f"{getattr(row, name):,}") for name in numbers), Text(row.status, style))
    warnings = [f"{row.route}/{row.target}: {said}" for row in receipts for said in row.warnings]
    return Group(table, *(Text("warning: ", "yellow").append_text(plain(one, 1000)) for one in warnings))
