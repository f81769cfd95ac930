"""Receipts, for people and for scripts."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from config.contracts.delivery import Receipt
from console.cli.output import plain

_NUMBERS = ("expected", "read", "filtered", "rejected", "delivered", "out", "bytes")
COLUMNS = ("route", "target", "sink", "stream", *_NUMBERS, "status")

#: Columns of a terminal that shows a receipt whole.
WIDE = 100


def row_of(receipt: Receipt) -> dict[str, Any]:
    """One row as JSON has it."""
    return {name: getattr(receipt, name) for name in COLUMNS}


def balanced(receipt: Receipt) -> bool:
    """expected = read = delivered + filtered + rejected."""
    return receipt.expected == receipt.read == receipt.delivered + receipt.filtered + receipt.rejected


def receipt_table(receipts: Sequence[Receipt], width: int) -> Table:
    """For people. Numbers are never cut; under WIDE columns the less telling ones are left out."""
    title = "Receipt: expected = read = delivered + filtered + rejected"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    numbers = _NUMBERS if width >= WIDE else tuple(name for name in _NUMBERS if name != "out")
    texts = ("target", "stream") if width >= WIDE else ("target",)
    for name in (*texts, *numbers, "status"):
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=name in numbers)
    for row in receipts:
        said = (plain(f"{row.route}/{row.target}"), plain(row.stream))[: len(texts)]
        style = "green" if row.status == "balanced" else "bold red"
        table.add_row(*said, *(Text(f"{getattr(row, name):,}") for name in numbers), Text(row.status, style))
    return table
